"""Start components, look at them, stop them; on other hosts by the API servers and runners there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_rest_api.admission import while_waiting
from airflow_rest_api.airflow.installation import AirflowJob, running_jobs
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import (
    AlreadyRunning,
    ApiError,
    CannotRepeat,
    Misconfigured,
    NoLog,
    NoLogYet,
    NoRunner,
    NotManaged,
    PortInUse,
    StillRunning,
    UnknownOperation,
    UnknownService,
)
from airflow_rest_api.operations.model import Origin, new_id
from airflow_rest_api.operations.model import State as OperationState
from airflow_rest_api.operations.runs import Refused, refusal
from airflow_rest_api.operations.work_orders import NamedWork
from airflow_rest_api.placement import LOCAL
from airflow_rest_api.services import logs
from airflow_rest_api.services.child_start import log_name
from airflow_rest_api.services.local import Local, folder_for, now
from airflow_rest_api.services.model import (
    BY_JOB_TYPE,
    DesiredState,
    Kind,
    Service,
    StartRequest,
    identity_of,
)
from airflow_rest_api.services.reconcile import ServiceView, paired
from airflow_rest_api.services.status import State, configured
from airflow_rest_api.services.store import ServiceStore, Taken

if TYPE_CHECKING:
    from airflow_rest_api.airflow.installation import Places
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.runs import WorkContext
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.access import Permit

START, LOG = "services start", "services log"
"""The names of the works by which a runner starts a component, and reads what it has written."""
LOG_SHOWN = Invocation(
    Command(("services", "log"), "", None, (), Effect.READ), [], {}, frozenset(), ["services", "log"]
)
TURN = 0.2
"""Seconds between two looks at a service that is waited for."""
LAST_LINES = 10
LAST_BYTES = 4096
"""How much of a log is shown of a component that has failed."""
LAST_LINES_WITHIN = 5.0
"""Seconds that its host has to tell that."""
GIVEN_UP = timedelta(days=1)
"""Time for which a service of another host without an API server may still run: it is not forgotten."""

KNOWN_WITHIN = timedelta(seconds=5)
"""How old an operation is at most that its component does not know yet."""

ATTEMPTS = 5
"""How often a change is tried that another one was faster than."""

FindJobs = Callable[[Collection[str]], "list[AirflowJob]"]


class Services:
    """
    The components of an Airflow.

    :ivar local: looks after those of this machine
    :param find_jobs: returns Airflow's own jobs of some types
    """

    def __init__(
        self,
        store: ServiceStore,
        local: Local,
        operations: Operations,
        *,
        find_jobs: FindJobs = running_jobs,
    ) -> None:
        self._store = store
        self._operations = operations
        self.local = local
        self._find_jobs = find_jobs

    async def start(
        self, plan: StartRequest, permit: Permit, **more: Any
    ) -> tuple[Service | None, Operation]:
        """
        Start a component, on this machine or on that of a runner; return at once, when its start has begun.

        Of one that a runner starts no more is known than its operation: see `begun`.

        :param more: for the operation that starts it: `key` and the like
        :raises AlreadyRunning: it runs on this host already, and another one was not asked for
        :raises PortInUse: another process listens where it would
        :raises Busy: too many commands wait already
        :raises NoRunner: nobody serves the queue of the permit
        """
        if permit.queue != LOCAL:
            work = self.ordered(plan.values, permit.user)
            operation = await self._operations.start_work(permit, plan.shown, work, origin=Origin(**more))
            return None, operation
        async with self._adding(plan, permit.user) as service:
            return service, await self.local.launch(service, plan, permit, **more)

    @contextlib.asynccontextmanager
    async def _adding(self, plan: StartRequest, user: str) -> AsyncIterator[Service]:
        """Add a service of this machine that may be started, and remove it where its start cannot begin."""
        service = self._new(plan, user, await self.local.places())
        if not plan.another:
            await self._refuse_unmanaged(plan, service)
        await self._insert(service)
        try:
            await asyncio.to_thread(_check_free, plan.kind, plan.invocation.values)
            yield service
        except BaseException:
            # Of one that starts, whoever asked for it has gone.
            if not self.local.is_starting(service):
                await asyncio.shield(self._store.delete(service))
            raise

    def ordered(self, values: Mapping[str, Any], user: str) -> NamedWork:
        """Return the start of a component, for a runner to do: see `StartRequest.values`."""

        async def here(work: WorkContext) -> None:
            plan = StartRequest.of_values(values)
            try:
                async with self._adding(plan, user) as service:
                    job = await self.local.start_job(service, plan, work.id)
            except ApiError as error:
                raise Refused(error) from None
            await self.local.start_within(work, service, job)

        return NamedWork(START, values, here)

    async def log(
        self,
        service: Service,
        stream: str,
        *,
        offset: int = 0,
        tail: int | None = None,
        limit: int,
    ) -> logs.Part:
        """
        Return a part of what a component has written, on its host: see `logs.read`.

        :param tail: the last lines, in place of an offset
        :raises NoLog: there is none that may be read, NoLogYet: it is to come
        """
        if not self.local.is_mine(service):
            values = {"id": service.id, "stream": stream, "offset": offset, "tail": tail, "limit": limit}
            try:
                found, data = await self._operations.ask(service.queue, LOG_SHOWN, self.reading(values))
                return logs.Part(found["offset"], data or b"", found["size"])
            except (NoRunner, Misconfigured):
                pass  # It may be on a file system that both hosts see.
            except ApiError as error:
                if error.reason != NoLog.reason:
                    raise
                kind = NoLogYet if service.state is State.STARTING else NoLog
                raise kind(error.message) from None
        return await asyncio.to_thread(_part, service, stream, offset, tail, limit)

    def reading(self, values: Mapping[str, Any]) -> NamedWork:
        """Return what reads a log on the host of its component, for a runner to do."""

        async def here(work: WorkContext) -> dict[str, int]:
            try:
                service = await self._store.get(values["id"])
                place = (values[name] for name in ("stream", "offset", "tail", "limit"))
                part = await asyncio.to_thread(_part, service, *place)
            except ApiError as error:
                raise Refused(error) from None
            if part.data:
                work.keep("log", part.data)
            return {"offset": part.offset, "size": part.size}

        return NamedWork(LOG, values, here)

    async def begun(self, operation: Operation, seconds: float) -> Service | None:
        """
        Return the service that an operation starts, once a runner has taken it; None where none has yet.

        :param seconds: to wait for that
        :raises UnknownService: it was forgotten since
        :raises ApiError: it cannot be started
        """
        until = asyncio.get_running_loop().time() + seconds
        while True:
            with contextlib.suppress(UnknownService):
                return await self.of_operation(operation.id)
            late = asyncio.get_running_loop().time() >= until
            if operation.queue is None:
                # A component of this machine knows its operation a moment after others do, by their key.
                if late or now() - operation.created_at >= KNOWN_WITHIN:
                    break
                with while_waiting():
                    await asyncio.sleep(TURN)
                continue
            found = await self._operations.wait(operation.id, TURN)
            if (problem := refusal(found)) is not None:
                raise problem
            if found.state.ended:
                if found.state is OperationState.SUCCEEDED:
                    break
                raise NoRunner(found.message or "It was not started.", queue=found.queue, id=found.id)
            if late:
                return None
        return await self._started_again(operation.id)

    async def give_up(self, operation: Operation) -> NoRunner:
        """Return the error for a start that no runner has begun, which is not begun any more."""
        words = f"No runner of the queue {operation.queue!r} has begun to start it."
        await self._operations.cancel(operation.id, words)
        return NoRunner(words, queue=operation.queue, id=operation.id)

    async def of_operation(self, operation: str) -> Service:
        """Return the service that an operation has started; raise UnknownService."""
        return await self.local.look(await self._store.of_operation(operation))

    async def _started_again(self, operation: str) -> Service:
        """Return the service that an operation has started, and others after it; raise UnknownService."""
        for service in await self._store.everything():
            earlier = service.operation
            with contextlib.suppress(UnknownOperation):
                # Ids sort by time.
                while earlier is not None and earlier > operation:
                    earlier = (await self._operations.peek(earlier)).rerun_of
            if earlier == operation:
                return await self.local.look(service)
        raise UnknownService

    async def find(self, identifier: str) -> ServiceView:
        """Return a component as it is now, with what Airflow knows of it; raise UnknownService."""
        for seen in await self.list():
            if seen.service.id == identifier:
                return seen
        raise UnknownService

    async def get(self, identifier: str) -> ServiceView:
        """Return a component likewise, one that has failed with the end of its log; raise UnknownService."""
        seen = await self.find(identifier)
        service = seen.service
        if service.state is not State.FAILED:
            return seen
        # It is read, and not recorded.
        ends = await asyncio.gather(*(self._end_of_log(service, name) for name in logs.streams(service)))
        message = "\n".join(filter(None, (service.message, *ends)))
        return replace(seen, service=replace(service, message=message))

    async def _end_of_log(self, service: Service, stream: str) -> str:
        reading = self.log(service, stream, tail=LAST_LINES, limit=LAST_BYTES)
        # A component is shown without it where its host does not answer.
        with contextlib.suppress(ApiError, asyncio.TimeoutError):
            part = await asyncio.wait_for(reading, LAST_LINES_WITHIN)
            if text := part.data.decode(errors="replace").strip():
                return f"{stream}:\n{text}"
        return ""

    async def list(self) -> list[ServiceView]:
        """Return all services as they are now, and the components that others have started."""
        services = [await self.local.look(service) for service in await self._store.everything()]
        return paired(services, await ask(self._find_jobs, tuple(BY_JOB_TYPE)))

    async def stop(self, identifier: str, *, user: str, force: bool = False) -> bool:
        """
        Ask a component to end, on whichever host it is; one that has ended stays so.

        :param force: kill it, with all it has started
        :return: whether there was anything to ask for
        :raises UnknownService: there is none
        :raises NotManaged: it was not started here
        """
        return await self._want(identifier, DesiredState.KILL if force else DesiredState.STOP, user)

    async def restart(self, identifier: str, *, user: str) -> None:
        """
        Ask a component to end and start it again; one that has ended is started.

        :raises UnknownService: there is none
        :raises NotManaged: it was not started here
        :raises CannotRepeat: it has ended or is about to, and was started with secrets
        :raises AlreadyRunning: it has ended, and the same runs as another service
        """
        await self._want(identifier, DesiredState.RESTART, user)

    async def forget(self, identifier: str) -> None:
        """
        Remove what is known of a service that has ended; its log files stay.

        :raises StillRunning: it has not ended, or is of another host and may only seem to be lost
        """
        service = await self._one(identifier)
        stored = await self._store.get(identifier)
        unseen = now() - (stored.seen_at or stored.created_at)
        if not stored.state.ended and not self.local.is_mine(stored) and unseen < GIVEN_UP:
            raise StillRunning
        if not service.state.ended or not await self.local.forget(stored):
            raise StillRunning

    async def wait(self, identifier: str, seconds: float, *, ended: bool = False) -> None:
        """
        Wait, at most for some seconds, until nothing is under way with a service any more.

        :param ended: until it has ended, and not only until it runs
        """
        until = asyncio.get_running_loop().time() + seconds
        if not ended:
            with while_waiting():
                await self.local.started(identifier, seconds)
        while asyncio.get_running_loop().time() < until:
            if (await self._one(identifier)).is_settled(ended=ended):
                return
            with while_waiting():
                await asyncio.sleep(TURN)

    async def look(self, identifier: str) -> Service:
        """Return a service that was started here as it is now, and nothing else; raise UnknownService."""
        return await self.local.look(await self._store.get(identifier))

    async def _one(self, identifier: str) -> Service:
        if identifier.startswith("job-"):
            await self.find(identifier)
            raise NotManaged
        return await self.look(identifier)

    async def _want(self, identifier: str, desired: DesiredState, user: str) -> bool:
        """Note what is wanted of a component, and do it if it is here; return whether there was a need to."""
        for _ in range(ATTEMPTS):
            await self._one(identifier)
            # As it is stored: one of another host may only seem to be lost.
            stored = await self._store.get(identifier)
            wanted: DesiredState | None = desired
            if desired is DesiredState.RESTART and (stored.state.ended or stored.state is State.STOPPING):
                if stored.secret:
                    raise CannotRepeat
            elif stored.state.ended:
                # All that is left to take back is a restart which nobody has begun.
                wanted = None
                if stored.desired is None:
                    return False
            changed = await self._store.change(stored, desired=wanted, desired_by=user)
            if changed is not None:
                if self.local.is_mine(changed):
                    await self.local.grant(changed)
                return True
        return False

    def _new(self, plan: StartRequest, user: str, here: Places) -> Service:
        identifier = new_id()
        host, place = self.local.host, self.local.place
        same = identity_of(host, place, plan.kind.name, plan.kind.identify(plan.invocation.values))
        identity = None if plan.another else same
        name = log_name(plan.kind.name, identifier)
        return Service(
            id=identifier,
            kind=plan.kind.name,
            command=plan.kind.command,
            argv=tuple(plan.invocation.masked),
            secret=plan.secret,
            user=user,
            host=host,
            place=place,
            hostname=here.hostname,
            folder=folder_for(here),
            logs=here.logs,
            stdout=plan.stdout or f"{name}.out",
            stderr=plan.stderr or f"{name}.err",
            created_at=(moment := now()),
            seen_at=moment,
            identity=identity,
            claim=identity,
            ready=plan.kind.probe(plan.invocation.values),
            pid_file=plan.pid_file,
            restart=plan.restart,
        )

    async def _insert(self, service: Service) -> None:
        for _ in range(ATTEMPTS):
            try:
                return await self._store.insert(service)
            except Taken as taken:
                await self.local.refuse_if_living(taken.service)
        raise AlreadyRunning("The same is being started and stopped by others right now.", service.id)

    async def _refuse_unmanaged(self, plan: StartRequest, service: Service) -> None:
        """Refuse what runs here already without us, as far as Airflow can tell one from another."""
        if plan.kind.job_type is None or any(plan.kind.identify(plan.invocation.values)):
            return
        for seen in await self.list():
            job = seen.job
            if seen.managed or job is None or not job.healthy:
                continue
            if job.type == plan.kind.job_type and job.hostname == service.hostname:
                what = f"{plan.kind.title} runs on {service.host} that was not started here"
                raise AlreadyRunning(f"A {what}: job {job.id} of Airflow.", seen.service.id)


def _part(service: Service, stream: str, offset: int, tail: int | None, limit: int) -> logs.Part:
    if tail is not None:
        offset = logs.tail_offset(service, stream, tail, limit)
    return logs.read(service, stream, offset, limit)


def _check_free(kind: Kind, values: Mapping[str, Any]) -> None:
    """Raise PortInUse where the port that a component is to listen on is taken."""
    port = 0
    with contextlib.suppress(KeyError, TypeError, ValueError):
        port = int(configured(kind.probe(values))["port"])
    if not 0 < port < 65536:
        return
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # What was closed a moment ago is no obstacle; what listens is.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"Port {port} of this host is in use.") from None
