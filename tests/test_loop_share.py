"""Airflow's event loop, of which our requests and commands have a part."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Sequence
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


async def cancel(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    """Cancel tasks; return what each of them has returned or raised."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def turns_of_another(coroutines: list[Coroutine[Any, Any, Any]], turns: int) -> float:
    """Return the seconds that so many turns of the loop take beside coroutines."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    began = time.perf_counter()
    for _ in range(turns):
        await asyncio.sleep(0)
    seconds = time.perf_counter() - began
    await cancel(tasks)
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


class Clock:
    """What takes as long as it says, on a machine that has other work as well."""

    def __init__(self) -> None:
        self._now = 0.0

    def perf_counter(self) -> float:
        return self._now

    def keep_busy(self, seconds: float) -> None:
        self._now += seconds


async def count_work(steps: list[int], clock: Clock) -> None:
    """Add one to the only number of a list in each step, which takes longer than a pause gives to ours."""
    while True:
        clock.keep_busy(1.2 * loop_share.OTHERS / loop_share.TIMES)
        steps[0] += 1
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Have a clock that nobody else moves."""
    clock = Clock()
    monkeypatch.setattr(loop_share, "time", clock)
    return clock


def steps_beside(
    clock: Clock, turns: int, *, asked: bool = True, new: float = 60.0, coroutines: int = 20
) -> int:
    """Return the steps of ours in some turns, in each of which a request of Airflow's own is at work."""

    async def run() -> int:
        # There is always something ready, so the loop never waits for a moment that does not come.
        asyncio.get_running_loop().time = clock.perf_counter  # type: ignore[method-assign]
        others = OtherRequests(new)
        share = LoopShare(budget=1e-9, others=others)
        steps = [0]
        with others.one() if asked else contextlib.nullcontext():
            tasks = [asyncio.ensure_future(share.run(count_work(steps, clock))) for _ in range(coroutines)]
            await asyncio.sleep(0)
            steps[0] = 0
            for _ in range(turns):
                clock.keep_busy(loop_share.OTHERS / 10)
                await asyncio.sleep(0)
            await cancel(tasks)
        return steps[0]

    return asyncio.run(run())


@pytest.mark.parametrize("coroutines", [1, 20])
def test_the_loop_is_left_to_airflows_own_requests_but_for_a_fifth(clock: Clock, coroutines: int):
    # Ten turns to a pause, and a step of ours after it.
    assert 10 <= steps_beside(clock, 200, coroutines=coroutines) <= 20
    assert steps_beside(clock, 200, coroutines=coroutines, asked=False) > 150


def test_a_stream_of_airflows_own_holds_nobody_up(clock: Clock):
    assert steps_beside(clock, 100, new=0.0) > 75


def test_a_pause_ends_with_the_answer_to_the_last_of_airflows_own_requests(monkeypatch):
    monkeypatch.setattr(loop_share, "OTHERS", 60.0)

    async def run() -> list[int]:
        others = OtherRequests()
        share = LoopShare(others=others)
        steps, found = [0], []
        with others.one():
            with others.one():
                task = asyncio.ensure_future(share.run(count(steps)))
                await settle()
                found.append(steps[0])
            await settle()
            found.append(steps[0])
        await settle()
        found.append(steps[0])
        await cancel([task])
        return found

    first, second, third = asyncio.run(run())
    assert (first, second) == (0, 0)
    assert third > 0


def test_who_pauses_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(loop_share, "OTHERS", 60.0)

    async def run() -> None:
        others = OtherRequests()
        share = LoopShare(others=others)
        with others.one():
            task = asyncio.ensure_future(share.run(asyncio.sleep(60)))  # type: ignore[arg-type]
            await settle()
            assert isinstance((await cancel([task]))[0], asyncio.CancelledError)

    asyncio.run(run())


def test_a_request_is_new_until_it_is_answered_whatever_else_is_open():
    others = OtherRequests(new=0.05)
    with others.one():
        assert others.any_new
        time.sleep(0.06)
        assert not others.any_new
        with others.one():
            assert others.any_new
        assert not others.any_new


def test_one_that_goes_on_without_an_end_leaves_its_place_to_those_who_came_later():
    async def run() -> list[int]:
        share = LoopShare(budget=1e-9)
        counts: list[list[int]] = [[0] for _ in range(5)]
        tasks = [asyncio.ensure_future(share.run(always_ready(steps))) for steps in counts]
        while sum(steps[0] for steps in counts) < 20 * loop_share.PATIENCE:
            await asyncio.sleep(0)
        await cancel(tasks)
        return [steps for [steps] in counts]

    assert min(asyncio.run(run())) > loop_share.PATIENCE


async def always_ready(steps: list[int]) -> None:
    """Count steps, each of which waits for a turn as soon as the one before is over."""
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    while True:
        steps[0] += 1
        await asyncio.wait({done, asyncio.ensure_future(asyncio.sleep(0))})


def test_a_share_goes_on_in_the_next_loop_where_its_loop_was_closed_in_the_middle():
    share = LoopShare(budget=1e-9)

    async def begin() -> None:
        for _ in range(3):
            asyncio.ensure_future(share.run(works(10)))  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.close()

    assert asyncio.run(share.run(works(3, number=5))) == 5


OURS = ("/admin/rest_api", "/api/v1/security")


