"""An operation as a stream of events: what it prints, how it is, and how it ended."""

from __future__ import annotations

import asyncio
import re
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
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.transcript import Block, Stream

router = APIRouter(prefix="/v2/operations", tags=["operations"])

AT_ONCE = 256 * 1024
"""Bytes of output between two looks at whether the stream may go on."""
PACE = 0.02
"""Seconds in which output gathers after what was just sent: an event for each line helps nobody."""
_ID = re.compile(r"\d{1,15}", re.ASCII)
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
    context: Context, identifier: str, position: int, lease: Lease
) -> AsyncGenerator[str, None]:
    async with context.operations.follow(identifier) as followed:
        transcript, shown = followed.transcript, None
        known: dict[Stream, int] | None = None
        while await lease.holds():
            version, ended, operation = transcript.version, transcript.ended, followed.operation
            blocks = transcript.since(position, AT_ONCE)
            if not operation.state.ended and (state := _state(operation)) != shown:
                shown = state
                yield event("state", as_json(OperationSummary.of(operation)))
                lease.spoke()
            for block in blocks:
                # Not before: of what another server runs, everything is still to come at first.
                known = transcript.ends(position) if known is None else known
                if missing := block.offset - known[block.stream]:
                    yield event("gap", {"stream": block.stream, "missing": missing})
                yield _output(block)
                position, known[block.stream] = block.seq, block.end
                lease.spoke()
            if not blocks and ended:
                if operation.state.ended:
                    yield event("end", as_json(OperationEnd.of(operation)), position)
                return
            if text := lease.heartbeat:
                yield text
            if blocks:
                await asyncio.sleep(PACE)
            await transcript.changed(version, TICK)


def _output(block: Block) -> str:
    text = block.data.decode(errors="replace")
    if block.stream == "progress":
        return event("progress", text, block.seq)
    data = {"stream": block.stream, "offset": block.offset, "at": block.at.isoformat(), "text": text}
    return event("output", data, block.seq)


def _state(operation: Operation) -> tuple[object, ...]:
    return operation.state, operation.started_at, operation.message


def _position(text: str | None) -> int:
    if not text:
        return 0
    if _ID.fullmatch(text) is None:
        raise BadRequest("after: not the id of an event of this operation.", argument="after")
    return int(text)
