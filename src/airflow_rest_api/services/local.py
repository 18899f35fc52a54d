"""The services of this machine: reconcile them with their supervisors, and do what is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api import processes
from airflow_rest_api.airflow.installation import Places, places
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.errors import AlreadyRunning, Busy, Unavailable, UnknownOperation, UnknownService
from airflow_rest_api.operations.model import Origin, new_id
from airflow_rest_api.operations.model import State as OperationState
from airflow_rest_api.operations.runs import Failed
from airflow_rest_api.operations.work_orders import EntryPoint, WorkOrder
from airflow_rest_api.periodic import Periodic
from airflow_rest_api.security.access import Gate
from airflow_rest_api.services import reconcile, status
from airflow_rest_api.services.child_start import HOME
from airflow_rest_api.services.model import KINDS, DesiredState, Service, StartRequest, identity_at
from airflow_rest_api.services.status import State
from airflow_rest_api.services.store import ServiceStore, Taken
from airflow_rest_api.services.supervisor import BACKOFF, KILL, LEFTOVERS, RESTART, STOP

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.runs import WorkContext
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.access import Permit


SESSION_KNOWN = 30.0
"""Seconds after a component was last seen in which the kernel can't have given its session id again."""


@dataclass
class _Watch:
    pid: int | None = None
    start: str | None = None
    seen: float | None = None
    members: processes.Processes = field(default_factory=dict)
    kill_at: float | None = None


