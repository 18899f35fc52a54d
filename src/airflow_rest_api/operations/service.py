"""The operations of this API server: started here, and answered for wherever they run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.errors import NoRunner, TooManyWaiting, Unavailable, UnknownOperation
from airflow_rest_api.loop_share import LoopShare
from airflow_rest_api.operations import heartbeat
from airflow_rest_api.operations.dispatch import Dispatcher
from airflow_rest_api.operations.files import Removable, Upload, Workspace, removed, with_files
from airflow_rest_api.operations.known import KnownOperations
from airflow_rest_api.operations.live import STORED_WITHIN, Live, snapshot
from airflow_rest_api.operations.model import Cancel, KeyTaken, Operation, Origin, Server, State, new_id
from airflow_rest_api.operations.runs import UNREAD, OutputListener, follow, perform, refusal
from airflow_rest_api.operations.tables import NOT_KEPT
from airflow_rest_api.operations.work_orders import AIRFLOW, EntryPoint, NamedWork, WorkOrder
from airflow_rest_api.placement import LOCAL
from airflow_rest_api.security.access import Gate

if TYPE_CHECKING:
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.engine.engine import Engine
    from airflow_rest_api.operations.store import Store
    from airflow_rest_api.security.access import OnEnd, Permit

log = logging.getLogger(__name__)

UNBEGUN_AFTER = timedelta(minutes=5)
"""Longer than any attempt to write a row may take, with all its retries."""
ANSWER_WITHIN = 30.0
"""Seconds in which a runner has to answer what is asked of its files."""

BEGINS_WITHIN = 100
"""Tenths of a second in which an operation of this process that was recorded begins, or is given up."""

DROPPED_WITHIN = 60.0
"""Seconds in which one whose client has gone comes to its end."""

REQUEST = Origin()
"""A request of which nothing more is known."""


class Operations(KnownOperations):
    """
    Starts operations, here or on runners, ends them, and answers for them and for those of other servers.

    :param folder: where the private folders of file arguments are made; the system's temporary folder by
        default
    :param command_timeout: seconds a command may run; None for no limit
    :param output_limit: bytes kept of each of stdout and stderr
    :param file_limit: bytes kept of each file that a command writes
    :param queue_per_user: commands of one user that may wait
    :param dispatcher: sends to runners what is permitted for a queue of theirs
    :param runner: the fields of `Server` by which this process is known as a runner
    :param share: what operations have of the event loop; no bound where the loop is ours alone
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        folder: Path | None = None,
        command_timeout: float | None = 3600,
        output_limit: int = 1024 * 1024,
        file_limit: int = 50 * 1024 * 1024,
        queue_per_user: int = 48,
        dispatcher: Dispatcher | None = None,
        runner: Mapping[str, Any] | None = None,
        share: LoopShare | None = None,
    ) -> None:
        super().__init__(store, output_limit)
        self._engine = engine
        self._folder = folder
        self._command_timeout = command_timeout
        self._output_limit = output_limit
        self._file_limit = file_limit
        self._queue_per_user = queue_per_user
        self._dispatcher = dispatcher or Dispatcher(store)
        self._as_runner = dict(runner or {})
        self._loop_share = share or LoopShare(math.inf)
        self._server: Server | None = None
        self._dropping: set[asyncio.Task[None]] = set()
        self.withdrawn: set[str] = set()
        """Operations that do not begin, and of which the database may have a row."""

    async def cancel(self, identifier: str, reason: str) -> Cancel:
        """
        Ask an operation to end, wherever it runs; return what came of that.

        :param reason: one sentence, that becomes the operation's message
        """
        if live := self._here(identifier):
            if live.ask(reason):
                return Cancel.ASKED
            return Cancel.ENDED_BEFORE if live.operation.state.ended else Cancel.ASKED_BEFORE
        # First what no runner has yet: it is ended here.
        if await self._dispatcher.cancel(identifier, reason):
            return Cancel.ASKED
        operation = await self._store.get(identifier, output=False)
        before = identifier in await self._store.cancels(operation.server)
        if (await self._store.ask_cancel(identifier, reason)).ended:
            return Cancel.ENDED_BEFORE
        return Cancel.ASKED_BEFORE if before else Cancel.ASKED

    async def peek(self, identifier: str) -> Operation:
        """Return an operation without its output; one of this process once it is certain that it begins."""
        for _ in range(BEGINS_WITHIN):
            operation = await super().peek(identifier)
            ours = operation.state is State.QUEUED and operation.server == self.server.id
            if not ours or self._here(identifier):
                break
            await asyncio.sleep(0.1)
        return operation

    def cancel_here(self, asked: Mapping[str, str]) -> None:
        """End those operations of this process that another API server was asked to end."""
        for identifier, reason in asked.items():
            if live := self._live.get(identifier):
                live.ask(reason)

    @property
    def server(self) -> Server:
        """Return this process, as the records name it."""
        if self._server is None or self._server.pid != os.getpid():
            now = datetime.now(timezone.utc)
            host = socket.gethostname()
            self._server = Server(new_id(), host, os.getpid(), now, **self._as_runner)
        return self._server

    async def start(
        self,
        permit: Permit,
        invocation: Invocation,
        *,
        files: Mapping[str, Upload] | None = None,
        parser: Catalog | None = None,
        entry: EntryPoint = AIRFLOW,
        origin: Origin = REQUEST,
    ) -> Operation:
        """
        Run a command and return its operation at once, without output.

        File arguments never name a place on the server: one that is read takes its content from ``files``,
        and one that is written goes to a private folder under the base name given, from where its content is
        kept.

        :param files: the uploaded files by argument
        :param parser: checks that the private paths went where they belong; needed where there are file
            arguments
        :raises BadArgument: a file argument has no uploaded file, or its place cannot be found
        :raises Busy: too many commands wait already, or TooManyWaiting: too many of this user
        :raises KeyTaken: the key was used before
        :raises Unavailable: it was to be recorded first, and the database is away
        :raises NoRunner: nobody serves the queue of the permit
        """
        operation = self._operation(permit, invocation, origin)
        operation.reveals = invocation.reveals_secrets
        if operation.reveals and not self._store.cipher.available:
            operation.warnings.append(NOT_KEPT)
        order = WorkOrder.of(permit, invocation, entry, files or {})
        if permit.queue != LOCAL:
            await self._send(permit, order, operation, origin)
            return snapshot(operation)
        # Before it is recorded: a request with the same key would find what is given up in a moment.
        self.check_room(permit.user)
        operation.message = self._engine.waits_for
        async with self._recorded(operation, origin) as live:
            return await self._begin(live, order, parser, permit.on_end)

    async def run_claimed(
        self, operation: Operation, order: WorkOrder, parser: Catalog, on_end: OnEnd | None
    ) -> Operation:
        """
        Run an operation that this process has claimed; return it at once, without output.

        :param on_end: records its end
        :raises ApiError: it cannot begin
        """
        live = Live(operation, self._recorder, self._output_limit, recorded=True)
        return await self._begin(live, order, parser, on_end)

    async def _begin(
        self, live: Live, order: WorkOrder, parser: Catalog | None, on_end: OnEnd | None
    ) -> Operation:
        invocation, workspace = order.invocation, None
        argv = invocation.argv
        try:
            if invocation.command.files(invocation.values, invocation.given):
                workspace = await asyncio.to_thread(Workspace, self._folder)
                argv = await asyncio.to_thread(with_files, parser, invocation, workspace, order.uploads)
            listener = OutputListener(live.transcript, workspace)
            if live.queued:
                # Again: others of this user may have come in between. From here to `_follow` none does.
                self._check_queue(order.user)
            process = self._engine.submit(order.job(argv, self._command_timeout), listener)
        except BaseException:
            if workspace is not None:
                await removed(workspace)
            raise
        process.on_start, process.on_wait = live.begin, live.wait_for
        live.stop = process.cancel
        work = follow(live, process, listener, invocation, workspace, self._file_limit, order.reader())
        return self._follow(live, work, workspace, on_end)

    def check_room(self, user: str) -> None:
        """
        Raise what `start` would for want of room, before anything is done for the request.

        :raises Busy: too many commands wait already, or TooManyWaiting: too many of this user
        """
        self._check_queue(user)
        self._engine.check_room()

    async def start_work(
        self, permit: Permit, invocation: Invocation, work: NamedWork, *, origin: Origin = REQUEST
    ) -> Operation:
        """
        Have work of ours done as an operation, here or by a runner of the queue; return that at once.

        :param invocation: as which it is recorded; what it shows is shown
        :param work: its files belong to the operation from then on
        :raises KeyTaken: the key was used before
        :raises Unavailable: it was to be recorded first, and the database is away
        :raises Busy: too many operations wait in its queue, or TooManyWaiting: too many of this user
        :raises NoRunner: nobody serves the queue of the permit
        """
        operation = self._operation(permit, invocation, origin)
        if permit.queue != LOCAL:
            uploads = await asyncio.to_thread(work.uploads)
            order = WorkOrder(invocation, AIRFLOW, permit.user, uploads=uploads, work=work.order)
            await self._send(permit, order, operation, origin)
            if work.files is not None:
                await removed(work.files)
            return snapshot(operation)
        async with self._recorded(operation, origin) as live:
            pass
        return self._perform(live, work, permit.on_end)

    def run_claimed_work(self, operation: Operation, work: NamedWork, on_end: OnEnd | None) -> Operation:
        """
        Do work of ours as an operation that this process has claimed; return that at once.

        :param on_end: records its end
        """
        live = Live(operation, self._recorder, self._output_limit, recorded=True)
        return self._perform(live, work, on_end)

    async def ask(self, queue: str, shown: Invocation, work: NamedWork) -> tuple[Any, bytes | None]:
        """
        Return what a runner answers: the result of work that only reads, and the file that it has kept.

        Whoever asks has decided who may know it. The operation is that of no user, and none of those that are
        kept.

        :param shown: as which it is recorded meanwhile
        :raises ApiError: the work is `Refused`; NoRunner: no runner has answered in time
        """
        begun = await self.start_work(Gate.standing("", queue), shown, work)
        ended = False
        try:
            operation = await self.wait(begun.id, ANSWER_WITHIN)
            ended = operation.state.ended
            if not ended:
                words = f"No runner of the queue {queue!r} has answered within {ANSWER_WITHIN:g} seconds."
                raise NoRunner(words, queue=queue)
            if (problem := refusal(operation)) is not None:
                problem.more.pop("id")
                raise problem
            if operation.state is not State.SUCCEEDED:
                raise NoRunner(operation.message or "The runner could not answer.", queue=queue)
            content = None
            if operation.files:
                content = await self.file(operation.id, operation.files[0].name)
            return operation.result, content
        finally:
            task = asyncio.create_task(self._drop(begun.id, ended=ended))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)
            if ended:
                await asyncio.shield(task)

    async def _drop(self, identifier: str, *, ended: bool) -> None:
        """Remove an operation that was there for one answer alone, once it has ended."""
        try:
            if not ended:
                await self.cancel(identifier, "Its client does not wait any longer.")
                ended = (await self.wait(identifier, DROPPED_WITHIN)).state.ended
            if ended:
                await self._store.discard(identifier)
        except (Unavailable, UnknownOperation) as error:
            log.warning("Operation %s, which was there for one answer, may stay: %s", identifier, error)

    async def forget_unbegun(self) -> None:
        """
        Settle rows of this server that nothing belongs to.

        One that never began is removed, and with it its key is free again: a client was told so, and the
        database took the row all the same. One that has begun, or may have, becomes `lost` and keeps its key:
        who sends the request again must not run the command again.
        """
        # Before the rows are read: one that ends meanwhile is still among these.
        known = set(self._live)
        given_up, withdrawn = self._recorder.given_up - known, set(self.withdrawn)
        before = datetime.now(timezone.utc) - UNBEGUN_AFTER
        server, run = self.server.id, self._store.database.run
        for identifier, begun, came in await run(partial(heartbeat.unfinished, server=server)):
            if identifier in known or (came >= before and identifier not in given_up | withdrawn):
                continue
            if begun or identifier in given_up:
                message = heartbeat.UNWRITTEN if identifier in given_up else heartbeat.UNKNOWN
                log.warning("Operation %s is lost: %s", identifier, message)
                lose = partial(heartbeat.lose, identifier=identifier, server=server, message=message)
                await run(lose)
            else:
                log.warning("Operation %s never began; it is removed", identifier)
                await self._store.discard(identifier)
        self._recorder.given_up -= given_up
        self.withdrawn -= withdrawn

    def let_go(self) -> None:
        """End the waiting for what runs elsewhere: this server stops."""
        self._watcher.stop()

    def stop(self, reason: str) -> None:
        """Ask everything that runs here to end."""
        self.let_go()
        for live in list(self._live.values()):
            live.ask(reason)

    async def settle(self, seconds: float = 20.0) -> None:
        """Return once everything that was started is recorded as ended, after the engine's stop."""
        tasks = [live.task for live in self._live.values() if live.task]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await self._recorder.close()

    def _operation(self, permit: Permit, invocation: Invocation, origin: Origin) -> Operation:
        named = invocation.values.get("dag_id")
        return Operation(
            id=new_id(),
            command=invocation.command.name,
            effect=invocation.effect.value,
            argv=list(invocation.masked),
            dag_id=named if isinstance(named, str) and named else None,
            user=permit.user,
            host=self.server.host,
            server=self.server.id,
            created_at=datetime.now(timezone.utc),
            warnings=list(origin.warnings),
            asks=permit.asks,
            rerun_of=origin.rerun_of,
            endpoint=origin.endpoint,
        )

    async def _send(self, permit: Permit, order: WorkOrder, operation: Operation, origin: Origin) -> None:
        operation.queue, operation.server, operation.host = permit.queue, "", ""
        await self._dispatcher.send(order, operation, origin, permit.on_end)

    def _perform(self, live: Live, work: NamedWork, on_end: OnEnd | None) -> Operation:
        performing = perform(live, self._engine, work.here, self._command_timeout)
        return self._follow(live, performing, work.files, on_end)

    def _check_queue(self, user: str) -> None:
        waiting = sum(live.queued and live.operation.user == user for live in self._live.values())
        if waiting >= self._queue_per_user:
            raise TooManyWaiting(option="queue_per_user")

    @asynccontextmanager
    async def _recorded(self, operation: Operation, origin: Origin) -> AsyncIterator[Live]:
        """Have an operation in the database first where that is asked for; what cannot begin is removed."""
        first = origin.recorded or origin.key is not None
        try:
            if first:
                await self._store.insert(operation, key=origin.key)
            yield Live(operation, self._recorder, self._output_limit, recorded=first)
        except KeyTaken:
            raise
        except Unavailable:
            # It may be there all the same: the connection was lost in the commit.
            self.withdrawn.add(operation.id)
            raise
        except BaseException:
            if first:
                try:
                    await self._store.discard(operation.id)
                except Unavailable:
                    self.withdrawn.add(operation.id)
            raise

    def _follow(
        self,
        live: Live,
        work: Coroutine[Any, Any, dict[str, bytes]],
        workspace: Removable | None,
        on_end: OnEnd | None,
    ) -> Operation:
        """Follow an operation to its end in the background; return it as it is now."""
        self._live[live.operation.id] = live
        live.start()
        end = self._loop_share.run(self._to_the_end(live, work, workspace, on_end))
        live.task = asyncio.create_task(end)
        return snapshot(live.operation)

    async def _to_the_end(
        self,
        live: Live,
        work: Coroutine[Any, Any, dict[str, bytes]],
        workspace: Removable | None,
        on_end: OnEnd | None,
    ) -> None:
        operation = live.operation
        files: dict[str, bytes] = {}
        try:
            files = await work
        finally:
            if not operation.state.ended:
                operation.state, operation.message = State.LOST, UNREAD
            operation.finished_at = datetime.now(timezone.utc)
            if workspace is not None:
                await removed(workspace)
            storing = asyncio.create_task(live.finished(live.finish(files)))
            try:
                # What follows its end takes no time from who waits for it.
                await asyncio.sleep(0)
                if on_end is not None:
                    with contextlib.suppress(Exception):
                        on_end(live.look())
                # Those who follow it get its end also while the database is away.
                await asyncio.wait({storing}, timeout=STORED_WITHIN)
                live.transcript.end()
                await storing
            finally:
                del self._live[operation.id]
                live.transcript.end()
                if operation.reveals and not self._store.cipher.available:
                    self._recent.put(live)
