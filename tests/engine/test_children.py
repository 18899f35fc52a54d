from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from airflow_rest_api.engine import children
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Hooks
from tests.engine.conftest import Run, act, alive, first_line, gone, outcome
from tests.engine.conftest import at_rest as spares_are_ready
from tests.processes import descriptors

HOOKS = Hooks(warm="acts:import_all")


async def pid_of(engine: Engine, name: str = "which", *argv: str, resident: bool = True) -> int:
    """Return the process that runs a job."""
    _, process = await outcome(engine, act(name, *argv, resident=resident))
    return int(process.stdout.text.split()[0])


async def at_rest(engine: Engine) -> None:
    """Wait until each resident child waits for a job, or has ended."""
    for _ in range(3000):
        residents = engine._parent._residents if engine._parent else None
        if residents is None or len(residents._idle) == len(residents._all):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("a resident child is still at work")


async def one_after_another(engine: Engine, times: int, **options: Any) -> list[int]:
    found = []
    for _ in range(times):
        found.append(await pid_of(engine, **options))
        await at_rest(engine)
    return found


@pytest.fixture
def resident_engine(new_engine: Callable[..., Engine]) -> Engine:
    return new_engine(HOOKS, residents=1)


def test_one_child_runs_one_job_after_another(run: Run[Any], resident_engine: Engine):
    assert len(set(run(one_after_another(resident_engine, 5)))) == 1


def test_a_job_that_may_not_share_gets_a_child_of_its_own(run: Run[Any], resident_engine: Engine):
    shared = run(one_after_another(resident_engine, 1))
    own = run(one_after_another(resident_engine, 3, resident=False))

    assert len({*shared, *own}) == 4
    assert run(one_after_another(resident_engine, 1)) == shared


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no SCHED_BATCH")
def test_a_resident_child_takes_the_processor_from_nobody_when_it_wakes_up(
    run: Run[Any], resident_engine: Engine
):
    shared = run(pid_of(resident_engine, "scheduling"))
    own = run(pid_of(resident_engine, "scheduling", resident=False))

    assert (shared, own) == (os.SCHED_BATCH, os.SCHED_OTHER)


def test_without_resident_children_each_job_has_a_child_of_its_own(
    run: Run[Any], new_engine: Callable[..., Engine]
):
    assert len(set(run(one_after_another(new_engine(HOOKS, residents=0), 3)))) == 3


def test_new_interpreters_run_one_job_each(run: Run[Any], new_engine: Callable[..., Engine]):
    assert len(set(run(one_after_another(new_engine(HOOKS, residents=2, fork=False), 2)))) == 2


