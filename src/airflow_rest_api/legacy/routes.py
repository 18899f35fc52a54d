"""The address of the 1.x plugin: a request is understood, translated, permitted, run and answered here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_rest_api.admission import within_share
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.airflow.parsing import processor_alive
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.asgi import MOUNT, root_path
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import ApiError, Busy, Forbidden, Refusal
from airflow_rest_api.legacy import answer
from airflow_rest_api.legacy.actions import Action, Answer, Deploy, RunChild, RunCommands, StartService, Work
from airflow_rest_api.legacy.answer import Envelope
from airflow_rest_api.legacy.child import messages
from airflow_rest_api.legacy.credentials import respond_aside
from airflow_rest_api.legacy.deploy import deploy
from airflow_rest_api.legacy.model import PATH
from airflow_rest_api.legacy.names import TranslationContext
from airflow_rest_api.legacy.request import Sent, endpoint_of, is_complete, read_body, understand
from airflow_rest_api.legacy.translate import CHILD, translate
from airflow_rest_api.operations.model import State
from airflow_rest_api.room import of_disk
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.storage.transient import foreseen

if TYPE_CHECKING:
    from airflow_rest_api.legacy.dag_readiness import DagReadiness
    from airflow_rest_api.legacy.model import LegacyRequest
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.security.decision import Decision

log = logging.getLogger(__name__)

SETTLED = 5.0
"""Seconds at most in which the end of a start is noted, with the database at hand."""
ROUND = 3600.0
"""Seconds of one wait for a command, after which comes another: what ends a command is its own timeout."""

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
        envelope.post_arguments = sent.post_arguments
        if request.method == "HEAD":
            # A HEAD changes nothing: the 1.x plugin ran the command.
            understand(sent)
    except (ApiError, OSError) as error:
        found = error if isinstance(error, ApiError) else of_disk(error)
        if found is None:
            raise
        if isinstance(found, Refusal):
            envelope.post_arguments = sent.post_arguments
        envelope.refuse(found)
    else:
        if request.method != "HEAD":
            root = root_path(request.scope).removesuffix(MOUNT)
            envelope = await legacy.answer(sent, caller, call_time, root)
            return await respond_aside(envelope, sent.body.size)
    legacy.count(sent, caller, call_time)
    return await respond_aside(envelope, sent.body.size)


class Legacy:
    """The 26 endpoints."""

    def __init__(self, context: Context, readiness: DagReadiness) -> None:
        self._context = context
        self._readiness = readiness
        self._tasks: set[asyncio.Task[Envelope]] = set()

    async def answer(self, sent: Sent, caller: Caller, call_time: datetime, root: str = "") -> Envelope:
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
        envelope = Envelope(200, "", call_time, sent.arguments, sent.post_arguments)
        try:
            with self._counted(sent, caller, call_time) as ignored:
                request = understand(sent)
                envelope.warnings += request.warnings
                ignored += request.ignored
                action = await self._translated(request)
                if isinstance(action, Work):
                    # In front: of one call not all are kept, and these are no words of the client's own.
                    ignored[:0] = action.ignored
                    envelope.warnings += action.warnings
            await self._act(action, request, caller, envelope, root)
        except Exception as error:
            found = error if isinstance(error, ApiError) else foreseen(error)
            if found is None:
                raise
            envelope.refuse(found)
            if isinstance(found, Busy):
                envelope.output = Busy.message
        if isinstance(envelope.output, str):
            values = {name: value for name, value in (*sent.query, *sent.body.fields) if value}
            envelope.output = answer.mask_secrets(envelope.output, values)
        return envelope

    @contextlib.contextmanager
    def _counted(self, sent: Sent, caller: Caller, at: datetime) -> Iterator[list[str]]:
        """Count a request once it is understood, or not; what is ignored of it is put into the list."""
        ignored: list[str] = []
        try:
            yield ignored
        finally:
            self.count(sent, caller, at, ignored)

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

    async def _act(
        self, action: Action, request: LegacyRequest, caller: Caller, envelope: Envelope, root: str
    ) -> None:
        """Do what a request became, and put what came of it into the envelope."""
        context, key, broken = self._context, "", None
        if not isinstance(action, Answer):
            # Before anything is looked up for what could not begin anyway.
            context.operations.check_room(caller.name)
        match action:
            case Answer(output, attempts):
                await context.gate.enter_all(caller, attempts)
                envelope.output = output
                return
            case Deploy():
                await deploy(context, caller, action, request.files["dag_file"], envelope)
                return
            case StartService():
                with context.audit.refusals(caller, action.recorded.command.name, action.recorded):
                    decision = await context.gate.enter_all(caller, action.attempts)
                await self._until_ready(request, envelope)
                operation = await self._start(action, request, caller, decision)
            case RunCommands() | RunChild():
                with context.audit.refusals(caller, action.recorded.command.name, action.recorded):
                    action, decision = await self._permitted(caller, action)
                await self._until_ready(request, envelope)
                key = token_hex(8)
                operation = await self._run(action, request, caller, decision, key)
                broken = await self._import_error(request, action, operation)
        fill = partial(answer.fill, envelope, request, action, operation, context.settings, root, key, broken)
        await asyncio.to_thread(fill) if answer.is_long(operation) else fill()

    async def _permitted(
        self, caller: Caller, work: RunCommands | RunChild
    ) -> tuple[RunCommands | RunChild, Decision]:
        """Return what the caller may do of a work, and why; raise Forbidden."""
        try:
            return work, await self._context.gate.enter_all(caller, work.attempts)
        except Forbidden:
            if work.instead is None:
                raise
        return work.instead, await self._context.gate.enter_all(caller, work.instead.attempts)

    async def _start(
        self, work: StartService, request: LegacyRequest, caller: Caller, decision: Decision
    ) -> Operation:
        """Start a component, and wait until it is ready or has failed."""
        services = self._context.services
        service, operation = await services.start(
            work.plan,
            user=caller.name,
            asks=decision.asks,
            warnings=list(work.warnings),
            on_end=self._context.audit.ended(caller, work.recorded),
            endpoint=request.endpoint.name,
        )
        operation = await self._ended(operation)
        # What has failed is then known to have: the same can be asked for again at once.
        await services.local.started(service.id, SETTLED)
        return operation

    async def _run(
        self,
        work: RunCommands | RunChild,
        request: LegacyRequest,
        caller: Caller,
        decision: Decision,
        key: str,
    ) -> Operation:
        """Run a work in a child, and wait for its end unless the client does not."""
        operation = await self._context.operations.start(
            replace(work.recorded, argv=[messages.write({**work.order}, key)]),
            user=caller.name,
            entry=f"{CHILD}.{work.entry}",
            commands=work.commands,
            read=answer.reader_of(request, work),
            warnings=list(work.warnings),
            asks=decision.asks,
            visible=decision.visible,
            redacted=decision.redacted,
            on_end=self._context.audit.ended(caller, work.recorded),
            recorded=request.leaves,
            endpoint=request.endpoint.name,
        )
        return operation if request.leaves else await self._ended(operation)

    async def _ended(self, operation: Operation) -> Operation:
        while not operation.state.ended:
            operation = await self._context.operations.wait(operation.id, ROUND)
        return operation

    async def _until_ready(self, request: LegacyRequest, envelope: Envelope) -> None:
        """Wait for a DAG that was deployed just now, before a command takes a place; warn if it is late."""
        dag_id = request.get("dag_id")
        late = await self._readiness.wait(dag_id) if dag_id else None
        if late is not None:
            envelope.warnings.append(late)

    async def _import_error(
        self, request: LegacyRequest, work: RunCommands | RunChild, operation: Operation
    ) -> str | None:
        """Return what may have kept a command from finding its DAG: it refused, or parses the file itself."""
        failed = operation.state.ended and operation.state is not State.SUCCEEDED
        looked = operation.exit_code == messages.REFUSED_EXIT_CODE or work.recorded.effect is Effect.EXECUTE
        # Where a DAG is required, so is a permission on it: no client learns of the files of others.
        if "dag_id" not in request.endpoint.required or not (failed and looked):
            return None
        try:
            return await self._readiness.import_error(request.values["dag_id"])
        except Exception:
            # What the command came to is the answer, with or without the reason.
            log.warning("The import error of a DAG could not be looked up", exc_info=True)
            return None
