"""A machine without room for one more process, or its descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.engine import engine as engine_module
from airflow_rest_api.engine import parent as parent_module
from airflow_rest_api.engine import wire
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.forkserver import ForkServer, Snapshot, snapshot
from airflow_rest_api.engine.job import Ending, Hooks, Limits, Outcome
from airflow_rest_api.engine.parent import CannotFork, Child, environment, fresh_child
from tests.engine.conftest import Run, act, at_rest, gone, outcome
from tests.processes import descriptors

Full = Callable[[Any, str, Iterable[int]], None]


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_a_fork_that_fails_is_told_and_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch, call: str):
    def full(*_: object) -> Any:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    here, there = socket.socketpair()
    with here, there:
        server = ForkServer(there)
        before = descriptors()
        monkeypatch.setattr(os, call, full)
        wire.send(here, {"fork": False})
        assert server._obey()
        assert wire.receive(here) == {"unforked": errno.EAGAIN}
        assert descriptors() == before


def test_a_child_that_has_become_another_users_ends_nobody_elses_command(monkeypatch: pytest.MonkeyPatch):
    def of_another_user(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    here, there = socket.socketpair()
    with here, there:
        server = ForkServer(there)
        server._children[2**22 + 1] = {}
        monkeypatch.setattr(os, "killpg", of_another_user)
        monkeypatch.setattr(os, "kill", of_another_user)
        wire.send(here, {"signal": signal.SIGINT, "pid": 2**22 + 1})
        assert server._obey()


def test_a_command_waits_until_there_is_room(run: Run[Any], engine: Engine, monkeypatch: pytest.MonkeyPatch):
    run(outcome(engine, act("echo", "warm")))
    assert engine._parent is not None
    parent, child, tries = type(engine._parent), engine._parent.child, []

    async def full_at_first(self: Any) -> Child:
        tries.append(1)
        if len(tries) == 1:
            raise CannotFork
        return await child()

    monkeypatch.setattr(parent, "child", full_at_first)
    assert run(outcome(engine, act("echo", "x")))[1].stdout.text == "'x'\n"
    assert len(tries) == 2


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Full:
    """Have one call of a module fail, at first or always; the temporary folder is the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(engine_module, "NO_ROOM_PAUSE", 0.01)

    def fails(module: Any, name: str, which: Iterable[int]) -> None:
        works, calls, failing = getattr(module, name), count(), set(which)

        def call(*given: Any, **more: Any) -> Any:
            if next(calls) in failing:
                raise OSError(errno.EMFILE, "Too many open files")
            return works(*given, **more)

        monkeypatch.setattr(module, name, call)

    return fails


STEPS = [(tempfile, "mkdtemp"), (socket, "socketpair"), (subprocess, "Popen")]


@pytest.mark.parametrize(("module", "name"), STEPS)
def test_an_engine_without_room_for_its_parent_starts_and_leaves_nothing(
    run: Run[Any], new_engine: Callable[..., Engine], full: Full, tmp_path: Path, module: Any, name: str
):
    engine = new_engine()
    full(module, name, {0})

    async def left() -> int:
        before = descriptors()
        await engine.start()
        return descriptors() - before

    assert (run(left()), engine._parent, [*tmp_path.iterdir()]) == (0, None, [])
    assert run(outcome(engine, act("echo", "x")))[1].stdout.text == "'x'\n"
    assert engine._parent is not None


@pytest.mark.parametrize(("module", "name"), STEPS)
def test_a_command_waits_until_there_is_room_for_its_parent(
    run: Run[Any], new_engine: Callable[..., Engine], full: Full, module: Any, name: str
):
    engine = new_engine()
    full(module, name, {0})

    assert run(outcome(engine, act("echo", "x")))[1].stdout.text == "'x'\n"
    assert engine._parent is not None


def test_a_parent_is_retired_once_there_is_room_for_the_next(
    run: Run[Any], watching: Engine, watched: Path, full: Full
):
    run(outcome(watching, act("echo", "x", resident=True)))
    before = watching._parent
    watched.write_text("changed")
    full(subprocess, "Popen", {0, 1})

    assert run(outcome(watching, act("echo", "x", resident=True)))[1].stdout.text == "'x'\n"
    assert before is not None
    assert watching._parent is not before
    assert watching._retired == [before]


