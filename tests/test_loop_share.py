"""Many coroutines, one event loop that is somebody else's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from airflow_rest_api.loop_share import LoopShare

STEP = 0.002


async def works(steps: int, done: list[int] | None = None, number: int = 0) -> int:
    for _ in range(steps):
        end = time.perf_counter() + STEP
        while time.perf_counter() < end:
            pass
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


def test_another_task_waits_for_the_budget_of_a_turn_and_not_for_all_that_is_ready():
    async def both() -> tuple[float, float]:
        share = LoopShare(budget=2 * STEP)
        alone = await turns_of_another([works(20) for _ in range(50)], 10)
        shared = await turns_of_another([share.run(works(20)) for _ in range(50)], 10)
        return alone, shared

    alone, shared = asyncio.run(both())

    # Fifty steps a turn against three.
    assert shared < alone / 4


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
        assert share.waiting
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        await asyncio.sleep(0.01)
        assert not share.waiting

    asyncio.run(run())
    assert len(cleaned) == len(begun) > 0


def test_a_coroutine_that_nobody_hurries_costs_no_turn():
    async def run() -> int:
        share, turns = LoopShare(), 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        await asyncio.sleep(0)
        turns = 0
        for _ in range(10):
            await share.run(asyncio.sleep(0))  # type: ignore[arg-type]
        counting.cancel()
        return turns

    assert asyncio.run(run()) <= 11
