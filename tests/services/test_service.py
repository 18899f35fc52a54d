"""Services on a real database and with real supervisors; programs that do nothing play the components."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from airflow_rest_api import processes
from airflow_rest_api.admission import Admission
from airflow_rest_api.airflow.installation import AirflowJob, Places
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.errors import (
    AlreadyRunning,
    Busy,
    CannotRepeat,
    NotManaged,
    PortInUse,
    StillRunning,
    UnknownService,
)
from airflow_rest_api.operations.model import Operation, new_id
from airflow_rest_api.operations.model import State as OperationState
from airflow_rest_api.operations.service import Operations
from airflow_rest_api.operations.work_orders import NamedWork
from airflow_rest_api.security.access import Permit
from airflow_rest_api.services import reconcile
from airflow_rest_api.services.local import Local
from airflow_rest_api.services.model import KINDS, NOTHING, DesiredState, Restart, Service, StartRequest
from airflow_rest_api.services.service import Services
from airflow_rest_api.services.status import State
from airflow_rest_api.services.store import ServiceStore
from airflow_rest_api.storage.database import Database, own_engine
from tests.keeping import a_service, sleeper, wait_for
from tests.permits import permit

# Real processes, which take their time.
pytestmark = pytest.mark.slow

WORKER = KINDS["celery-worker"]
START = (
    "import sys; from airflow_rest_api.services.child_start import run_order; "
    "sys.exit(run_order([sys.stdin.read()]))"
)
OBEYS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    "print('celery@one ready.', flush=True); time.sleep(600)"
)
IGNORES = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('celery@one ready.', flush=True); time.sleep(600)"
)
FAILS = "import sys; print('the reason', file=sys.stderr); sys.exit(4)"


class StandInOperations:
    """Runs the starts as the engine would, each in a process of its own, with a program for Airflow."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.started: list[dict[str, Any]] = []
        self.known: dict[str, Operation] = {}
        self.room = asyncio.Event()
        """Until it is set, what is started waits for its turn."""
        self.room.set()
        self._tasks: dict[str, asyncio.Task[Operation]] = {}

    async def start(self, permit: Permit, invocation: Any, *, entry: str, **more: Any) -> Operation:
        order = json.loads(invocation.argv[0])
        self.started.append(order)
        now = datetime.now(timezone.utc)
        operation = Operation(new_id(), invocation.command.name, "service", [], permit.user, "host", now)
        order = {**order, "argv": None, "shown": None, "code": self.program}
        self.known[operation.id] = operation
        self._tasks[operation.id] = asyncio.create_task(self._run(operation, json.dumps(order)))
        return operation

    async def wait(self, identifier: str, seconds: float) -> Operation:
        await asyncio.wait({self._tasks[identifier]}, timeout=seconds)
        return self.known[identifier]

    async def peek(self, identifier: str) -> Operation:
        return self.known[identifier]

    async def _run(self, operation: Operation, order: str) -> Operation:
        await self.room.wait()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", START, stdin=-1, stdout=-1, stderr=-1
        )
        try:
            stdout, stderr = await child.communicate(order.encode())
        except asyncio.CancelledError:
            child.kill()
            await child.communicate()
            raise
        operation.stdout, operation.stderr = stdout.decode(), stderr.decode()
        operation.exit_code = child.returncode
        operation.state = OperationState.FAILED if child.returncode else OperationState.SUCCEEDED
        return operation


class Server:
    """What an API server has of the services."""

    def __init__(self, database: Database, home: Path, operations: StandInOperations, **values: Any) -> None:
        find_jobs = values.pop("find_jobs", lambda types: [])
        self.database = database
        self.store = ServiceStore(database)
        self.operations = operations
        self.local = Local(
            self.store,
            cast("Operations", operations),
            pauses=(0.1, 0.1, 60),
            find_places=lambda: Places(str(home), str(home / "logs"), "airflow-says"),
            **{"grace": 30, "every": 0.1, **values},
        )
        self.services = Services(self.store, self.local, cast("Operations", operations), find_jobs=find_jobs)
        self.upkeep = self.local.upkeep

    async def start(self, **values: Any) -> Service:
        """Start a worker, wait for it, and return it."""
        line = {"argv": ["a", "b"], "masked": ["a", "b"]}
        line |= {name: values.pop(name) for name in ("argv", "masked", "values") if name in values}
        plan = StartRequest(**{"kind": WORKER, "invocation": replace(NOTHING, **line), **values})
        service, _ = await self.services.start(plan, permit("zoe"))
        await self.services.wait(service.id, 60)
        return await self.get(service)

    async def get(self, service: Service) -> Service:
        return (await self.services.get(service.id)).service

    async def until(self, service: Service, holds: Callable[[Service], object]) -> Service:
        """Wait until something holds of a service, and return it."""
        for _ in range(600):
            found = await self.get(service)
            if holds(found):
                return found
            await asyncio.sleep(0.1)
        raise TimeoutError(str(found))