@pytest.mark.parametrize("which", [{0}, {1}])
def test_a_new_interpreter_without_room_for_its_pipes_leaves_none_open(
    run: Run[Any], full: Full, tmp_path: Path, which: set[int]
):
    full(os, "pipe", which)

    async def left() -> int:
        before = descriptors()
        with pytest.raises(OSError, match="Too many"):
            await fresh_child(Limits(), str(tmp_path))
        return descriptors() - before

    assert run(left()) == 0


class Looks:
    """The looks at what a parent was made from, each of which waits until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.threads: list[threading.Thread] = []
        monkeypatch.setattr(parent_module, "FEW", 0)
        monkeypatch.setattr(parent_module, "snapshot", self)

    def __call__(self, paths: Sequence[str]) -> Snapshot:
        found = snapshot(paths)
        self.threads.append(threading.current_thread())
        assert self.go_on.wait(60)
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    file = tmp_path / "watched"
    file.touch()
    return file


@pytest.fixture
def watching(new_engine: Callable[..., Engine], watched: Path) -> Engine:
    return new_engine(Hooks(warm="acts:warm"), preload=(str(watched),), residents=1)


async def while_it_is_looked(engine: Engine, looks: Looks) -> Any:
    """Submit a command; return it once its look is under way."""
    await outcome(engine, act("echo", "x", resident=True))
    process: Any = engine.submit(act("echo", "x", resident=True))
    while not looks.threads:
        await asyncio.sleep(0.01)
    return process


def test_many_that_come_during_a_look_share_the_next_and_see_what_has_changed_meanwhile(
    run: Run[Any], watching: Engine, watched: Path, monkeypatch: pytest.MonkeyPatch
):
    async def change() -> tuple[int, bool]:
        looks = Looks(monkeypatch)
        first = await while_it_is_looked(watching, looks)
        before = watching._parent
        watched.write_text("changed")
        others: list[Any] = [watching.submit(act("echo", "x", resident=True)) for _ in range(5)]
        await asyncio.sleep(0)
        looks.go_on.set()
        await asyncio.gather(*(one.wait() for one in (first, *others)))
        assert threading.main_thread() not in looks.threads
        return len(looks.threads), watching._parent is before

    assert run(change()) == (2, False)


def test_a_command_is_cancelled_while_a_disk_does_not_answer_the_look(
    run: Run[Any], watching: Engine, monkeypatch: pytest.MonkeyPatch
):
    async def cancel() -> Ending:
        looks = Looks(monkeypatch)
        process = await while_it_is_looked(watching, looks)
        process.cancel()
        how: Outcome = await asyncio.wait_for(process.wait(), 60)
        looks.go_on.set()
        return how.ending

    assert run(cancel()) is Ending.CANCELLED


def test_a_look_that_cannot_be_made_keeps_no_command_from_running(
    run: Run[Any], watching: Engine, monkeypatch: pytest.MonkeyPatch
):
    async def unseen() -> str:
        await outcome(watching, act("echo", "x", resident=True))
        monkeypatch.setattr(parent_module, "FEW", 0)
        monkeypatch.setattr(parent_module, "snapshot", None)
        return str((await outcome(watching, act("echo", "x", resident=True)))[1].stdout.text)

    assert run(unseen()) == "'x'\n"


def test_a_child_that_comes_to_a_cancelled_wait_ends_with_a_retired_parent(
    run: Run[Any], new_engine: Callable[..., Engine]
):
    engine = new_engine()
    run(outcome(engine, act("echo", "warm")))
    parent = engine._parent
    assert parent is not None

    async def retired_meanwhile() -> bool:
        child = await parent.child()
        await at_rest(engine)
        spares, parent._spares = parent._spares, deque()
        waiting = asyncio.ensure_future(parent.child())
        await asyncio.sleep(0)
        parent._wanted.popleft().set_result(child)
        parent._spares = spares
        parent.retire()
        waiting.cancel()
        await asyncio.wait({waiting})
        return waiting.cancelled() and await gone(child.pid)

    assert run(retired_meanwhile())
    assert run(gone(parent.pid))


@pytest.mark.parametrize("answer", [{"unforked": errno.EAGAIN}, {"child": 2**22 + 1, "descriptors": 3}])
def test_a_retired_parent_ends_also_where_it_could_not_give_the_last_child(
    run: Run[Any], new_engine: Callable[..., Engine], answer: dict[str, Any]
):
    engine = new_engine()
    run(outcome(engine, act("echo", "warm")))
    run(at_rest(engine))
    parent = engine._parent
    assert parent is not None

    async def asked_for_one_more() -> None:
        parent._asked += 1
        parent.retire()
        while parent._children:
            await asyncio.sleep(0.01)
        assert not parent.lost
        parent._take(answer, [])

    run(asked_for_one_more())
    assert parent.lost
    assert run(gone(parent.pid))


def test_who_waits_for_a_child_is_told_that_there_is_no_room(run: Run[Any], engine: Engine):
    run(outcome(engine, act("echo", "warm")))
    parent = engine._parent
    assert parent is not None

    async def wait(message: dict[str, Any], *given: int) -> None:
        parent._spares, spares = type(parent._spares)(), parent._spares
        parent.refill, refill = lambda: None, parent.refill  # type: ignore[method-assign]
        try:
            waiting = asyncio.ensure_future(parent.child())
            await asyncio.sleep(0)
            parent._asked += 1
            parent._take(message, list(given))
            with pytest.raises(CannotFork):
                await waiting
        finally:
            parent._spares, parent.refill = spares, refill  # type: ignore[method-assign]

    # A spare child that comes meanwhile has descriptors too.
    run(at_rest(engine))
    before = descriptors()
    run(wait({"unforked": errno.EAGAIN}))
    # A child that came with one of its three descriptors only; there is no process of this number.
    run(wait({"child": 2**22 + 1, "descriptors": 3}, os.dup(0)))
    assert descriptors() == before
    assert run(outcome(engine, act("echo", "x")))[1].stdout.text == "'x'\n"


@pytest.mark.slow
def test_a_fresh_child_that_ends_after_the_loop_was_closed_is_reaped_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    loop = asyncio.new_event_loop()
    child = loop.run_until_complete(fresh_child(Limits(), str(tmp_path)))
    loop.close()

    child.send_signal(signal.SIGKILL)
    name = f"airflow-command-{child.pid}"
    for waiting in [thread for thread in threading.enumerate() if thread.name == name]:
        waiting.join(30)
        assert not waiting.is_alive()
    assert failed == []
    child.close()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"PYTHONPATH": "lib:/modules:"}, {"PYTHONPATH": "{here}/lib:/modules:{here}/"}),
        ({"PYTHONPATH": ""}, {"PYTHONPATH": ""}),
        ({"AIRFLOW_HOME": "airflow"}, {"AIRFLOW_HOME": "{here}/airflow"}),
        ({"AIRFLOW_CONFIG": "~/airflow.cfg"}, {"AIRFLOW_CONFIG": "~/airflow.cfg"}),
        ({"AIRFLOW__CORE__DAGS_FOLDER": "dags"}, {"AIRFLOW__CORE__DAGS_FOLDER": "{here}/dags"}),
        ({"AIRFLOW__CORE__PLUGINS_FOLDER": "/plugins"}, {"AIRFLOW__CORE__PLUGINS_FOLDER": "/plugins"}),
    ],
)
def test_what_is_relative_in_the_environment_is_so_to_the_servers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], found: dict[str, str]
):
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    made = environment(Limits())

    assert {name: made[name] for name in given} == {
        name: value.replace("{here}", str(tmp_path)) for name, value in found.items()
    }


def test_a_server_whose_folder_was_removed_has_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("PYTHONPATH", "lib")

    assert environment(Limits())["PYTHONPATH"] == "lib"