def test_only_a_child_without_hurry_leaves_the_processors_to_its_answer_first(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    async def lingered() -> list[float]:
        found = []
        for calm in (60.0, 60.0, 0.0, 60.0):
            monkeypatch.setattr(children, "CALM", calm)
            await one_after_another(resident_engine, 1)
            assert resident_engine._parent is not None
            found += [child.lingers for child in resident_engine._parent._residents._all]
        return found

    assert run(lingered()) == [0.0, 0.0, children.LINGERS, 0.0]


def test_a_child_that_lingers_takes_no_job_and_ends_with_its_socket(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    async def lingers() -> tuple[list[Any], bool]:
        pid = (await one_after_another(resident_engine, 1))[0]
        monkeypatch.setattr(children, "LINGERS", 600.0)
        monkeypatch.setattr(children, "CALM", 0.0)
        assert await pid_of(resident_engine) == pid
        await asyncio.sleep(0.5)
        assert resident_engine._parent is not None
        residents = resident_engine._parent._residents
        idle = [*residents._idle]
        for child in residents._all:
            child.control.shutdown(socket.SHUT_RDWR)
        ended = asyncio.ensure_future(gone(pid))
        # Long before it would be killed (`LEAVING`).
        await asyncio.wait({ended}, timeout=10)
        return idle, ended.done()

    assert run(lingers()) == ([], True)


def test_a_child_that_was_waited_for_does_not_linger_nor_does_the_next(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    async def lingered() -> list[float]:
        await one_after_another(resident_engine, 1)
        monkeypatch.setattr(children, "CALM", 0.3)
        monkeypatch.setattr(children, "FREE_WITHIN", 60.0)
        first = asyncio.ensure_future(pid_of(resident_engine, "doze", "0.6"))
        await asyncio.sleep(0.1)
        # Handed over when the first has ended, and another one right after it.
        await asyncio.gather(first, pid_of(resident_engine))
        found = []
        for _ in range(2):
            await at_rest(resident_engine)
            assert resident_engine._parent is not None
            found += [child.lingers for child in resident_engine._parent._residents._all]
            await pid_of(resident_engine)
        return found

    assert run(lingered()) == [0.0, 0.0]


def test_each_job_of_a_child_keeps_its_streams_apart_and_whole(run: Run[Any], resident_engine: Engine):
    async def printed() -> list[tuple[str, int, int]]:
        found = []
        for size in (0, 1, 200_000, 3, 0, 65_536):
            _, process = await outcome(resident_engine, act("print_much", str(size), resident=True))
            found.append((process.stdout.text[:5], len(process.stdout.text), len(process.stderr.text)))
        return found

    assert run(printed()) == [("x" * min(size, 5), size, size) for size in (0, 1, 200_000, 3, 0, 65_536)]


def test_a_refused_command_line_and_an_exit_code_do_not_end_it(run: Run[Any], resident_engine: Engine):
    first = run(one_after_another(resident_engine, 1))
    refused, _ = run(outcome(resident_engine, act("refuse", resident=True)))
    run(at_rest(resident_engine))
    left, _ = run(outcome(resident_engine, act("leave", "3", resident=True)))
    run(at_rest(resident_engine))

    assert (refused.ending, refused.exit_code, left.exit_code) == (Ending.USAGE, 2, 3)
    assert run(one_after_another(resident_engine, 1)) == first


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_job_that_is_ended_ends_its_child(run: Run[Any], resident_engine: Engine, how: str):
    async def ended() -> int:
        process: Any = resident_engine.submit(
            act("sleep", resident=True, timeout=0.5 if how == "timed out" else None)
        )
        pid = int(await first_line(process))
        if how == "cancelled":
            process.cancel()
        await process.wait()
        return pid

    before = run(one_after_another(resident_engine, 1))
    assert run(ended()) == before[0]
    assert run(gone(before[0]))
    assert run(one_after_another(resident_engine, 1)) != before


def test_one_that_asks_to_end_in_order_and_succeeds_is_not_used_again(run: Run[Any], resident_engine: Engine):
    async def ended() -> int:
        process: Any = resident_engine.submit(act("end_well", resident=True))
        pid = int(await first_line(process))
        process.cancel()
        await process.wait()
        return pid

    assert run(gone(run(ended())))


def test_a_child_ends_after_so_many_jobs(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "MOST_JOBS", 3)
    pids = run(one_after_another(resident_engine, 6))

    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3]


def test_a_child_without_a_job_ends_after_a_while(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "IDLE_FOR", 0.2)
    [pid] = run(one_after_another(resident_engine, 1))

    assert run(gone(pid))
    assert run(one_after_another(resident_engine, 1)) != [pid]


def test_a_job_waits_for_the_child_that_is_at_work_while_others_come_free(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    # Also where the tests have a busy machine.
    monkeypatch.setattr(children, "FREE_WITHIN", 60.0)

    async def at_once() -> list[int]:
        return await asyncio.gather(*(pid_of(resident_engine, "doze", "0.05") for _ in range(6)))

    run(one_after_another(resident_engine, 1))

    assert len(set(run(at_once()))) == 1


def test_a_cancelled_wait_leaves_the_child_to_the_next(
    run: Run[Any], resident_engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "FREE_WITHIN", 60.0)

    async def one_gives_up() -> tuple[int, int]:
        [pid] = await one_after_another(resident_engine, 1)
        busy = asyncio.ensure_future(pid_of(resident_engine, "doze", "0.5"))
        assert resident_engine._parent is not None
        residents = resident_engine._parent._residents
        while residents._idle:
            await asyncio.sleep(0.01)
        waits = resident_engine.submit(act("which", resident=True))
        while not residents._wanted:
            await asyncio.sleep(0.01)
        waits.cancel()
        await waits.wait()
        await busy
        await at_rest(resident_engine)
        return pid, await pid_of(resident_engine)

    before, after = run(one_gives_up())
    assert before == after


def test_where_none_comes_free_a_job_gets_a_child_of_its_own(run: Run[Any], resident_engine: Engine):
    async def beside_one_that_sleeps() -> tuple[int, int, bool]:
        long: Any = resident_engine.submit(act("sleep", resident=True))
        busy = int(await first_line(long))
        other = await pid_of(resident_engine)
        ends = await gone(other)
        long.cancel()
        await long.wait()
        return busy, other, ends

    busy, other, ends = run(beside_one_that_sleeps())
    assert busy != other
    assert ends


def test_jobs_at_the_same_time_get_as_many_children_as_may_be(
    run: Run[Any], new_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "FREE_WITHIN", 60.0)
    engine = new_engine(HOOKS, residents=3)

    async def at_once() -> set[int]:
        return set(await asyncio.gather(*(pid_of(engine, "doze", "0.05") for _ in range(12))))

    run(at_once())
    run(at_rest(engine))

    assert len(run(at_once())) <= 3
    assert len(engine._parent._residents._all) <= 3  # type: ignore[union-attr]


def test_a_child_that_was_killed_between_two_jobs_is_replaced(run: Run[Any], resident_engine: Engine):
    [pid] = run(one_after_another(resident_engine, 1))
    os.kill(pid, 9)

    assert run(one_after_another(resident_engine, 1)) != [pid]


def test_a_renewed_parent_has_resident_children_of_its_own(
    run: Run[Any], new_engine: Callable[..., Engine], tmp_path: Any
):
    file = tmp_path / "configuration"
    file.write_text("one")
    engine = new_engine(Hooks(warm="acts:warm"), residents=1, preload=(str(file),))
    [before] = run(one_after_another(engine, 1))
    file.write_text("another")
    [after] = run(one_after_another(engine, 1))

    assert after != before
    assert run(gone(before))


def test_stopping_the_engine_ends_them(run: Run[Any], new_engine: Callable[..., Engine]):
    engine = new_engine(HOOKS, residents=1)
    [pid] = run(one_after_another(engine, 1))
    assert alive(pid)
    run(engine.stop())

    assert run(gone(pid))


def test_hundreds_of_jobs_leave_neither_descriptors_nor_processes(run: Run[Any], resident_engine: Engine):
    run(one_after_another(resident_engine, 2))
    run(spares_are_ready(resident_engine))
    before = descriptors()
    pids = run(one_after_another(resident_engine, 300))
    run(spares_are_ready(resident_engine))

    assert len(set(pids)) == 1
    assert descriptors() == before
    assert len(os.listdir(f"/proc/{pids[0]}/fd")) == 4


def test_no_job_is_lost_or_mixed_up_while_children_end_and_begin(
    run: Run[Any], new_engine: Callable[..., Engine]
):
    engine = new_engine(HOOKS, residents=2, parallelism=8)
    left = ["a file", "a thread", "a function", "an exception", "a cache"]

    async def one(number: int) -> bool:
        if number % 3 == 0:
            how, _ = await outcome(engine, act("leave_behind", left[number % len(left)], resident=True))
            return how.ending is Ending.EXITED
        _, process = await outcome(engine, act("echo", f"job {number}", resident=True))
        return bool(process.stdout.text == f"'job {number}'\n")

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(60)))

    assert all(run(all_at_once()))
