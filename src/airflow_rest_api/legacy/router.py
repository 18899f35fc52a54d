"""The URL of the 1.x plugin, below the plugin's own address: `/api`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.asgi import MOUNT, root_path
from airflow_rest_api.errors import ApiError, Refusal
from airflow_rest_api.legacy.body import read_body
from airflow_rest_api.legacy.door import respond_aside
from airflow_rest_api.legacy.envelope import Envelope
from airflow_rest_api.legacy.request import Sent, is_complete, understand
from airflow_rest_api.room import of_disk
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.legacy.service import Legacy

PATH = "/api"

router = APIRouter(tags=["old endpoints"])


@router.api_route(PATH, methods=["GET", "POST", "HEAD"], include_in_schema=False)
@needs(Needs.COMMAND)
async def api(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Answer a request of the 1.x plugin's clients."""
    legacy = cast("Legacy", request.app.state.legacy)
    call_time = datetime.now(timezone.utc)
    sent = Sent.of(request.scope["query_string"].decode("latin-1"))
    try:
        query = sent.query
        body = await read_body(
            request.headers, request.stream(), context.settings.max_upload, lambda: is_complete(query)
        )
        sent = Sent(query, body)
        if request.method == "HEAD":
            # A HEAD changes nothing: the 1.x plugin ran the command.
            understand(sent)
            legacy.count(sent, caller, call_time)
            envelope = Envelope(200, "", call_time, sent.arguments, sent.post_arguments)
            return await respond_aside(envelope, body.size)
    except (ApiError, OSError) as error:
        problem = error if isinstance(error, ApiError) else of_disk(error)
        if problem is None:
            raise
        legacy.count(sent, caller, call_time)
        message = problem.message
        envelope = Envelope(problem.status, message, call_time, sent.arguments, headers=problem.headers)
        return await respond_aside(envelope, sent.body.size)
    except Refusal as refusal:
        legacy.count(sent, caller, call_time)
        envelope = Envelope(refusal.status, refusal.message, call_time, sent.arguments, sent.post_arguments)
        return await respond_aside(envelope, sent.body.size)
    root = root_path(request.scope).removesuffix(MOUNT)
    return await respond_aside(await legacy.answer(sent, caller, call_time, root), sent.body.size)
