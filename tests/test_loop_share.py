"""Airflow's event loop, of which our requests and commands have a part."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from airflow_rest_api import loop_share
from airflow_rest_api.loop_share import LoopShare, OtherRequests, OthersFirst

STEP = 0.002


def keep_busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def works(steps: int, done: list[int] | None = None, number: int = 0) -> int:
    for _ in range(steps):
        keep_busy(STEP)
        await asyncio.sleep(0)
    if done is not None:
        done.append(number)
    return number


async def turns_of_another(coroutines: list[Coroutine[Any, Any, Any]], turns: int) -> float:
    """Return the seconds that so many turns of the loop take beside coroutines."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    began = time.perf_counter()
    for _ in range(turns):
        await asyncio.sleep(0)
    seconds = time.perf_counter() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seconds


async def count(turns: list[int]) -> None:
    """Add one to the only number of a list in each turn, and never end."""
    while True:
        turns[0] += 1
        await asyncio.sleep(0)


async def turns_until(coroutine: Coroutine[Any, Any, Any]) -> int:
    """Return how many turns the loop takes until a coroutine has ended."""
    turns = [0]
    counting = asyncio.ensure_future(count(turns))
    await asyncio.sleep(0)
    turns[0] = 0
    await coroutine
    counting.cancel()
    return turns[0]


@pytest.mark.slow
def test_another_task_waits_for_the_budget_of_a_turn_and_not_for_all_that_is_ready():
    async def both() -> tuple[float, float]:
        share = LoopShare(budget=2 * STEP)
        alone = await turns_of_another([works(20) for _ in range(50)], 10)
        shared = await turns_of_another([share.run(works(20)) for _ in range(50)], 10)
        return alone, shared

    alone, shared = asyncio.run(both())

    # Fifty steps a turn against three.
    assert shared < alone / 4


async def steps_within(share: LoopShare, seconds: float, coroutines: int = 50) -> int:
    """Return how many steps coroutines take in a time."""
    steps = [0]
    tasks = [asyncio.ensure_future(share.run(count(steps))) for _ in range(coroutines)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return steps[0]


def test_beside_a_request_of_airflows_own_that_is_new_ours_take_a_step_now_and_then():
    async def run() -> tuple[int, int]:
        others = OtherRequests(new=60.0)
        share = LoopShare(budget=1e-9, others=others)
        with others.one():
            beside = await steps_within(share, 10 * loop_share.OTHERS)
        return beside, await steps_within(share, 10 * loop_share.OTHERS)

    beside, alone = asyncio.run(run())

    assert 2 <= beside <= 12
    assert alone > 100


def test_ours_go_on_as_soon_as_airflows_own_has_its_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop_share, "OTHERS", 60.0)

    async def run() -> int:
        others = OtherRequests(new=60.0)
        share = LoopShare(budget=1e-9, others=others)
        with others.one():
            ten = asyncio.gather(*(share.run(works(5)) for _ in range(10)))
            await asyncio.sleep(0.05)
            assert not ten.done()
        return await turns_until(ten)  # type: ignore[arg-type]

    assert asyncio.run(run()) < 200


def test_a_stream_of_airflows_own_holds_nobody_up():
    async def run() -> int:
        others = OtherRequests(new=0.0)
        share = LoopShare(budget=1e-9, others=others)
        with others.one():
            return await steps_within(share, 10 * loop_share.OTHERS)

    assert asyncio.run(run()) > 100


def test_one_of_ours_that_is_alone_waits_for_no_request_of_airflows_own():
    async def run() -> int:
        others = OtherRequests(new=60.0)
        share = LoopShare(budget=1e-9, others=others)
        with others.one():
            return await steps_within(share, 10 * loop_share.OTHERS, coroutines=1)

    assert asyncio.run(run()) > 50


OURS = ("/admin/rest_api", "/api/v1/security")


@pytest.mark.parametrize(
    ("path", "root", "first"),
    [
        ("/api/v2/version", "", True),
        ("/base/api/v2/version", "/base", True),
        ("/", "", True),
        ("/admin/rest_api/v2/commands", "", False),
        ("/base/admin/rest_api/", "/base", False),
        ("/api/v1/security/login", "", False),
    ],
)
@pytest.mark.parametrize("error", [None, LookupError()])
def test_a_request_to_any_path_but_ours_goes_first_until_it_is_answered_or_fails(
    path: str, root: str, first: bool, error: Exception | None
):
    others, found = OtherRequests(new=60.0), list[bool]()

    async def app(*_: Any) -> None:
        found.append(others.first)
        if error is not None:
            raise error

    with contextlib.suppress(LookupError):
        asyncio.run(
            OthersFirst(app, others, OURS)({"type": "http", "path": path, "root_path": root}, app, app)  # type: ignore[arg-type]
        )

    assert (found, others.first) == ([first], False)


def test_those_who_came_first_end_first():
    async def run() -> list[int]:
        share, done = LoopShare(budget=2 * STEP), list[int]()
        await asyncio.gather(*(share.run(works(4, done, number)) for number in range(40)))
        return done

    done = asyncio.run(run())

    assert sorted(done) == list(range(40))
    assert sum(done[:10]) < sum(done[-10:])
    assert max(done[:5]) < 20


def test_what_a_coroutine_returns_and_raises_is_passed_on():
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("gone")

    async def run() -> None:
        share = LoopShare(budget=0.0001)
        assert await share.run(works(3, number=7)) == 7
        with pytest.raises(LookupError, match="gone"):
            await share.run(fails())
        with pytest.raises(asyncio.TimeoutError):
            await share.run(asyncio.wait_for(asyncio.sleep(30), 0.01))

    asyncio.run(run())


def test_who_waits_for_a_turn_can_be_cancelled():
    begun, cleaned = [], []

    async def careful() -> None:
        begun.append(True)
        try:
            while True:
                await works(1)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            cleaned.append(True)
            raise

    async def run() -> None:
        share = LoopShare(budget=STEP)
        tasks = [asyncio.ensure_future(share.run(careful())) for _ in range(30)]
        await asyncio.sleep(0.05)
        assert share._waiting
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        await asyncio.sleep(0.01)
        assert not share._waiting

    asyncio.run(run())
    assert len(cleaned) == len(begun) > 0


def test_a_coroutine_that_nobody_hurries_costs_no_turn():
    async def run() -> int:
        share = LoopShare(budget=10.0)

        async def ten() -> None:
            for _ in range(10):
                await share.run(asyncio.sleep(0))  # type: ignore[arg-type]

        return await turns_until(ten())

    assert asyncio.run(run()) <= 11