class Orphans:
    """
    Ends what a killed supervisor has left; the kernel has sent TERM to the component itself.

    What a component has started is known by its family as long as it lives, by its session, and by a mark in
    the environment, which some programs write over to give themselves a title.

    :param grace: seconds until a component is killed
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._watches: dict[str, _Watch] = {}

    def look(self, service: Service) -> None:
        """Look whether the supervisor of a service was killed, and do the next thing about it."""
        if service.supervisor is None:
            return
        watch = self._watches.setdefault(service.folder, _Watch())
        if service.pid is not None:
            watch.pid, watch.start = service.pid, service.pid_start
        if processes.is_alive(service.supervisor, service.supervisor_start):
            watch.seen = time.monotonic()
            return
        alive = processes.is_alive(watch.pid, watch.start)
        watch.members = self._members(watch, Path(service.folder).name, alive=alive)
        if not watch.members:
            del self._watches[service.folder]
        elif service.desired is DesiredState.KILL:
            # Its supervisor, which would do so, is not there any more.
            processes.kill_all(watch.members)
        elif watch.kill_at is None:
            watch.kill_at = time.monotonic() + (self._grace if alive else LEFTOVERS)
            # A component knows best in which order its own processes have to go.
            asked = {pid: start for pid, start in watch.members.items() if pid == watch.pid or not alive}
            processes.signal_all(asked, signal.SIGTERM)
        elif time.monotonic() >= watch.kill_at:
            processes.kill_all(watch.members)
        elif not alive:
            watch.kill_at = min(watch.kill_at, time.monotonic() + LEFTOVERS)

    def _members(self, watch: _Watch, mark: str, *, alive: bool) -> processes.Processes:
        found = {pid: start for pid, start in watch.members.items() if processes.is_alive(pid, start)}
        found |= processes.marked(mark)
        if watch.pid is None:
            return found
        recently = watch.seen is not None and time.monotonic() - watch.seen < SESSION_KNOWN
        if alive or (recently and processes.start_of(watch.pid) is None):
            found |= processes.session(watch.pid)
        return found | processes.living(processes.own_family(watch.pid, mark) if alive else ())


log = logging.getLogger(__name__)

ROUND = 1.5
"""Seconds between two rounds."""
PATIENCE = 60.0
"""Seconds of one wait for the end of a start."""
LONGEST_FAILURE = 4000
"""Characters that are kept of the output of a start that has failed."""
STOPPED = "The start was ended."
PRUNE_EVERY = 600
"""Rounds."""
SEEN_EVERY = timedelta(seconds=15)
"""How often it is noted that the services of this machine are looked after."""

FRESH = dict.fromkeys(
    ("pid", "pid_start", "supervisor", "supervisor_start", "exit_code", "message", "ended_at", "desired")
)
"""What is not known of a component that is to be started again."""


class Local:
    """
    Looks after them. Several API servers of one machine may do so: each change to a row has one winner.

    :ivar upkeep: does so in the background; its end ends no component
    :param grace: seconds between asking a component to stop and killing it
    :param kept: ended services that are remembered
    :param every: seconds between two rounds
    :param pauses: see `supervisor.Order`
    """

    def __init__(
        self,
        store: ServiceStore,
        operations: Operations,
        *,
        grace: float = 60,
        kept: int = 100,
        every: float = ROUND,
        pauses: tuple[float, float, float] = BACKOFF,
        find_places: Callable[[], Places] = places,
    ) -> None:
        self._store = store
        self._operations = operations
        self._pauses = pauses
        self._grace = grace
        self._kept = kept
        self._find_places = find_places
        self._orphans = Orphans(grace)
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._unobeyed: set[str] = set()
        self._last_seen: datetime | None = None
        self._recently = timedelta(seconds=2 * grace + 60)
        self._rounds = 0
        self.upkeep = Periodic("Looking after the services of this machine", every, self._look_after)
        self.host = socket.gethostname()
        self.place = processes.place()

    def is_mine(self, service: Service) -> bool:
        """Return whether a service is of this machine, and of this container."""
        return service.host == self.host and service.place == self.place

    async def places(self) -> Places:
        """Return where things are."""
        return await asyncio.to_thread(self._find_places)

    async def look(self, service: Service) -> Service:
        """Return a service as it is now, as far as that can be seen from here."""
        if not self.is_mine(service):
            return reconcile.as_seen(service, now())
        found = await asyncio.to_thread(reconcile.changes, service, now())
        if not found or (found.get("message") == reconcile.NO_START and await self._is_under_way(service)):
            return service
        changed = await self._store.change(service, **found)
        return changed or await self._store.get(service.id)

    async def _is_under_way(self, service: Service) -> bool:
        """Return whether what starts a service has not ended: it may wait for its turn for long."""
        if self.is_starting(service):
            return True
        with contextlib.suppress(UnknownOperation):
            if service.operation:
                return not (await self._operations.peek(service.operation)).state.ended
        return False

    async def launch(self, service: Service, plan: StartRequest, permit: Permit, **more: Any) -> Operation:
        """Begin to start a component whose row is there; `more` is for the operation that does it."""
        invocation, entry = await self._start_of(service, plan, permit.user)
        operation = await self._operations.start(permit, invocation, entry=entry, origin=Origin(**more))
        task = asyncio.create_task(self._settle(service.id, operation))
        self._starts[service.id] = task
        task.add_done_callback(partial(self._forget_start, service.id))
        try:
            await asyncio.shield(self._store.started_by(service, operation.id))
        except Unavailable as error:
            # The start goes on: a component without a row could not be stopped.
            log.warning("Service %s does not know the operation that starts it: %s", service.id, error)
        return operation

    async def start_job(self, service: Service, plan: StartRequest, operation: str) -> Job:
        """Return what starts a component whose row is there, which then knows the operation that does it."""
        invocation, entry = await self._start_of(service, plan, service.user)
        order = WorkOrder(invocation, entry, service.user)
        await self._store.started_by(service, operation)
        return order.job(invocation.argv, None)

    async def _start_of(
        self, service: Service, plan: StartRequest, user: str
    ) -> tuple[Invocation, EntryPoint]:
        home = (await self.places()).home
        invocation = plan.start_of(service, home=home, user=user, grace=self._grace, pauses=self._pauses)
        # A component would inherit the limit of one command, for as long as it runs.
        return invocation, EntryPoint(plan.entry, limited=False)

    async def start_within(self, work: WorkContext, service: Service, job: Job) -> None:
        """
        Start a component as the work of an operation.

        :raises Failed: it has not started
        """
        failure: str | None = STOPPED
        try:
            done = await work.run(job)
            work.say(done.stdout)
            work.say(done.stderr, "stderr")
            well = done.outcome.ending is Ending.EXITED and not done.outcome.exit_code
            failure = None if well else _failure(done.stderr, done.outcome.message)
            if failure is not None:
                last = failure.splitlines()[-1]
                raise Failed(last, done.outcome.exit_code or 1, quotes=done.outcome.message is None)
        finally:
            await asyncio.shield(self._note_failure(service.id, failure))

    def _forget_start(self, identifier: str, task: asyncio.Task[None]) -> None:
        if self._starts.get(identifier) is task:
            del self._starts[identifier]

    def is_starting(self, service: Service) -> bool:
        """Return whether a start of a service was begun here, and has not ended."""
        return service.id in self._starts

    async def started(self, identifier: str, seconds: float) -> None:
        """Wait, at most for some seconds, until a start that was begun here has ended, well or not."""
        if task := self._starts.get(identifier):
            await asyncio.wait({task}, timeout=seconds)

    async def grant(self, service: Service) -> None:
        """
        Do what is wanted of a service of this machine.

        :raises AlreadyRunning: it is to be started again, and the same runs as another service
        """
        if service.desired is None:
            return
        if service.state.ended:
            await self._again(service)
        elif service.supervisor is None or service.supervisor_start is None:
            return  # Its start is under way: the next time.
        elif service.desired is not DesiredState.RESTART or service.state is State.STOPPING:
            # One that stops does not heed a restart any more: once it has ended, it is started again.
            number = KILL if service.desired is DesiredState.KILL else STOP
            await _send(service.supervisor, service.supervisor_start, number)
        # Of several API servers on this machine, one wins, and the component is restarted once.
        elif (
            won := await self._store.change(service, desired=None, state=State.RESTARTING)
        ) is not None and not await _send(service.supervisor, service.supervisor_start, RESTART):
            # It has ended in this moment: the next round starts it again.
            await self._store.change(won, desired=DesiredState.RESTART)

    async def _look_after(self) -> None:
        moment = now()
        living = False
        failed: dict[str, Exception] = {}
        for found in await self._store.due(self.host, moment - self._recently):
            try:
                living = await self._look_after_one(found, moment) or living
            except Unavailable:
                raise
            except Exception as error:
                failed[found.id] = error
        if living and (self._last_seen is None or moment - self._last_seen >= SEEN_EVERY):
            await self._store.seen(self.host, self.place, moment, moment - SEEN_EVERY / 2)
            self._last_seen = moment
        if self._rounds % PRUNE_EVERY == 0:
            await self.prune()
        self._rounds += 1
        if failed:
            # Only now: the others are looked after all the same.
            raise RuntimeError(f"no look at {', '.join(failed)}") from next(iter(failed.values()))

    async def _look_after_one(self, found: Service, moment: datetime) -> bool:
        """Do what is to be done about a service of this host; return whether it is one that lives here."""
        service = await self.look(found)
        if self.is_mine(service):
            await asyncio.to_thread(self._orphans.look, service)
            with contextlib.suppress(AlreadyRunning):
                await self.grant(service)
            await self._remind(service)
            return not service.state.ended
        if service.state is State.LOST and not found.state.ended:
            # It was on this machine, before this was restarted, or the container made anew.
            gone = {"state": State.LOST, "claim": None, "desired": None, "ended_at": moment}
            await self._store.change(found, **gone, message=reconcile.SUPERVISOR_GONE)
        elif found.state.ended and found.desired is not None:
            await self._take_over(found)
        return False

    async def _take_over(self, service: Service) -> None:
        """Do what is wanted of a service that two rounds saw nobody do: its container, or boot, is gone."""
        seen = f"{service.id} {service.version}"
        if seen in self._unobeyed:
            with contextlib.suppress(AlreadyRunning):
                await self._again(service)
        self._unobeyed ^= {seen}

    async def _remind(self, service: Service) -> None:
        """Ask again for a restart whose winner ended before it could ask: two rounds saw nothing of it."""
        report = None
        if service.state is State.RESTARTING and service.desired is None:
            report = await asyncio.to_thread(status.read, Path(service.folder))
        if report is None or not reconcile.awaits_restart(service, report):
            self._unobeyed.discard(service.id)
        elif service.id in self._unobeyed:
            await _send(report.supervisor, report.supervisor_start, RESTART)
        else:
            self._unobeyed.add(service.id)

    async def prune(self) -> None:
        """Forget the oldest of the ended services of this host."""
        for service in await self._store.oldest_ended(self.host, self._kept):
            await self.forget(service)

    async def forget(self, service: Service) -> bool:
        """Remove a service that is still as it was read; its log files stay. Return whether it was."""
        if not await self._store.delete(service):
            return False
        await self._remove_folder(service)
        return True

    async def refuse_if_living(self, holder: Service | None) -> None:
        """Raise AlreadyRunning unless a service that holds the claim of another one has ended."""
        if holder is not None and not (found := await self.look(holder)).state.ended:
            process = f" as process {found.pid}" if found.pid else ""
            what = f"{KINDS[found.kind].title} with the same arguments runs on {found.host}{process}"
            raise AlreadyRunning(f"{what}: service {found.id}.", found.id)

    async def close(self) -> None:
        """Let go of the starts that are under way; the components go on."""
        tasks = list(self._starts.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, service: Service) -> None:
        """Start a service that has ended once more, if that is what is wanted of it."""
        if service.desired is not DesiredState.RESTART or service.secret:
            await self._store.change(service, desired=None)
            return
        here = await asyncio.to_thread(identity_at, service, self.place)
        values = FRESH | {"place": self.place, "state": State.STARTING, "claim": here, "identity": here}
        # A folder of its own: the last report of the former supervisor is over.
        values |= {"folder": folder_for(await self.places()), "started_at": now(), "seen_at": now()}
        try:
            changed = await self._store.change(service, **values)
        except Taken as taken:
            await self._store.change(service, desired=None)
            await self.refuse_if_living(taken.service)
            return
        if changed is not None:
            former = self._starts.get(service.id)
            try:
                permit = Gate.standing(service.desired_by or service.user)
                # By that it is found by who asks again for its first start.
                await self.launch(changed, StartRequest.of(changed), permit, rerun_of=service.operation)
            except (Busy, Unavailable, asyncio.CancelledError) as error:
                if self._starts.get(service.id) is not former:
                    raise  # It has begun; who would have been told has gone.
                # For the next round, here or on another API server of this host.
                before = {name: getattr(service, name) for name in values if name != "desired"}
                await self._store.change(changed, **before, desired=DesiredState.RESTART)
                if isinstance(error, Busy):
                    return
                raise
            await self._remove_folder(service)

    async def _settle(self, identifier: str, operation: Operation) -> None:
        """Take note of how a start has ended."""
        try:
            while not operation.state.ended:
                operation = await self._operations.wait(operation.id, PATIENCE)
        except Exception:  # The next round finds out how it is, as below.
            log.exception("How the start of service %s has ended is not known", identifier)
        else:
            await self._note_failure(identifier, _why_failed(operation))

    async def _note_failure(self, identifier: str, failure: str | None) -> None:
        try:
            service = await self.look(await self._store.get(identifier))
            if failure and service.supervisor is None and not service.state.ended:
                failed = {"state": State.FAILED, "claim": None, "desired": None, "ended_at": now()}
                await self._store.change(service, **failed, message=failure)
        except UnknownService:
            return
        except Exception:
            # The next round finds out how it is.
            log.exception("How the start of service %s has ended could not be stored", identifier)

    async def _remove_folder(self, service: Service) -> None:
        if self.is_mine(service):
            await asyncio.to_thread(shutil.rmtree, service.folder, ignore_errors=True)


def _why_failed(operation: Operation) -> str | None:
    """Return why a start has failed, None where it has not."""
    if operation.state is OperationState.SUCCEEDED:
        return None
    quoted = operation.quotes and operation.stderr.strip()
    return _failure(operation.stderr, None if quoted else operation.message)


def _failure(stderr: str, message: str | None) -> str:
    printed = stderr.strip()[-LONGEST_FAILURE:]
    return "\n".join(filter(None, (printed, message))) or "The start has failed."


def folder_for(here: Places) -> str:
    """Return a private folder that is not there yet."""
    return str(Path(here.home, HOME, "services", new_id()))


def now() -> datetime:
    """Return this moment."""
    return datetime.now(timezone.utc)


async def _send(supervisor: int, start: str, number: int) -> bool:
    """Send a supervisor a signal; return False where it is gone."""
    try:
        return await asyncio.to_thread(processes.send, supervisor, start, number)
    except PermissionError:
        log.error("Process %d, the supervisor of a service, belongs to another user", supervisor)
        return True
