"""The one road of every command: record it, run it, keep what came out; and of what runs elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.child import setup
from airflow_rest_api.engine.job import Job
from airflow_rest_api.errors import TooManyWaiting, Unavailable
from airflow_rest_api.operations import upkeep
from airflow_rest_api.operations.encoding import NOT_KEPT
from airflow_rest_api.operations.files import Removable, Upload, Workspace, with_files
from airflow_rest_api.operations.live import STORED_WITHIN, Live
from airflow_rest_api.operations.model import Operation, Server, State, new_id
from airflow_rest_api.operations.reading import Reading
from airflow_rest_api.operations.recorder import Recorder
from airflow_rest_api.operations.result import reader
from airflow_rest_api.operations.runs import UNREAD, Listener, Work, follow, perform

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Effect, Invocation
    from airflow_rest_api.engine.engine import Engine
    from airflow_rest_api.operations.files import Parser
    from airflow_rest_api.operations.model import Key
    from airflow_rest_api.operations.result import Read
    from airflow_rest_api.operations.store import Store
    from airflow_rest_api.security.access import OnEnd, Permit

log = logging.getLogger(__name__)

UNBEGUN_AFTER = timedelta(minutes=5)
"""Longer than any attempt to write a row may take, with all its patience."""


class Operations(Reading):
    """
    Starts commands, and knows what became of them and of those that other API servers run.

    :param folder: where the private folders of file arguments are made; the system's temporary folder by
        default
    :param command_timeout: seconds a command may run; None for no limit
    :param output_limit: bytes kept of each of stdout and stderr
    :param file_limit: bytes kept of each file that a command writes
    :param queue_per_user: commands of one user that may wait for their turn
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
    ) -> None:
        super().__init__(store, output_limit)
        self._engine = engine
        self._recorder = Recorder(store)
        self._folder = folder
        self._command_timeout = command_timeout
        self._output_limit = output_limit
        self._file_limit = file_limit
        self._queue_per_user = queue_per_user
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """This process, as the records name it."""
        if self._server is None or self._server.pid != os.getpid():
            now = datetime.now(timezone.utc)
            self._server = Server(new_id(), socket.gethostname(), os.getpid(), now)
        return self._server

    async def start(
        self,
        permit: Permit,
        invocation: Invocation,
        *,
        files: Mapping[str, Upload] | None = None,
        parser: Parser | None = None,
        entry: str | None = None,
        commands: Sequence[str] | None = None,
        read: Read | None = None,
        timeout: float | None = None,
        warnings: list[str] | None = None,
        recorded: bool = False,
        key: Key | None = None,
        rerun_of: str | None = None,
        endpoint: str | None = None,
        limited: bool = True,
    ) -> Operation:
        """
        Run a command and return its operation at once.

        File arguments never name a place on the server: one that is read takes its content from ``files``,
        and one that is written goes to a private folder under the base name given, from where its content is
        kept.

        :param files: the uploaded files by argument
        :param parser: checks that the private paths went where they belong; needed where there are file
            arguments
        :param entry: `module:function` of this package to run in place of Airflow's own entry point
        :param commands: the names of the commands that the entry runs; by default that of the invocation
        :param read: reads the result off what the entry prints; by default what fits the invocation
        :param timeout: seconds, in place of the default
        :param warnings: to put on the operation
        :param recorded: have the operation in the database before it begins: its client will not wait
        :param key: of the client's request; implies ``recorded``
        :param rerun_of: the id of the operation that this one repeats
        :param endpoint: the endpoint of the 1.x plugin by which it is asked for
        :param limited: whether the engine's limit of memory holds for it
        :raises BadArgument: a file argument has no uploaded file, or its place cannot be found
        :raises Busy: too many commands wait already, or TooManyWaiting: too many of this user
        :raises KeyTaken: the key was used before
        :raises Unavailable: it was to be recorded first, and the database is away
        """
        self._check_turn(permit.user)
        workspace = None
        argv = invocation.argv
        names = invocation.command.files(invocation.values, invocation.given)
        operation = self._operation(
            permit, invocation.command.name, invocation.effect, invocation.masked, warnings
        )
        named = invocation.values.get("dag_id")
        operation.dag_id = named if isinstance(named, str) and named else None
        operation.rerun_of, operation.endpoint = rerun_of, endpoint
        operation.message = self._engine.waits_for
        operation.reveals = invocation.reveals_secrets
        if operation.reveals and not self._store.cipher.available:
            operation.warnings.append(NOT_KEPT)
        try:
            if names:
                workspace = await asyncio.to_thread(Workspace, self._folder)
                argv = await asyncio.to_thread(with_files, parser, invocation, workspace, files or {})
            job = Job(
                argv,
                shown=invocation.masked,
                entry=entry,
                timeout=timeout if timeout is not None else self._command_timeout,
                secrets=invocation.secrets,
                # What shows secrets on purpose would show nothing.
                mask=permit.redacted or not invocation.reveals_secrets,
                setup={
                    setup.PREPARE: setup.order(
                        permit.user,
                        commands or [invocation.command.name],
                        redacted=permit.redacted,
                        visible=permit.visible,
                    )
                },
                limited=limited,
            )
            async with self._recorded(operation, key, first=recorded):
                live = Live(
                    operation, self._recorder, self._output_limit, recorded=recorded or key is not None
                )
                listener = Listener(live.transcript, workspace)
                # Again: others of this user may have come in between. From here to `_follow` nobody does.
                self._check_turn(permit.user)
                process = self._engine.submit(job, listener)
        except BaseException:
            if workspace is not None:
                await asyncio.to_thread(workspace.remove)
            raise
        process.on_start, process.on_wait = live.begin, live.wait_for
        live.stop = process.cancel
        read = read or reader(invocation)
        work = follow(live, process, listener, invocation, workspace, self._file_limit, read)
        self._follow(live, work, workspace, permit)
        return live.look()

    def check_room(self, user: str) -> None:
        """
        Raise what `start` would for want of room, before anything is done for the request.

        :raises Busy: too many commands wait already, or TooManyWaiting: too many of this user
        """
        self._check_turn(user)
        self._engine.check_room()

    async def conduct(
        self,
        permit: Permit,
        command: str,
        work: Work,
        *,
        effect: Effect,
        argv: list[str],
        dag_id: str | None = None,
        timeout: float | None = None,
        recorded: bool = False,
        key: Key | None = None,
        endpoint: str | None = None,
        workspace: Removable | None = None,
    ) -> Operation:
        """
        Run a coroutine of ours as an operation and return that at once; the parameters are those of `start`.

        :param argv: what is shown as run, without secrets
        :param work: is given its `Conductor`; returns the operation's result, raises `Failed`, and is
            cancelled on cancel and after ``timeout`` seconds
        :param workspace: removed when the operation has ended, also where the work never began
        """
        operation = self._operation(permit, command, effect, argv, None)
        operation.dag_id, operation.endpoint = dag_id, endpoint
        async with self._recorded(operation, key, first=recorded):
            live = Live(operation, self._recorder, self._output_limit, recorded=recorded or key is not None)
        timeout = timeout if timeout is not None else self._command_timeout
        self._follow(live, perform(live, self._engine, work, timeout), workspace, permit)
        return live.look()

    async def forget_unbegun(self) -> None:
        """
        Forget rows of this server that nothing belongs to; with them their keys are free again.

        A client was told that its command could not begin, and the database took the row all the same.
        """
        known = set(self._live)
        before = datetime.now(timezone.utc) - UNBEGUN_AFTER
        unfinished = partial(upkeep.unfinished, server=self.server.id, before=before)
        for identifier in await self._store.database.run(unfinished):
            if identifier not in known:
                log.warning("Operation %s never began; it is forgotten", identifier)
                await self._store.discard(identifier)

    def let_go(self) -> None:
        """Let go of everybody who waits for what runs elsewhere: this server stops."""
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

    def _operation(
        self,
        permit: Permit,
        name: str,
        effect: Effect,
        argv: Sequence[str],
        warnings: list[str] | None,
    ) -> Operation:
        return Operation(
            id=new_id(),
            command=name,
            effect=effect.value,
            argv=list(argv),
            user=permit.user,
            host=self.server.host,
            server=self.server.id,
            created_at=datetime.now(timezone.utc),
            warnings=list(warnings or ()),
            asks=permit.asks,
        )

    def _check_turn(self, user: str) -> None:
        waiting = sum(live.queued and live.operation.user == user for live in self._live.values())
        if waiting >= self._queue_per_user:
            raise TooManyWaiting()

    @asynccontextmanager
    async def _recorded(self, operation: Operation, key: Key | None, *, first: bool) -> AsyncIterator[None]:
        """Have an operation in the database first where that is asked for; what cannot begin leaves it."""
        if not first and key is None:
            yield
            return
        await self._store.insert(operation, key=key)
        try:
            yield
        except BaseException:
            # Where the database has gone since, `forget_unbegun` sees to it.
            with contextlib.suppress(Unavailable):
                await self._store.discard(operation.id)
            raise

    def _follow(
        self,
        live: Live,
        work: Coroutine[Any, Any, dict[str, bytes]],
        workspace: Removable | None,
        permit: Permit,
    ) -> None:
        self._live[live.operation.id] = live
        live.start()
        live.task = asyncio.create_task(self._to_the_end(live, work, workspace, permit.on_end))

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
                await asyncio.to_thread(workspace.remove)
            if on_end is not None:
                with contextlib.suppress(Exception):
                    on_end(live.look())
            storing = asyncio.create_task(live.finish(files))
            try:
                # Who follows it hears of the end, also while the database is away.
                await asyncio.wait({storing}, timeout=STORED_WITHIN)
                live.transcript.end()
                await storing
            finally:
                del self._live[operation.id]
                live.transcript.end()
                if operation.reveals and not self._store.cipher.available:
                    self._recent.put(live)