@asynccontextmanager
async def serving(home: Path, program: str = OBEYS, **values: Any) -> AsyncIterator[Server]:
    """An API server with its upkeep; in the end, nothing of it is left."""
    engine = own_engine(f"sqlite:///{home / 'test.db'}")
    database = Database(lambda: engine)
    server = Server(database, home, StandInOperations(program), **values)
    server.upkeep.start()
    try:
        yield server
    finally:
        await server.upkeep.stop()
        await server.local.close()
        for service in await server.store.everything():
            for pid, start in (
                (service.supervisor, service.supervisor_start),
                (service.pid, service.pid_start),
            ):
                if pid and start:
                    processes.send(pid, start, signal.SIGKILL)
        database.close()
        engine.dispose()


def is_alive(service: Service) -> bool:
    return processes.is_alive(service.pid, service.pid_start)


async def gone(service: Service) -> bool:
    """Wait for the end of a component's process."""
    for _ in range(600):
        if not is_alive(service):
            return True
        await asyncio.sleep(0.1)
    return False


def test_a_component_is_started_seen_and_stopped(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start()
            assert service.state is State.RUNNING
            assert is_alive(service)
            assert service.user == "zoe"
            assert (tmp_path / "logs" / service.stdout).read_text() == "celery@one ready.\n"
            await server.services.stop(service.id, user="zoe")
            await server.services.wait(service.id, 60, ended=True)
            stopped = await server.get(service)
            assert (stopped.state, stopped.exit_code, stopped.pid) == (State.STOPPED, 0, None)
            assert not is_alive(service)
            await server.services.stop(service.id, user="zoe")
            assert await server.get(service) == stopped

    asyncio.run(work())


def test_one_that_fails_at_once_is_answered_with_its_last_words(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path, FAILS) as server:
            service = await server.start()
            assert (service.state, service.exit_code) == (State.FAILED, 4)
            assert "the reason" in str(service.message)
            assert "The component ended with exit code 4." in str(service.message)

    asyncio.run(work())


def test_the_last_words_of_one_of_another_host_are_asked_of_its_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(queue: str, shown: Any, work: NamedWork) -> tuple[Any, bytes | None]:
        assert (queue, work.values["tail"]) == ("host:far", 10)
        if work.values["stream"] == "stderr":
            raise Busy
        return {"offset": 0, "size": 11}, b"the reason\n"

    async def work() -> None:
        async with serving(tmp_path) as server:
            monkeypatch.setattr(server.operations, "ask", ask, raising=False)
            service = a_service(host="far", state=State.FAILED, message="It has failed.")
            await server.store.insert(service)
            assert (await server.get(service)).message == "It has failed.\nstdout:\nthe reason"

    asyncio.run(work())


def test_a_runner_that_does_not_tell_the_last_words_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_rest_api.services.service.LAST_LINES_WITHIN", 0.05)

    async def work() -> None:
        async with serving(tmp_path) as server:
            never = asyncio.Event()
            monkeypatch.setattr(server.operations, "ask", lambda *_: never.wait(), raising=False)
            service = a_service(host="far", state=State.FAILED, message="It has failed.")
            await server.store.insert(service)
            assert (await server.get(service)).message == "It has failed."

    asyncio.run(work())


def test_a_start_that_is_refused_leaves_its_reason(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            (tmp_path / "x.pid").write_text(str(os.getpid()))
            service = await server.start(pid_file="x.pid")
            assert service.state is State.FAILED
            assert "is running already" in str(service.message)

    asyncio.run(work())


def test_the_same_runs_once_however_many_ask_at_the_same_time(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            plan = StartRequest(WORKER)
            starts = [server.services.start(plan, permit("zoe")) for _ in range(6)]
            outcomes = await asyncio.gather(*starts, return_exceptions=True)
            refusals = [one for one in outcomes if isinstance(one, AlreadyRunning)]
            assert len(refusals) == 5
            assert len(server.operations.started) == 1
            [winner] = await server.services.list()
            assert {one.service for one in refusals} == {winner.service.id}
            await server.services.wait(winner.service.id, 60)
            another = await server.start(another=True)
            assert another.state is State.RUNNING
            different = await server.start(values={"queues": "others"})
            assert different.state is State.RUNNING

    asyncio.run(work())


def test_a_start_that_waits_for_its_turn_for_long_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            server.operations.room.clear()
            service, _ = await server.services.start(StartRequest(WORKER), permit("zoe"))
            monkeypatch.setattr(reconcile, "START_LIMIT", timedelta(0))
            other = Server(server.database, tmp_path, server.operations)
            for one in (server, other):
                assert (await one.get(service)).state is State.STARTING
            with pytest.raises(AlreadyRunning):
                await other.services.start(StartRequest(WORKER), permit("zoe"))
            server.operations.room.set()
            assert (await server.until(service, lambda one: one.state is State.RUNNING)).pid is not None

    asyncio.run(work())


def test_who_asks_for_a_start_that_has_just_begun_waits_for_its_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            started_by = server.store.started_by

            async def slowly(service: Service, operation: str) -> None:
                await asyncio.sleep(1)
                await started_by(service, operation)

            monkeypatch.setattr(server.store, "started_by", slowly)
            starting = asyncio.create_task(server.services.start(StartRequest(WORKER), permit("zoe")))
            while not server.operations.known:
                await asyncio.sleep(0.01)
            # As one that comes with the same key does: it finds the operation.
            [operation] = server.operations.known.values()
            found = await server.services.begun(operation, 30)
            service, _ = await starting
            assert found is not None
            assert service is not None
            assert found.id == service.id

    asyncio.run(work())


def test_a_restart_whose_api_server_was_killed_before_it_could_ask_for_it_is_done(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start()
            assert await server.store.change(service, desired=None, state=State.RESTARTING)
            again = await server.until(
                service, lambda one: one.state is State.RUNNING and one.pid != service.pid
            )
            await asyncio.sleep(1)
            assert (await server.get(service)).pid == again.pid  # once

    asyncio.run(work())


def test_a_restart_that_finds_its_component_ended_in_this_moment_starts_it_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            await server.upkeep.stop()
            service = await server.start()
            assert service.supervisor is not None
            os.kill(service.supervisor, signal.SIGTERM)
            assert await asyncio.to_thread(
                wait_for, lambda: not processes.is_alive(service.supervisor, service.supervisor_start)
            )
            # As one that was looked at before its end.
            wanted = await server.store.change(service, desired=DesiredState.RESTART, desired_by="zoe")
            assert wanted is not None
            await server.local.grant(wanted)
            server.upkeep.start()
            again = await server.until(service, lambda one: one.state is State.RUNNING)
            assert is_alive(again)
            assert again.pid != service.pid

    asyncio.run(work())


def test_who_asks_by_a_clock_that_is_behind_waits_no_longer_than_they_want_to(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            # Of an API server whose clock is ahead; its component was forgotten since.
            ahead = datetime.now(timezone.utc) + timedelta(hours=1)
            operation = Operation(new_id(), "services start", "service", [], "zoe", "far", ahead)
            with pytest.raises(UnknownService):
                await asyncio.wait_for(server.services.begun(operation, 0.3), 30)

    asyncio.run(work())


def test_a_start_whose_request_is_cut_off_once_it_has_begun_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            monkeypatch.setattr(server.store, "started_by", lambda *_: asyncio.sleep(600))
            starting = asyncio.create_task(server.services.start(StartRequest(WORKER), permit("zoe")))
            while not server.operations.known:
                await asyncio.sleep(0.01)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            [service] = await server.store.everything()
            assert is_alive(await server.until(service, lambda one: one.state is State.RUNNING))

    asyncio.run(work())


def test_who_waits_for_a_component_keeps_no_other_request_out(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = a_service(host="far", place="there", state=State.RUNNING)
            await server.store.insert(service)

            async def app(*_: Any) -> None:
                await server.services.wait(service.id, 1.5, ended=True)

            admission, seen = Admission(app, limit=1), []
            request = asyncio.create_task(admission({"type": "http", "path": "/"}, AsyncMock(), AsyncMock()))
            while not request.done():
                seen.append((admission.at_work, admission.waiting))
                await asyncio.sleep(0.02)
            assert seen.count((0, 1)) > len(seen) / 2

    asyncio.run(work())


def test_what_has_ended_makes_room_before_anybody_has_looked(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            await server.upkeep.stop()
            service = await server.start()
            assert service.supervisor is not None
            os.kill(service.supervisor, signal.SIGTERM)
            assert await asyncio.to_thread(
                wait_for, lambda: not processes.is_alive(service.supervisor, service.supervisor_start)
            )
            assert (await server.start()).state is State.RUNNING

    asyncio.run(work())


def test_services_are_found_again_after_a_restart_of_the_api_server(tmp_path: Path) -> None:
    async def first() -> Service:
        engine = own_engine(f"sqlite:///{tmp_path / 'test.db'}")
        server = Server(Database(lambda: engine), tmp_path, StandInOperations(OBEYS))
        return await server.start()

    async def second(before: Service) -> None:
        async with serving(tmp_path) as server:
            found = await server.get(before)
            assert (found.state, found.pid, found.pid_start) == (State.RUNNING, before.pid, before.pid_start)
            with pytest.raises(AlreadyRunning):
                await server.start()
            await server.services.stop(found.id, user="zoe")
            assert (await server.until(found, lambda one: one.state.ended)).state is State.STOPPED
            assert not is_alive(before)

    service = asyncio.run(first())
    assert is_alive(service)
    asyncio.run(second(service))


def test_a_start_that_the_end_of_the_api_server_has_cut_off_is_found_out_about(tmp_path: Path) -> None:
    async def first() -> str:
        engine = own_engine(f"sqlite:///{tmp_path / 'test.db'}")
        server = Server(Database(lambda: engine), tmp_path, StandInOperations(OBEYS))
        service, _ = await server.services.start(StartRequest(WORKER), permit("zoe"))
        for _ in range(600):
            if list((tmp_path / "rest_api").rglob("status.json")):
                break
            await asyncio.sleep(0.1)
        return service.id

    async def second(identifier: str) -> None:
        async with serving(tmp_path) as server:
            await server.services.wait(identifier, 60)
            service = (await server.services.get(identifier)).service
            assert service.state is State.RUNNING
            assert is_alive(service)

    asyncio.run(second(asyncio.run(first())))


def test_force_kills_what_does_not_obey(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path, IGNORES, grace=600) as server:
            service = await server.start()
            await server.services.stop(service.id, user="zoe")
            await server.until(service, lambda one: one.state is State.STOPPING)
            await server.services.stop(service.id, user="zoe", force=True)
            ended = await server.until(service, lambda one: one.state.ended)
            assert (ended.state, ended.exit_code) == (State.STOPPED, -signal.SIGKILL)
            assert not is_alive(service)

    asyncio.run(work())


def test_what_does_not_obey_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path, IGNORES, grace=0.5) as server:
            service = await server.start()
            await server.services.stop(service.id, user="zoe")
            ended = await server.until(service, lambda one: one.state.ended)
            assert (ended.state, ended.exit_code) == (State.STOPPED, -signal.SIGKILL)

    asyncio.run(work())


def test_a_restart_keeps_the_service_and_changes_the_process(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start()
            await server.services.restart(service.id, user="zoe")
            again = await server.until(
                service, lambda one: one.state is State.RUNNING and one.pid != service.pid
            )
            assert again.id == service.id
            assert is_alive(again)
            assert not is_alive(service)
            assert len(server.operations.started) == 1  # its supervisor did it

    asyncio.run(work())


def test_one_that_has_ended_is_started_again_as_it_was(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start(restart=Restart.ON_FAILURE)
            await server.services.stop(service.id, user="zoe")
            await server.until(service, lambda one: one.state.ended)
            await server.services.restart(service.id, user="amy")
            await server.services.wait(service.id, 60)
            again = await server.get(service)
            assert (again.state, again.exit_code, again.ended_at) == (State.RUNNING, None, None)
            assert is_alive(again)
            first, second = server.operations.started
            # Who starts it again is whom Airflow's event log is to name.
            assert (first.pop("user"), second.pop("user")) == (service.user, "amy")
            for changing in ("folder",):
                assert first.pop(changing) != second.pop(changing)
            assert first == second
            assert not Path(service.folder).exists()

    asyncio.run(work())


def test_a_failed_component_is_started_again_if_it_was_to_be(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start(restart=Restart.ON_FAILURE)
            assert service.pid is not None
            os.kill(service.pid, signal.SIGKILL)
            again = await server.until(service, lambda one: one.restarts == 1 and one.pid)
            assert again.pid != service.pid
            never = await server.start(values={"queues": "others"})
            assert never.pid is not None
            os.kill(never.pid, signal.SIGKILL)
            ended = await server.until(never, lambda one: one.state.ended)
            assert (ended.state, ended.exit_code, ended.restarts) == (State.FAILED, -signal.SIGKILL, 0)

    asyncio.run(work())


@asynccontextmanager
async def one_that_stops(home: Path, **values: Any) -> AsyncIterator[tuple[Server, Service]]:
    """A component that was asked to stop, and does so when there is a file `go`."""
    program = (
        "import os, signal, time; asked = []; signal.signal(signal.SIGTERM, lambda *_: asked.append(1)); "
        "print('celery@one ready.', flush=True)\n"
        f"while not (asked and os.path.exists({str(home / 'go')!r})): time.sleep(0.02)"
    )
    async with serving(home, program) as server:
        service = await server.start(**values)
        await server.services.stop(service.id, user="zoe")
        yield server, await server.until(service, lambda one: one.state is State.STOPPING)


def test_a_restart_that_comes_while_a_component_stops_starts_it_once_it_has_ended(tmp_path: Path) -> None:
    async def work() -> None:
        async with one_that_stops(tmp_path) as (server, service):
            await server.services.restart(service.id, user="amy")
            assert (await server.get(service)).state is State.STOPPING
            (tmp_path / "go").touch()
            again = await server.until(service, lambda one: one.state is State.RUNNING)
            assert is_alive(again)
            assert again.pid != service.pid

    asyncio.run(work())


def test_one_with_secrets_that_stops_is_not_restarted(tmp_path: Path) -> None:
    async def work() -> None:
        arguments = {"argv": ["--secret=x"], "masked": ["--secret=***"]}
        async with one_that_stops(tmp_path, **arguments) as (server, service):
            with pytest.raises(CannotRepeat):
                await server.services.restart(service.id, user="zoe")

    asyncio.run(work())


def test_what_was_started_with_secrets_can_be_restarted_only_while_it_runs(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start(argv=["--secret=hunter2"], masked=["--secret=***"])
            assert service.argv == ("--secret=***",)
            await server.services.restart(service.id, user="zoe")
            await server.until(service, lambda one: one.state is State.RUNNING and one.pid != service.pid)
            await server.services.stop(service.id, user="zoe")
            await server.until(service, lambda one: one.state.ended)
            with pytest.raises(CannotRepeat):
                await server.services.restart(service.id, user="zoe")
            assert b"hunter2" not in (tmp_path / "test.db").read_bytes()

    asyncio.run(work())


@pytest.mark.parametrize("program", [OBEYS, IGNORES])
def test_nothing_goes_on_without_its_supervisor(tmp_path: Path, program: str) -> None:
    async def work() -> None:
        async with serving(tmp_path, program, grace=1) as server:
            service = await server.start()
            assert service.supervisor is not None
            os.kill(service.supervisor, signal.SIGKILL)
            lost = await server.until(service, lambda one: one.state.ended)
            assert lost.state is State.LOST
            assert not is_alive(service)

    asyncio.run(work())


def test_force_kills_what_does_not_obey_without_its_supervisor_too(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path, IGNORES, grace=600) as server:
            service = await server.start()
            assert service.supervisor is not None
            os.kill(service.supervisor, signal.SIGKILL)
            await server.until(service, lambda one: one.state is State.STOPPING)
            await server.services.stop(service.id, user="zoe", force=True)
            lost = await server.until(service, lambda one: one.state.ended)
            assert (lost.state, lost.desired) == (State.LOST, None)
            assert not is_alive(service)

    asyncio.run(work())


def test_what_a_component_has_left_behind_ends_too_when_the_supervisor_was_killed(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time; "
        f"one = subprocess.Popen([sys.executable, '-c', {IGNORES!r}], stdout=subprocess.DEVNULL); "
        f"two = subprocess.Popen([sys.executable, '-c', {IGNORES!r}], stdout=subprocess.DEVNULL, "
        "start_new_session=True); print(one.pid, two.pid, 'celery@one ready.', flush=True); time.sleep(600)"
    )

    async def work() -> None:
        async with serving(tmp_path, program, grace=0.5) as server:
            service = await server.start()
            words = (tmp_path / "logs" / service.stdout).read_text().split()
            left = {int(pid): processes.start_of(int(pid)) for pid in words[:2]}
            assert all(left.values())
            assert service.supervisor is not None
            os.kill(service.supervisor, signal.SIGKILL)
            for _ in range(600):
                if not any(processes.is_alive(pid, start) for pid, start in left.items()):
                    return
                await asyncio.sleep(0.1)
            pytest.fail("something goes on")

    asyncio.run(work())


def test_a_recycled_process_id_is_never_touched(tmp_path: Path) -> None:
    stranger = sleeper()

    async def work() -> None:
        async with serving(tmp_path, grace=0.2) as server:
            service = await server.start()
            await server.upkeep.stop()
            assert service.supervisor is not None
            os.kill(service.supervisor, signal.SIGKILL)
            assert await gone(service)
            # A stranger has got all the numbers.
            status = json.loads((Path(service.folder) / "status.json").read_text())
            status |= {"supervisor": stranger.pid, "pid": stranger.pid}
            (Path(service.folder) / "status.json").write_text(json.dumps(status))
            stored = await server.store.get(service.id)
            assert await server.store.change(stored, supervisor=stranger.pid, pid=stranger.pid)
            server.upkeep.start()
            for force in (False, True):
                await server.services.stop(service.id, user="zoe", force=force)
            lost = await server.until(service, lambda one: one.state.ended)
            assert (lost.state, lost.pid) == (State.LOST, None)
            await asyncio.sleep(1)  # several rounds, and more than the grace time
            assert stranger.poll() is None

    try:
        asyncio.run(work())
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_that_cannot_be_looked_after_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            await server.upkeep.stop()
            # The newest is looked after first.
            other, broken = [await server.start(another=True) for _ in range(2)]
            look = server.local.look

            async def failing(service: Service) -> Service:
                if service.id == broken.id:
                    raise ValueError(service.id)
                return await look(service)

            asked = await server.store.get(other.id)
            assert await server.store.change(asked, desired=DesiredState.STOP)
            monkeypatch.setattr(server.local, "look", failing)
            with pytest.raises(RuntimeError, match=broken.id):
                await server.local._look_after()
            monkeypatch.undo()
            ended = await server.until(other, lambda one: one.state.ended)
            assert ended.state is State.STOPPED

    asyncio.run(work())


def test_a_wish_for_another_host_is_left_to_that_host(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as here:
            service = await here.start()
            there = Server(here.store._database, tmp_path, here.operations)
            there.local.host = "far away"
            await here.upkeep.stop()
            await there.services.stop(service.id, user="amy")
            asked = await here.store.get(service.id)
            assert (asked.desired and asked.desired.value, asked.desired_by) == ("stop", "amy")
            assert is_alive(service)
            here.upkeep.start()
            ended = await here.until(service, lambda one: one.state.ended)
            assert (ended.state, ended.desired) == (State.STOPPED, None)
            await there.services.restart(service.id, user="amy")
            await here.until(service, lambda one: one.state is State.RUNNING)
            assert len(here.operations.started) == 2

    asyncio.run(work())


@pytest.mark.parametrize("host", [socket.gethostname(), "far"])
def test_a_stop_takes_back_a_restart_that_nobody_has_begun(tmp_path: Path, host: str) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            # Its host has no room for the start, or nobody who does it.
            await server.upkeep.stop()
            service = a_service(host=host, state=State.STOPPED, desired=DesiredState.RESTART)
            await server.store.insert(service)
            await server.services.stop(service.id, user="zoe")
            found = await server.store.get(service.id)
            assert (found.state, found.desired, found.desired_by) == (State.STOPPED, None, "zoe")

    asyncio.run(work())


def test_a_restart_that_several_api_servers_of_a_host_see_is_done_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            others = [Server(server.store._database, tmp_path, server.operations) for _ in range(3)]
            for other in others:
                other.upkeep.start()
            service = await server.start()
            far = Server(server.store._database, tmp_path, server.operations)
            far.local.host = "far away"
            await far.services.restart(service.id, user="amy")
            again = await server.until(
                service, lambda one: one.state is State.RUNNING and one.pid != service.pid
            )
            await server.services.stop(service.id, user="amy")
            await server.until(service, lambda one: one.state.ended)
            await far.services.restart(service.id, user="amy")
            await server.until(service, lambda one: one.state is State.RUNNING)
            log = Path(service.logs, service.stdout).read_text()
            assert (log.count("ready."), len(server.operations.started)) == (3, 2)
            assert again.id == service.id
            for other in others:
                await other.upkeep.stop()
                await other.local.close()

    asyncio.run(work())


def test_what_was_on_this_machine_before_it_was_restarted_is_lost(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            await server.upkeep.stop()
            service = await server.start()
            long_ago = datetime.now(timezone.utc) - timedelta(minutes=5)
            stored = await server.store.get(service.id)
            await server.store.change(stored, place="another boot", seen_at=long_ago)
            server.upkeep.start()
            for _ in range(600):
                if (found := await server.store.get(service.id)).state is State.LOST:
                    break
                await asyncio.sleep(0.1)
            assert (found.state, found.claim) == (State.LOST, None)
            assert is_alive(service)  # nobody knows that number any more

    asyncio.run(work())


def test_what_was_here_before_the_machine_was_restarted_can_be_started_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            found = load_catalog().bind(load_catalog().get("celery worker"), {"queues": "b,a"})
            service = await server.start(argv=found.argv, masked=found.masked, values=found.values)
            await server.services.stop(service.id, user="zoe")
            await server.until(service, lambda one: one.state.ended)
            before = {"place": "another boot", "identity": "other", "state": State.LOST}
            await server.store.change(await server.store.get(service.id), **before)
            await server.services.restart(service.id, user="zoe")
            again = await server.until(service, lambda one: one.state is State.RUNNING)
            assert is_alive(again)
            # As one that is started here now: there is none beside it.
            assert (again.place, again.identity) == (server.local.place, service.identity)
            assert again.claim == service.identity

    asyncio.run(work())


def test_only_what_has_ended_can_be_forgotten_and_its_log_stays(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start()
            with pytest.raises(StillRunning):
                await server.services.forget(service.id)
            await server.services.stop(service.id, user="zoe")
            await server.until(service, lambda one: one.state.ended)
            await server.services.forget(service.id)
            with pytest.raises(UnknownService):
                await server.services.get(service.id)
            assert not Path(service.folder).exists()
            assert (tmp_path / "logs" / service.stdout).exists()

    asyncio.run(work())


def test_the_oldest_of_the_ended_are_forgotten(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path, "", kept=2) as server:
            services = [await server.start() for _ in range(4)]
            await server.local.prune()
            assert [seen.service.id for seen in await server.services.list()] == [
                services[3].id,
                services[2].id,
            ]

    asyncio.run(work())


def test_what_others_run_here_is_not_started_beside_it_and_cannot_be_stopped(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    job = AirflowJob(7, "SchedulerJob", "running", "airflow-says", now - timedelta(hours=1), now, True)

    async def work() -> None:
        async with serving(tmp_path, find_jobs=lambda types: [job]) as server:
            with pytest.raises(AlreadyRunning, match="job 7 of Airflow") as refused:
                await server.start(kind=KINDS["scheduler"])
            assert refused.value.service == "job-7"
            with pytest.raises(NotManaged):
                await server.services.stop("job-7", user="zoe")
            with pytest.raises(UnknownService):
                await server.services.stop("job-8", user="zoe")
            # One that it cannot be mistaken for.
            assert (await server.start()).state is State.RUNNING

    asyncio.run(work())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_somebody_listens_on_is_refused(tmp_path: Path, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]

        async def work() -> None:
            async with serving(tmp_path) as server:
                with pytest.raises(PortInUse, match=str(port)):
                    await server.start(kind=KINDS["celery-flower"], values={"port": port})
                assert await server.services.list() == []

        asyncio.run(work())


def test_a_port_of_the_configuration_that_somebody_listens_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        monkeypatch.setenv("AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT", port)

        async def work() -> None:
            async with serving(tmp_path) as server:
                with pytest.raises(PortInUse, match=port):
                    await server.start(kind=KINDS["log-server"])
                assert await server.services.list() == []

        asyncio.run(work())


def test_a_full_disk_or_a_missing_folder_does_not_hide_a_component(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as server:
            service = await server.start()
            shutil.rmtree(service.folder)
            await server.services.stop(service.id, user="zoe")
            assert await gone(service)

    asyncio.run(work())
