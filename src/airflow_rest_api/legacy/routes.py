"""The address of the 1.x endpoints: a request is read, understood, translated, launched and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_rest_api.admission import within_share
from airflow_rest_api.airflow.dag_processor import processor_alive
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.asgi import MOUNT, root_path
from airflow_rest_api.disk_full import of_disk
from airflow_rest_api.errors import ApiError, Busy, Refusal
from airflow_rest_api.legacy import answer
from airflow_rest_api.legacy.actions import Action, LegacyWork
from airflow_rest_api.legacy.answer import Envelope
from airflow_rest_api.legacy.credentials import respond_in_thread
from airflow_rest_api.legacy.launch import Launch
from airflow_rest_api.legacy.model import PATH
from airflow_rest_api.legacy.names import TranslationContext
from airflow_rest_api.legacy.request import Sent, endpoint_of, is_complete, read_body, understand
from airflow_rest_api.legacy.translate import translate
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.storage.transient import foreseen

if TYPE_CHECKING:
    from airflow_rest_api.legacy.dag_readiness import DagReadiness
    from airflow_rest_api.legacy.model import LegacyRequest
    from airflow_rest_api.security.caller import Caller

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
            return await respond_in_thread(envelope, sent.body.size)
    legacy.count(sent, caller, call_time)
    return await respond_in_thread(envelope, sent.body.size)


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
            await Launch(self._context, self._readiness, caller, request, envelope, root).act(action)
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
