"""Operations: see, wait for, end and repeat them, follow and fetch what they print and write."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import PlainTextResponse, Response

from airflow_rest_api.api.answers import (
    answer_file,
    answer_model,
    answer_operation,
    answer_part,
    answer_run,
    once,
    origin_of,
    preference_of,
    run_again,
)
from airflow_rest_api.api.context import CallerDep, Context, ContextDep, by_name
from airflow_rest_api.api.listing import endpoints_of, page
from airflow_rest_api.api.models import (
    ACCEPTED,
    FILE,
    IDEMPOTENCY_KEY,
    PREFER,
    RUN_RESPONSES,
    CancelBody,
    OperationBody,
    OperationEnd,
    OperationList,
    OperationSummary,
    as_json,
    errors,
    event_stream,
)
from airflow_rest_api.api.sse import TICK, EventStream, Subscription, event
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import BadRequest, Forbidden, UnknownOperation, UnknownResultFile
from airflow_rest_api.operations.model import Filter, State
from airflow_rest_api.operations.transcript import STREAMS
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.transcript import Block, Stream
    from airflow_rest_api.security.caller import Caller


router = APIRouter(prefix="/v2/operations", tags=["operations"], generate_unique_id_function=by_name)

_EVENT_ID = re.compile(r"\d{1,15}(?:\.\d{1,15}){0,3}", re.ASCII)
"""The number of a block and, with dots between, the bytes of each stream up to its end."""
AT_ONCE = 256 * 1024
"""Bytes of output between two looks at whether the stream may go on."""
PACE = 0.02
"""Seconds in which output gathers after what was just sent: one event for each line would be slower."""
EVENTS = event_stream("`output`, `progress`, `gap` and `state` as they come, at last `end`.")
CANCEL_WAIT = 5.0
"""Seconds that a cancel waits for the end of the command, when the client does not say."""
LONGEST_PIECE = 4 * 1024 * 1024
"""Bytes of output in one answer, when the client asks for a part."""


_ID = re.compile(r"[0-9a-f]{32}")


async def visible(context: Context, caller: Caller, identifier: str) -> Operation:
    """Return an operation that the caller may see, without its output; for others there is none."""
    if not _ID.fullmatch(identifier):
        # Not every database takes every text.
        raise UnknownOperation
    operation = await context.operations.peek(identifier)
    if not await context.gate.may_see(caller, [operation]):
        raise UnknownOperation
    return operation


@router.get("", response_model=OperationList, responses=errors(400))
@needs(Needs.OPERATION)
async def list_operations(
    context: ContextDep,
    caller: CallerDep,
    state: Annotated[list[State] | None, Query(description="May be given more than once.")] = None,
    command: Annotated[str | None, Query(description="The name, such as `dags list`.")] = None,
    user: str | None = None,
    effect: Annotated[
        list[Effect] | None,
        Query(description="May be given more than once: all but `read` for what changes something."),
    ] = None,
    dag_id: str | None = None,
    endpoint: Annotated[
        str | None,
        Query(description="The endpoint of the 1.x plugin that it came by.", examples=["trigger_dag"]),
    ] = None,
    legacy: Annotated[
        bool | None,
        Query(description="Whether it came by an endpoint of the 1.x plugin, whichever."),
    ] = None,
    since: Annotated[datetime | None, Query(description="Created then or later.")] = None,
    until: Annotated[datetime | None, Query(description="Created before then.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """List the operations that the caller may see, the newest first."""
    wanted = Filter(
        states=tuple(state or ()),
        command=command,
        user=user,
        effects=tuple(one.value for one in effect or ()),
        dag_id=dag_id,
        since=since,
        until=until,
        endpoints=endpoints_of(endpoint, legacy, context.endpoints),
    )
    found, following = await page(context, caller, wanted, cursor, limit)
    bodies = [OperationSummary.model_validate(operation) for operation in found]
    return answer_model(OperationList(operations=bodies, next=following))


@router.get(
    "/{identifier}",
    response_model=OperationBody,
    responses={**ACCEPTED, **errors(404)},
    openapi_extra={"parameters": [PREFER]},
)
@needs(Needs.OPERATION)
async def get_operation(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """Return an operation; with `Prefer: wait=N`, once it has ended or after N seconds."""
    await visible(context, caller, identifier)
    preferred = preference_of(request, 0)
    return answer_operation(request, await context.operations.wait(identifier, preferred.wait), preferred)


@router.post(
    "/{identifier}/cancel",
    response_model=CancelBody,
    responses={202: {**ACCEPTED[202], "model": CancelBody}, **errors(404)},
    openapi_extra={"parameters": [PREFER]},
)
@needs(Needs.OPERATION)
async def cancel_operation(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """End a command, whichever API server runs it. Done again, and after its end, it changes nothing."""
    operation = await visible(context, caller, identifier)
    if not await context.gate.may_cancel(caller, operation):
        raise Forbidden(f"Only {operation.user} and administrators may end this command.")
    came = await context.operations.cancel(identifier, f"The command was cancelled by {caller.name}.")
    preferred = preference_of(request, CANCEL_WAIT)
    ended = await context.operations.wait(identifier, preferred.wait)
    return answer_operation(request, ended, preferred, cancel=came)


@router.post(
    "/{identifier}/run-again",
    responses=RUN_RESPONSES,
    openapi_extra={"parameters": [PREFER, IDEMPOTENCY_KEY]},
)
@needs(Needs.COMMAND)
async def run_operation_again(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """
    Run the command of an operation once more, as the caller, who needs the permission for it now.

    One with secrets or uploaded files cannot be repeated: neither are kept.
    """
    operation = await visible(context, caller, identifier)
    origin = await origin_of(context, request, caller, None)
    again, headers = await once(context, origin, lambda: run_again(context, caller, operation, origin))
    return await answer_run(context, request, again, headers)


@router.get("/{identifier}/output", response_class=PlainTextResponse, responses=errors(400, 404))
@needs(Needs.OPERATION)
async def get_output(
    identifier: str,
    context: ContextDep,
    caller: CallerDep,
    stream: Literal["stdout", "stderr"] = "stdout",
    offset: Annotated[int | None, Query(ge=0, le=10**15, description="Bytes of the stream to skip.")] = None,
    limit: Annotated[int | None, Query(ge=1, le=LONGEST_PIECE, description="Bytes to return.")] = None,
) -> Response:
    """
    Return what the command has printed so far, as plain text.

    With `offset` or `limit` it is the bytes from there on, as far as none are missing: `X-Output-Offset` is
    where they begin, `X-Output-Next` the offset to go on with, `X-Output-End` whether nothing more will come.
    """
    await visible(context, caller, identifier)
    if offset is None and limit is None:
        operation = await context.operations.get(identifier)
        return PlainTextResponse(operation.stdout if stream == "stdout" else operation.stderr)
    start, data, complete = await context.operations.output(
        identifier, stream, offset or 0, limit or LONGEST_PIECE
    )
    return answer_part(start, data, end=complete)


@router.get("/{identifier}/files/{name}", response_class=Response, responses={**FILE, **errors(404, 410)})
@needs(Needs.OPERATION)
async def get_file(identifier: str, name: str, context: ContextDep, caller: CallerDep) -> Response:
    """Return a file that the command wrote."""
    operation = await visible(context, caller, identifier)
    for file in operation.files:
        if file.name == name:
            return answer_file(file, await context.operations.file(identifier, name))
    raise UnknownResultFile


@router.get("/{identifier}/events", response_class=Response, responses={**EVENTS, **errors(400, 404, 429)})
@needs(Needs.OPERATION)
async def follow_operation(
    identifier: str,
    context: ContextDep,
    caller: CallerDep,
    request: Request,
    after: Annotated[str | None, Query(description="The id of the last event that was received.")] = None,
    last_event_id: Annotated[str | None, Header(description="The same, as browsers send it.")] = None,
) -> Response:
    """
    Follow an operation as server-sent events, from the beginning or from behind the last one received.

    Both streams come in the order in which they were printed. The answer ends after `end`, with the token,
    and when the server stops; a client that saw no `end` asks again.
    """
    position, received = _position(after if after is not None else last_event_id)
    await visible(context, caller, identifier)
    context.streams.check(caller.name)
    subscription = Subscription(context.streams, caller, lambda one: visible(context, one, identifier))
    events = _events(context, identifier, position, received, subscription)
    return EventStream(context.streams, caller.name, events)


async def _events(
    context: Context,
    identifier: str,
    position: int,
    received: dict[Stream, int] | None,
    subscription: Subscription,
) -> AsyncGenerator[str, None]:
    async with context.operations.follow(identifier) as followed:
        transcript, shown = followed.transcript, None
        known = received
        while await subscription.holds():
            version, ended, operation = transcript.version, transcript.ended, followed.operation
            blocks = transcript.since(position, AT_ONCE)
            if not operation.state.ended and (state := _state(operation)) != shown:
                shown = state
                yield event("state", as_json(OperationSummary.model_validate(operation)))
                subscription.sent()
            for block in blocks:
                # Not before: of what another server runs, everything is still to come at first.
                known = transcript.ends(position) if known is None else known
                if missing := block.offset - known[block.stream]:
                    yield event("gap", {"stream": block.stream, "missing": missing})
                position, known[block.stream] = block.seq, block.end
                yield _output(block, _event_id(position, known))
                subscription.sent()
            if not blocks and ended:
                if operation.state.ended:
                    yield event(
                        "end", as_json(OperationEnd.model_validate(operation)), _event_id(position, known)
                    )
                return
            if text := subscription.heartbeat:
                yield text
            if blocks:
                await asyncio.sleep(PACE)
            await transcript.changed(version, TICK)


def _output(block: Block, identifier: str) -> str:
    text = block.data.decode(errors="replace")
    if block.stream == "progress":
        return event("progress", text, identifier)
    data = {"stream": block.stream, "offset": block.offset, "at": block.at.isoformat(), "text": text}
    return event("output", data, identifier)


def _state(operation: Operation) -> tuple[object, ...]:
    return operation.state, operation.started_at, operation.message


def _event_id(position: int, known: Mapping[Stream, int] | None) -> str:
    received = [known[stream] for stream in STREAMS] if known else []
    return ".".join(map(str, (position, *received)))


def _position(text: str | None) -> tuple[int, dict[Stream, int] | None]:
    """Return the number of the last received block, and the bytes of each stream if the id has them."""
    if not text:
        return 0, None
    if _EVENT_ID.fullmatch(text) is None or text.count(".") not in (0, len(STREAMS)):
        raise BadRequest("after: not the id of an event of this operation.", argument="after")
    position, *received = map(int, text.split("."))
    return position, dict(zip(STREAMS, received, strict=True)) if received else None
