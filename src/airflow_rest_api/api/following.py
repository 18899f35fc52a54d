"""An operation as server-sent events, from its beginning or from behind the last one that was received."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

from airflow_rest_api.api.models import OperationEnd, OperationSummary, as_json, operation_json
from airflow_rest_api.api.sse import TICK, EventStream, Subscription, event
from airflow_rest_api.errors import BadRequest, UnknownOperation
from airflow_rest_api.operations.model import Operation, is_id
from airflow_rest_api.operations.transcript import STREAMS, Block, Stream

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.security.caller import Caller

_EVENT_ID = re.compile(r"\d{1,15}(?:\.\d{1,15}){0,3}", re.ASCII)
"""The number of a block and, with dots between, the bytes of each stream up to its end."""
AT_ONCE = 256 * 1024
"""Bytes of output between two looks at whether the stream may go on."""
PACE = 0.02
"""Seconds in which output gathers after what was just sent: one event for each line would be slower."""


async def visible(context: Context, caller: Caller, identifier: str) -> Operation:
    """Return an operation that the caller may see, without its output; for others there is none."""
    if not is_id(identifier):
        raise UnknownOperation
    operation = await context.operations.peek(identifier)
    if not await context.gate.may_see(caller, [operation]):
        raise UnknownOperation
    return operation


async def read(context: Context, caller: Caller, identifier: str) -> Operation:
    """Return the same, for who gets to see what was printed; that it was another's secrets is recorded."""
    operation = await visible(context, caller, identifier)
    context.audit.reads(caller, operation)
    return operation


async def follow(
    context: Context,
    caller: Caller,
    identifier: str,
    after: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> EventStream:
    """
    Return the answer that follows an operation.

    :param after: the id of the last event that was received
    :param headers: of the answer, beside those of any stream
    :raises ApiError: there is no such operation for the caller, or they may not have one more stream
    """
    position, received = _position(after)
    await read(context, caller, identifier)
    subscription = Subscription(context.streams, caller, lambda one: visible(context, one, identifier))
    return EventStream(
        subscription, _events(context, identifier, position, received, subscription), headers=headers
    )


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
                    end = await operation_json(operation, model=OperationEnd)
                    yield event("end", end, _event_id(position, known))
                return
            if text := subscription.heartbeat:
                yield text
            if blocks:
                # What is behind them may be here already.
                await asyncio.sleep(PACE)
            else:
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


def latest(*received: str | None) -> str | None:
    """Return the last of the ids of events that a client names; None where it names none."""
    return max((one for one in received if one), key=lambda one: _position(one)[0], default=None)


def _position(text: str | None) -> tuple[int, dict[Stream, int] | None]:
    """Return the number of the last received block, and the bytes of each stream if the id has them."""
    if not text:
        return 0, None
    if _EVENT_ID.fullmatch(text) is None or text.count(".") not in (0, len(STREAMS)):
        raise BadRequest("after: not the id of an event of this operation.", argument="after")
    position, *received = map(int, text.split("."))
    return position, dict(zip(STREAMS, received, strict=True)) if received else None
