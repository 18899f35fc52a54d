"""The address of the 1.x endpoints: a request is read, understood, translated, launched and answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_rest_api.admission import within_share
from airflow_rest_api.airflow.dag_processor import processor_alive
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.asgi import MOUNT, root_path
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.dag_files.archive import is_archive, unpack
from airflow_rest_api.dag_files.deployment import DeploymentOptions
from airflow_rest_api.disk_full import of_disk
from airflow_rest_api.errors import (
    ApiError,
    Busy,
    CheckFailed,
    DuplicateDags,
    FilesExist,
    Forbidden,
    ImportErrors,
    Refusal,
)
from airflow_rest_api.legacy import answer
from airflow_rest_api.legacy.answer import Envelope
from airflow_rest_api.legacy.child import messages
from airflow_rest_api.legacy.credentials import respond_in_thread
from airflow_rest_api.legacy.dag_readiness import DagReadiness
from airflow_rest_api.legacy.model import (
    PATH,
    Action,
    Answer,
    Deploy,
    LegacyWork,
    RunChild,
    StartService,
    TranslationContext,
)
from airflow_rest_api.legacy.request import Sent, endpoint_of, is_complete, read_body, understand
from airflow_rest_api.legacy.translate import CHILD, translate
from airflow_rest_api.operations.model import Origin, State
from airflow_rest_api.operations.runs import refusal
from airflow_rest_api.operations.work_orders import EntryPoint
from airflow_rest_api.placement import LOCAL
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.storage.transient import foreseen

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile

    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.legacy.model import LegacyRequest
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.access import Permit
    from airflow_rest_api.security.caller import Caller

log = logging.getLogger(__name__)

SETTLED = 5.0
"""Seconds at most in which the end of a start is noted, with the database at hand."""
ROUND = 3600.0
"""Seconds of one wait for an operation, after which comes another: what ends it is its own timeout."""

NOT_SET = "Failed to set the state (pause, unpause) of the DAG: "
INVALID = frozenset({CheckFailed.reason, ImportErrors.reason, DuplicateDags.reason})
"""The reasons for which files themselves are refused: 400, as any wrong value that a client of 1.x sends."""

router = APIRouter(tags=["old endpoints"])


@router.api_route(PATH, methods=["GET", "POST", "HEAD"], include_in_schema=False)
@needs(Needs.COMMAND)
async def api(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Answer a request of the 1.x plugin's clients."""
    legacy = cast("Legacy", request.app.state.legacy)
    call_time = datetime.now(timezone.utc)
    sent = Sent.of(request.scope["query_string"].decode("latin-1"))
    envelope = Envelope(200, "", call_time, sent.arguments)
    try:
        complete = partial(is_complete, sent.query)
        body = await read_body(request.headers, request.stream(), context.settings.max_upload, complete)
        sent = Sent(sent.query, body)
        envelope.post_arguments = sent.body.echo
        if request.method == "HEAD":
            # A HEAD changes nothing: the 1.x plugin ran the command.
            understand(sent)
    except (ApiError, OSError) as error:
        found = error if isinstance(error, ApiError) else of_disk(error)
        if found is None:
            raise
        if isinstance(found, Refusal):
            envelope.post_arguments = sent.body.echo
        envelope.refuse(found)
    else:
        if request.method != "HEAD":
            root = root_path(request.scope).removesuffix(MOUNT)
            envelope = await legacy.answer(sent, caller, call_time, root)
            return await respond_in_thread(envelope, sent.body.size)
    await sent.body.close()
    legacy.count(sent, caller, call_time)
    return await respond_in_thread(envelope, sent.body.size)