@pytest.mark.parametrize(
    ("path", "root", "own"),
    [
        ("/api/v2/version", "", True),
        ("/base/api/v2/version", "/base", True),
        ("/", "", True),
        ("/admin/rest_api/v2/commands", "", False),
        ("/base/admin/rest_api/", "/base", False),
        ("/admin/rest_api", "", False),
        ("/admin/rest_apis", "", True),
        ("/api/v1/security/login", "", False),
    ],
)
@pytest.mark.parametrize("error", [None, LookupError()])
def test_a_request_to_any_path_but_ours_is_airflows_own_until_it_is_answered_or_fails(
    path: str, root: str, own: bool, error: Exception | None
):
    others, found = OtherRequests(new=60.0), list[bool]()

    async def app(*_: Any) -> None:
        found.append(others.any_new)
        if error is not None:
            raise error

    with contextlib.suppress(LookupError):
        asyncio.run(
            OthersFirst(app, others, OURS)({"type": "http", "path": path, "root_path": root}, app, app)  # type: ignore[arg-type]
        )

    assert (found, others.any_new) == ([own], False)


def test_those_who_came_first_end_first():
    async def run() -> list[int]:
        share, done = LoopShare(budget=2 * STEP), list[int]()
        await asyncio.gather(*(share.run(works(4, done, number)) for number in range(40)))
        return done

    done = asyncio.run(run())

    assert sorted(done) == list(range(40))
    assert sum(done[:10]) < sum(done[-10:])
    assert max(done[:5]) < 20


def test_who_was_woken_has_the_turn_whoever_takes_what_there_is_without_waiting():
    async def main() -> list[int]:
        loop, share = asyncio.get_running_loop(), LoopShare()
        ours = asyncio.ensure_future(share.run(works(3)))
        taken: list[int] = []

        def take(turn: int) -> None:
            """Be what looks before each of its steps, as the output of a command, and is always ready."""
            if not share.is_promised:
                share.spend(1.0)
                taken.append(turn)
            if not ours.done() and turn < 1000:
                loop.call_soon(take, turn + 1)

        take(0)
        while taken[-1] < 900 and not ours.done():
            await asyncio.sleep(0)
        assert ours.done()
        return taken

    assert asyncio.run(main())


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
        assert share._queue
        ended = await cancel(tasks)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        await asyncio.sleep(0.01)
        assert not share._queue

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


class Requests:
    """Requests of ours that are begun, and end when they are told."""

    def __init__(self, share: LoopShare, number: int) -> None:
        self.begun: list[int] = []
        self.ends = [asyncio.Event() for _ in range(number)]
        self.tasks = [asyncio.ensure_future(self._run(share, one)) for one in range(number)]

    async def _run(self, share: LoopShare, one: int) -> None:
        number = await share.begin()
        self.begun.append(one)
        try:
            await self.ends[one].wait()
        finally:
            share.end(number)

    async def end(self, *ones: int) -> None:
        for one in ones:
            self.ends[one].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def asked_for() -> OtherRequests:
    """Return requests of others of which one has just been answered."""
    others = OtherRequests()
    with others.one():
        return others


def test_ours_are_begun_one_after_the_other_while_airflows_own_are_asked_for(monkeypatch):
    monkeypatch.setattr(loop_share, "RECENT", 60.0)
    monkeypatch.setattr(loop_share, "BEGUN", 60.0)

    async def run() -> None:
        ours = Requests(LoopShare(others=asked_for()), 3)
        await settle()
        assert ours.begun == [0]
        await ours.end(1, 2)
        assert ours.begun == [0]
        await ours.end(0)
        assert ours.begun == [0, 1, 2]

    asyncio.run(run())


def test_one_that_waits_for_a_command_does_not_keep_the_next_from_beginning(monkeypatch):
    monkeypatch.setattr(loop_share, "RECENT", 60.0)

    async def run() -> None:
        ours = Requests(LoopShare(others=asked_for()), 20)
        await settle()
        assert ours.begun == [0]
        while len(ours.begun) < 20:
            await asyncio.sleep(0.001)
        await cancel(ours.tasks)

    asyncio.run(run())


def test_all_are_begun_at_once_where_nothing_of_airflows_own_is_asked_for(monkeypatch):
    monkeypatch.setattr(loop_share, "BEGUN", 60.0)

    async def run() -> None:
        ours = Requests(LoopShare(), 5)
        await settle()
        assert ours.begun == [0, 1, 2, 3, 4]
        await cancel(ours.tasks)

    asyncio.run(run())


def test_all_that_wait_are_begun_when_nothing_of_airflows_own_was_asked_for_of_late(monkeypatch):
    monkeypatch.setattr(loop_share, "RECENT", 60.0)
    monkeypatch.setattr(loop_share, "BEGUN", 60.0)

    async def run() -> None:
        ours = Requests(LoopShare(others=asked_for()), 5)
        await settle()
        monkeypatch.setattr(loop_share, "RECENT", 0.0)
        await ours.end(0)
        assert ours.begun == [0, 1, 2, 3, 4]
        await cancel(ours.tasks)

    asyncio.run(run())


def test_who_waits_to_be_begun_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(loop_share, "RECENT", 60.0)
    monkeypatch.setattr(loop_share, "BEGUN", 60.0)

    async def run() -> None:
        ours = Requests(LoopShare(others=asked_for()), 4)
        await settle()
        # One that waits, and one in the moment in which it may begin.
        await cancel(ours.tasks[1:2])
        ours.ends[0].set()
        while not ours.tasks[0].done():
            await asyncio.sleep(0)
        await cancel(ours.tasks[2:3])
        await settle()
        assert ours.begun == [0, 3]
        await cancel(ours.tasks)

    asyncio.run(run())
