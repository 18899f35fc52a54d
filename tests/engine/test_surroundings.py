from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Hooks, Limits
from tests.engine import acts
from tests.engine.conftest import KeepingEngine, Run, act, gone, outcome

HOOKS = Hooks(warm="acts:import_all")


@pytest.fixture(scope="module")
def resident(run: Run[Any]) -> Iterator[Engine]:
    """Return an engine that has one resident child at most."""
    engine = KeepingEngine(Limits(residents=1, grace=1.0), HOOKS)
    yield engine
    run(engine.stop())


async def state(engine: Engine, **options: Any) -> tuple[int, dict[str, Any]]:
    """Return the process in which the next job runs, and what a command finds there."""
    _, process = await outcome(engine, act("state", resident=True, **options))
    found = json.loads(process.stdout.text)
    return found["pid"], found["state"]


async def rested(engine: Engine) -> None:
    """Wait until the resident child waits for a job, or has ended."""
    for _ in range(3000):
        residents = engine._parent._residents
        if not residents._all or residents._idle:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the resident child is still at work")


def test_what_a_command_changes_is_put_back_for_the_next(run: Run[Any], resident: Engine):
    pid, fresh = run(state(resident))
    run(rested(resident))
    run(outcome(resident, act("change_what_is_put_back", "left", resident=True)))
    run(rested(resident))

    other, found = run(state(resident))
    assert {name: value for name, value in found.items() if value != fresh[name]} == {}
    assert other == pid


def test_each_command_is_warned_anew(run: Run[Any], resident: Engine):
    for _ in range(3):
        _, process = run(outcome(resident, act("warn", resident=True)))
        assert "UserWarning: careful" in process.stderr.text
        run(rested(resident))


def test_a_job_brings_its_folder_and_environment_and_takes_them_with_it(run: Run[Any], resident: Engine):
    pid, fresh = run(state(resident))
    run(rested(resident))
    other, brought = run(state(resident, cwd="/", env={"BROUGHT": "here"}))
    run(rested(resident))

    assert other == pid
    assert (brought["folder"], brought["environment"]["BROUGHT"]) == ("/", "here")
    assert run(state(resident)) == (pid, fresh)


@pytest.mark.parametrize("left", acts._LEAVES)
def test_what_cannot_be_put_back_ends_the_process(run: Run[Any], resident: Engine, left: str):
    how, process = run(outcome(resident, act("leave_behind", left, resident=True)))
    before = int(process.stdout.text.splitlines()[0])
    run(rested(resident))

    assert how.ending is Ending.EXITED
    assert run(gone(before))
    assert run(state(resident))[0] != before


def test_what_a_daemon_prints_late_reaches_no_other_command(run: Run[Any], new_engine: Callable[..., Engine]):
    engine = new_engine(HOOKS, residents=1)

    async def after_a_daemon() -> list[str]:
        await outcome(engine, act("leave_behind", "a daemon", resident=True))
        printed = []
        for _ in range(5):
            _, process = await outcome(engine, act("both", resident=True))
            printed.append(process.stdout.text)
            await asyncio.sleep(0.1)
        return printed

    assert run(after_a_daemon()) == ["to stdout\n"] * 5


def test_what_a_command_has_not_printed_to_the_end_reaches_no_other_command(run: Run[Any], resident: Engine):
    pid, _ = run(state(resident))
    run(rested(resident))
    _, first = run(outcome(resident, act("exchange_streams", "nothing", resident=True)))
    run(rested(resident))
    _, second = run(outcome(resident, act("which", resident=True)))

    assert (first.stdout.text, second.stdout.text) == ("unfinished ", f"{pid}\n")
