from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from airflow_rest_api.legacy import usage as counting
from airflow_rest_api.legacy.endpoints import BY_NAME
from airflow_rest_api.legacy.usage import MOST_ARGUMENTS, OTHER, UNKNOWN, LegacyCallerBody, Usage
from airflow_rest_api.storage.database import THREADS
from tests.operations.scene import Switched
from tests.standin import own_database

NOW = datetime.now(timezone.utc)
PAUSE = BY_NAME["pause"]


def called(usage: Usage, *ignored: str, user: str = "u", address: str | None = "a") -> None:
    usage.count(PAUSE, user, address, NOW, ignored)


async def found(usage: Usage) -> list[LegacyCallerBody]:
    return (await usage.read(None, None, "calls", 500))[0]


def names(one: LegacyCallerBody) -> dict[str, int]:
    return {each.argument: each.calls for each in one.ignored}


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_a_call_with_two_ignored_arguments_is_one_call():
    async def main() -> None:
        usage = Usage(Switched(own_database()))
        called(usage, "subdir", "one", "two", "one")
        called(usage, "one")
        await usage.flush()
        [caller] = await found(usage)
        assert caller.calls == 2
        assert names(caller) == {"one": 2, "subdir": 1, "two": 1}
        assert {each.argument for each in caller.ignored if each.known} == {"subdir"}

    run(main())


def test_it_takes_no_connection_beyond_those_of_the_threads_of_the_database():
    async def main() -> None:
        database = Switched(own_database())
        usage = Usage(database)
        called(usage)
        held, free = threading.Barrier(THREADS + 1), threading.Event()

        def hold(connection: Connection) -> None:
            held.wait(60)
            free.wait(60)

        holders = [asyncio.create_task(database.run(hold)) for _ in range(THREADS)]
        await asyncio.to_thread(held.wait, 60)
        writing = asyncio.create_task(usage.flush())
        await asyncio.sleep(0.1)
        assert database.calls == THREADS
        free.set()
        await asyncio.gather(writing, *holders)
        assert [caller.calls for caller in await found(usage)] == [1]

    run(main())


def test_what_a_client_calls_an_endpoint_that_there_is_not_is_not_kept():
    async def main() -> None:
        usage = Usage(Switched(own_database()))
        usage.count(None, "u", "a", NOW, ["made_up"])
        await usage.flush()
        [caller] = await found(usage)
        assert (caller.endpoint, caller.calls, caller.ignored) == (UNKNOWN, 1, [])

    run(main())


@pytest.mark.parametrize(
    "text",
    ['{"conf": {"password": "S3cret"}}', "x" * 101, "", "a b", "\0", "\udcff", "1", "-", "<b>", "a=b"],
    ids=repr,
)
def test_what_cannot_be_meant_as_a_name_is_not_kept(text: str):
    async def main() -> None:
        usage = Usage(Switched(own_database()))
        called(usage, text, "x" * 100, "größe", "log-file", "a.b_c")
        await usage.flush()
        [caller] = await found(usage)
        assert set(names(caller)) == {OTHER, "x" * 100, "größe", "log-file", "a.b_c"}

    run(main())


def test_of_one_call_a_bounded_number_of_names_is_kept_and_the_rest_looked_at_by_nobody():
    def endless() -> Any:
        for number in range(10**9):
            yield f"name_{number}"

    async def main() -> None:
        usage = Usage(Switched(own_database()))
        called(usage, *(f"name_{number}" for number in range(MOST_ARGUMENTS)))
        usage.count(PAUSE, "u", "a", NOW, endless())
        await usage.flush()
        [caller] = await found(usage)
        assert len(caller.ignored) == MOST_ARGUMENTS + 1
        assert names(caller)[OTHER] == 1
        assert all(calls == 2 for name, calls in names(caller).items() if name != OTHER)

    run(main())


def test_users_and_addresses_of_any_length_and_any_characters_are_stored():
    async def main() -> None:
        usage = Usage(Switched(own_database()))
        called(usage, user="Jürgen 🐘\0" + "x" * 1000, address="\udcff" * 1000)
        called(usage, user="", address=None)
        await usage.flush()
        callers = await found(usage)
        assert sorted((len(one.user), len(one.address or "")) for one in callers) == [(0, 0), (512, 64)]
        assert (await usage.read(None, "Jürgen 🐘\0" + "x" * 1000, "calls", 1))[1] == 1

    run(main())


def test_while_the_database_is_away_everything_waits_within_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "ROOM", 10)

    async def main() -> None:
        database = Switched(own_database())
        usage = Usage(database)
        database.away = True
        for number in range(100):
            called(usage, "subdir", f"made_up_{number}", address=f"10.0.0.{number}")
            if number % 10 == 0:
                with pytest.raises(counting.Unavailable):
                    await usage.flush()
        # Those that had come before there was no room, each with one more for its arguments, and the rest.
        assert len(usage._waiting) < 20
        database.away = False
        await usage.flush()
        callers = await found(usage)
        assert sum(one.calls for one in callers) == 100
        assert sum(names(one)["subdir"] for one in callers) == 100
        assert callers[0].address == OTHER
        assert usage._waiting == {}

    run(main())


def test_counting_asks_the_database_nothing_and_many_calls_are_few_statements():
    async def main() -> None:
        database = Switched(own_database())
        usage = Usage(database)
        for _ in range(10_000):
            called(usage, "subdir", "made_up")
        assert database.calls == 0
        await usage.flush()
        assert database.calls == 1
        [caller] = await found(usage)
        assert (caller.calls, names(caller)) == (10_000, {"made_up": 10_000, "subdir": 10_000})

    run(main())


def test_it_is_written_by_itself_and_what_is_left_at_the_stop(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        usage = Usage(Switched(own_database()))
        usage.start()
        monkeypatch.setattr(counting, "EVERY", 0.01)
        called(usage)
        deadline = time.monotonic() + 60
        while not await found(usage):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        monkeypatch.setattr(counting, "EVERY", 3600.0)
        await asyncio.sleep(0.05)
        called(usage)
        await usage.stop()
        assert (await found(usage))[0].calls == 2

    monkeypatch.setattr(counting, "EVERY", 0.01)
    run(main())


def test_a_stop_without_a_database_takes_no_longer_than_it_may_and_says_what_is_lost(
    caplog: pytest.LogCaptureFixture,
):
    async def main() -> None:
        database = Switched(own_database())
        usage = Usage(database)
        usage.start()
        called(usage)
        database.away = True
        await usage.stop(1)

    begin = time.monotonic()
    with caplog.at_level(logging.WARNING):
        run(main())
    assert time.monotonic() - begin < 30
    assert "1 rows of the use of the 1.x endpoints could not be written" in caplog.text


def test_a_row_is_forgotten_a_year_after_its_last_call(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        usage = Usage(Switched(own_database()))
        usage.count(PAUSE, "old", "a", datetime.now(timezone.utc) - timedelta(days=366))
        usage.count(PAUSE, "new", "a", datetime.now(timezone.utc) - timedelta(days=364))
        await usage.flush()
        usage._forget_at = 0
        usage.start()
        deadline = time.monotonic() + 60
        while len(await found(usage)) == 2:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        await usage.stop()
        assert [one.user for one in await found(usage)] == ["new"]

    monkeypatch.setattr(counting, "EVERY", 0.01)
    run(main())