class Legacy:
    """The 26 endpoints."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._readiness = DagReadiness(context.dag_files.history)
        self._tasks: set[asyncio.Task[Envelope]] = set()

    async def answer(self, sent: Sent, caller: Caller, call_time: datetime, root: str) -> Envelope:
        """
        Return the answer to a request; the work goes on when the client does not wait for it.

        :param root: the path under which the client sees Airflow
        """
        task = asyncio.create_task(within_share(self._answer(sent, caller, call_time, root)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def count(self, sent: Sent, caller: Caller, at: datetime, ignored: Iterable[str] = ()) -> None:
        """Count a request among the calls of its endpoint, whatever becomes of it."""
        self._context.usage.count(endpoint_of(sent), caller.name, caller.address, at, ignored)

    async def _answer(self, sent: Sent, caller: Caller, call_time: datetime, root: str) -> Envelope:
        envelope = Envelope(200, "", call_time, sent.arguments, sent.body.echo)
        ignored: list[str] = []
        try:
            try:
                request = understand(sent)
                envelope.warnings += request.warnings
                ignored += request.ignored
                action = await self._translated(request)
                if isinstance(action, LegacyWork):
                    # In front: of one call not all are kept, and these are no words of the client's own.
                    ignored[:0] = action.ignored
                    envelope.warnings += action.warnings
            finally:
                self.count(sent, caller, call_time, ignored)
            if not isinstance(action, Deploy):
                # Nothing else takes a file, and a command may run for an hour.
                await sent.body.close()
            await Launch(self._context, self._readiness, caller, request, envelope, root).act(action)
        except Exception as error:
            found = error if isinstance(error, ApiError) else foreseen(error)
            if found is None:
                raise
            envelope.refuse(found)
            if isinstance(found, Busy):
                envelope.output = Busy.message
        finally:
            # Not with the request, which may end before this does.
            await sent.body.close()
        if isinstance(envelope.output, str):
            values = {name: value for name, value in (*sent.query, *sent.body.fields) if value}
            envelope.output = answer.mask_secrets(envelope.output, values)
        return envelope

    async def _translated(self, request: LegacyRequest) -> Action:
        settings = self._context.settings
        context = TranslationContext(
            # The versions are known before the commands are.
            await self._context.catalog.get() if request.endpoint.commands else None,
            settings.exchange_folder,
            as_json=answer.as_1x(settings),
            processor_alive=processor_alive,
        )
        return await ask(translate, request, context)


@dataclass(frozen=True)
class Launch:
    """
    Does what one request became, and puts what came of it into the envelope.

    :ivar root: the path under which the client sees Airflow
    """

    context: Context
    readiness: DagReadiness
    caller: Caller
    request: LegacyRequest
    envelope: Envelope
    root: str

    async def act(self, action: Action) -> None:
        """
        Do it; wait for its end, unless the client does not.

        :raises ApiError: nothing was done
        """
        if self.request.queue is not None and isinstance(action, Answer):
            raise Refusal("Argument 'queue' is not taken here: the API server does this itself")
        if not isinstance(action, Answer) and self._runs_here(action):
            # Before anything is looked up for what could not begin anyway.
            self.context.operations.check_room(self.caller.name)
        match action:
            case Answer(output, attempts):
                with self.context.audit.refusals(self.caller, self.request.endpoint.name):
                    await self.context.gate.check(self.caller, attempts)
                self.envelope.output = output
            case Deploy():
                await self._deploy(action, self.request.files["dag_file"])
            case StartService():
                permit = await self._permit(action)
                await self._fill(action, await self._start(action, permit))
            case RunChild():
                action, permit = await self._permitted(action)
                key = token_hex(8)
                operation = await self._run(action, permit, key)
                await self._fill(action, operation, key, await self._import_error(action, operation))

    def _runs_here(self, action: Action) -> bool:
        """Return whether this API server runs what a request became, and no runner."""
        assert not isinstance(action, Answer)
        usual = self.context.gate.usual_queue(action.recorded, action.attempts)
        return (self.request.queue or usual) == LOCAL

    async def _permit(self, work: LegacyWork, *, recorded: bool = True) -> Permit:
        return await self.context.gate.authorize(
            self.caller, work.recorded, work.attempts, recorded=recorded, queue=self.request.queue
        )

    async def _permitted(self, work: RunChild) -> tuple[RunChild, Permit]:
        """Return what the caller may do of a work, with the permit for it."""
        if work.instead is not None:
            try:
                return work, await self._permit(work, recorded=False)
            except Forbidden:
                work = work.instead
        return work, await self._permit(work)

    async def _start(self, work: StartService, permit: Permit) -> Operation:
        """Start a component, and wait until it is ready or has failed."""
        await self._until_ready()
        services = self.context.services
        service, operation = await services.start(
            work.plan, permit, warnings=list(work.warnings), endpoint=self.request.endpoint.name
        )
        operation = await self._ended(operation)
        if (problem := refusal(operation)) is not None:
            raise problem
        # What has failed is then known to have: the same can be asked for again at once.
        if service is not None:
            await services.local.started(service.id, SETTLED)
        return operation

    async def _run(self, work: RunChild, permit: Permit, key: str) -> Operation:
        """Run a work in a child whose messages are known by a key."""
        await self._until_ready()
        operation = await self.context.operations.start(
            permit,
            replace(work.recorded, argv=[messages.write({**work.order}, key)]),
            entry=EntryPoint(f"{CHILD}.{work.entry}", work.commands, answer.reading_of(self.request, work)),
            origin=Origin(
                recorded=self.request.leaves, endpoint=self.request.endpoint.name, warnings=work.warnings
            ),
        )
        return operation if self.request.leaves else await self._ended(operation)

    async def _ended(self, operation: Operation) -> Operation:
        while not operation.state.ended:
            operation = await self.context.operations.wait(operation.id, ROUND)
        return operation

    async def _fill(
        self, work: LegacyWork, operation: Operation, key: str = "", broken: str | None = None
    ) -> None:
        settings = self.context.settings
        fill = partial(
            answer.fill, self.envelope, self.request, work, operation, settings, self.root, key, broken
        )
        size = len(operation.stdout) + len(operation.stderr)
        await asyncio.to_thread(fill) if size > answer.LONG_TEXT else fill()

    async def _until_ready(self) -> None:
        """Wait for a DAG that was deployed just now, before a command takes a place; warn if it is late."""
        dag_id = self.request.get("dag_id")
        late = await self.readiness.wait(dag_id) if dag_id else None
        if late is not None:
            self.envelope.warnings.append(late)

    async def _import_error(self, work: LegacyWork, operation: Operation) -> str | None:
        """Return what may have kept a command from finding its DAG: it refused, or parses the file itself."""
        failed = operation.state.ended and operation.state is not State.SUCCEEDED
        refused = operation.exit_code == messages.REFUSED_EXIT_CODE
        looked = refused or work.recorded.effect is Effect.EXECUTE
        # Where a DAG is required, so is a permission on it: no client learns of the files of others.
        if "dag_id" not in self.request.endpoint.required or not (failed and looked):
            return None
        try:
            return await self.readiness.import_error(self.request.values["dag_id"])
        except Exception:
            # What the command came to is the answer, with or without the reason.
            log.warning("The import error of a DAG could not be looked up", exc_info=True)
            return None

    async def _deploy(self, work: Deploy, file: UploadFile) -> None:
        """Deploy a file or an archive, in the words of the 1.x plugin."""
        context, command = self.context, work.recorded.command.name
        with context.audit.refusals(self.caller, command, work.recorded):
            scope = await context.grants.scope(self.caller, command, self.request.queue)
            if work.force_invalid:
                scope.require_everywhere()
            bundle, folder = await asyncio.to_thread(scope.target, command, work.bundle, work.folder)
            queue = await context.gate.queue_for(self.caller, work.recorded.command, self.request.queue)
            bundle = await context.dag_file_works.located(queue, bundle, folder)
            async with context.dag_files.receive(folder) as received:
                await asyncio.to_thread(_take, work.file, file, received)
                await file.close()
                paths = [one.path for one in received.files]
                permit = await context.grants.authorize(
                    self.caller, work.recorded, bundle or "", paths, queue=self.request.queue
                )
                options = DeploymentOptions(
                    overwrite=work.force,
                    always_new=True,
                    force_invalid=work.force_invalid,
                    paused=work.paused,
                    wait=work.wait,
                )
                deployment = context.dag_file_works.deployment(
                    bundle, folder, received, options, user=self.caller.name, scope=scope
                )
                operation = await context.operations.start_work(
                    permit, work.recorded, deployment, origin=Origin(endpoint=command)
                )
                received.release()
            self.envelope.operation_id = operation.id
            operation = await self._ended(operation)
        _put_deployed(self.envelope, work, operation)


def _take(name: str, file: UploadFile, received: Received) -> None:
    file.file.seek(0)
    if is_archive(name):
        unpack(name, file.file, received)
    else:
        received.add(name, file.file, "dag_file")


def _put_deployed(envelope: Envelope, work: Deploy, operation: Operation) -> None:
    result: dict[str, Any] = operation.result if isinstance(operation.result, dict) else {}
    if operation.state is not State.SUCCEEDED:
        problem = refusal(operation)
        if problem is None:
            raise Refusal(operation.message or "Failed", 500)
        if problem.reason == FilesExist.reason:
            raise Refusal(f"The file '{work.file}' already exists on host '{operation.host}'.")
        raise Refusal(problem.message, 400 if problem.reason in INVALID else problem.status)
    envelope.output = f"DAG File [{work.file}] has been uploaded"
    envelope.dag_ids = sorted({dag["dag_id"] for dag in result["dags"]})
    envelope.warnings += dict.fromkeys(operation.warnings)
    prefix = NOT_SET if work.paused is not None else ""
    for error in result["errors"]:
        line = f", line {error['line']}" if error["line"] else ""
        envelope.warnings.append(f"{prefix}{error['file']}{line}: {error['message']}")
    for one in result["duplicates"]:
        both = f"{one['file']} comes from {one['owner']} as well"
        envelope.warnings.append(f"The DAG {one['dag_id']!r} of {both}")
    if work.paused is not None and not result["dags"] and not result["errors"]:
        envelope.warnings.append(f"{NOT_SET}the file defines none")
    envelope.warnings += result["warnings"]
