"""An operation as a stream of events: what it prints, how it is, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.api.models import OperationEnd, OperationSummary, as_json
from airflow_rest_api.api.operations import visible
from airflow_rest_api.api.responses import errors, event_stream
from airflow_rest_api.api.sse import TICK, EventStream, Lease, event
from airflow_rest_api.errors import BadRequest
from airflow_rest_api.operations.feed import Position
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.model import Chunk, Operation

router = APIRouter(prefix="/v2/operations", tags=["operations"])

AT_ONCE = 256 * 1024
"""Bytes of output between two looks at whether the stream may go on."""
PACE = 0.02
"""Seconds in which output gathers after what was just sent: an event for each line helps nobody."""
EVENTS = event_stream("`output`, `progress`, `gap` and `state` as they come, at last `end`.")


@router.get(
    "/{identifier}/events",
    response_class=Response,
    operation_id="follow_operation",
    responses={**EVENTS, **errors(400, 404, 429)},
)
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
    position = _position(after if after is not None else last_event_id)
    await visible(context, caller, identifier)
    context.streams.check(caller.name)
    lease = Lease(context.streams, caller, lambda one: visible(context, one, identifier))
    events = _events(context, identifier, position, lease)
    return EventStream(context.streams, caller.name, events)


async def _events(
    context: Context, identifier: str, position: Position, lease: Lease
) -> AsyncGenerator[str, None]:
    async with context.operations.follow(identifier) as followed:
        feed, shown = followed.feed, None
        while await lease.holds():
            version, ended, operation = feed.version, feed.ended, followed.operation
            chunks = feed.since(position, AT_ONCE)
            if not operation.state.ended and (state := _state(operation)) != shown:
                shown = state
                yield event("state", as_json(OperationSummary.of(operation)))
                lease.spoke()
            for chunk in chunks:
                for said in _output(chunk, position):
                    yield said
                position = position.after(chunk)
                lease.spoke()
            if not chunks and ended:
                if operation.state.ended:
                    yield event("end", as_json(OperationEnd.of(operation)), position)
                return
            if text := lease.heartbeat:
                yield text
            if chunks:
                await asyncio.sleep(PACE)
            await feed.changed(version, TICK)


def _output(chunk: Chunk, position: Position) -> list[str]:
    """Return a chunk as events: before it, one for the output that is missing."""
    found = []
    known = position.offsets()[chunk.stream]
    if chunk.offset > known:
        found.append(event("gap", {"stream": chunk.stream, "missing": chunk.offset - known}))
    here = position.after(chunk)
    if chunk.stream == "progress":
        found.append(event("progress", chunk.data.decode(errors="replace"), here))
    else:
        data = {
            "stream": chunk.stream,
            "offset": chunk.offset,
            "at": chunk.at.isoformat(),
            "text": chunk.data.decode(errors="replace"),
        }
        found.append(event("output", data, here))
    return found


def _state(operation: Operation) -> tuple[object, ...]:
    return operation.state, operation.started_at, operation.message


def _position(text: str | None) -> Position:
    if not text:
        return Position()
    try:
        return Position.parse(text)
    except ValueError:
        raise BadRequest("after: this is the id of no event of an operation", argument="after") from None
