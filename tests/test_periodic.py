"""Work that is repeated in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.periodic import Periodic


class Rounds:
    """Work that ends as it is told to, round after round, and then well."""

    def __init__(self, ends: Sequence[Exception | None] = ()) -> None:
        self._ends = ends
        self.done = 0
        self.changed = asyncio.Event()

    async def work(self) -> None:
        self.done += 1
        self.changed.set()
        if self.done <= len(self._ends) and (error := self._ends[self.done - 1]) is not None:
            raise error

    async def until(self, number: int) -> None:
        while self.done < number:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 5)


def run(periodic: Periodic, until: Callable[[], Awaitable[object]]) -> None:
    async def running() -> None:
        periodic.start()
        await until()
        await periodic.stop()

    asyncio.run(running())


def test_it_is_repeated_until_it_is_stopped() -> None:
    async def stopped() -> None:
        periodic.start()
        await rounds.until(3)
        await periodic.stop()
        done = rounds.done
        await asyncio.sleep(0.01)
        assert rounds.done == done

    rounds = Rounds()
    periodic = Periodic("It", 0.001, rounds.work, jitter=0.5)
    asyncio.run(stopped())


def test_it_may_begin_with_a_pause() -> None:
    rounds = Rounds()
    run(Periodic("It", 3600, rounds.work, at_once=False), lambda: asyncio.sleep(0.01))
    assert rounds.done == 0


def test_what_was_not_started_can_be_stopped() -> None:
    asyncio.run(Periodic("It", 1, Rounds().work).stop())


def test_each_cause_for_which_the_database_is_away_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    away, denied = Unavailable("connection refused"), Unavailable("permission denied for schema public")
    numbers = [Unavailable(f"connection {number} was lost") for number in range(50)]
    rounds = Rounds([away, away, denied, away, denied, None, denied, *numbers])
    periodic = Periodic("It", 0.001, rounds.work)
    with caplog.at_level(logging.WARNING):
        run(periodic, lambda: rounds.until(60))
    said = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    assert said[:3] == [str(away), str(denied), str(denied)]
    assert len(said) < 15


def test_of_failures_of_one_kind_in_a_row_the_first_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    away = Unavailable("The database is away.")
    rounds = Rounds([away, away, ValueError("bad"), ValueError("worse"), None, away])
    periodic = Periodic("The cleaning", 0.001, rounds.work)
    with caplog.at_level(logging.WARNING):
        run(periodic, lambda: rounds.until(8))
    assert [record.getMessage() for record in caplog.records] == [
        "The cleaning failed; retrying every 0.001 s: The database is away.",
        "The cleaning failed; retrying every 0.001 s: bad",
        "The cleaning failed; retrying every 0.001 s: The database is away.",
    ]
    assert [bool(record.exc_info) for record in caplog.records] == [False, True, False]
