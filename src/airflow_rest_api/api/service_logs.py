"""What components write: parts of their log files, and what is added to them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import PlainTextResponse, Response

from airflow_rest_api.api.answers import answer_part
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.api.models import as_json, errors, event_stream
from airflow_rest_api.api.services import ServiceBody, allowed_to_look
from airflow_rest_api.api.sse import EventStream, Subscription, event
from airflow_rest_api.errors import BadRequest, Busy, NoLog, NoLogYet, Unavailable, UnknownService
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.services import logs

if TYPE_CHECKING:
    from airflow_rest_api.services.model import Service

router = APIRouter(prefix="/v2/services", tags=["services"])

MOST = 1024 * 1024
"""Bytes of one answer."""
AT_ONCE = 64 * 1024
"""Bytes of one event."""
TURN = 0.25
TURN_ELSEWHERE = 1.0
"""Seconds between two looks at a log file that is followed, here and on the host of a runner."""
LOOK_EVERY = 2.0
"""Seconds between two looks at the component whose log it is, however much it writes."""
TAIL = 100
"""Lines with which following begins."""
TAIL_BYTES = 1024 * 1024

EVENTS = event_stream("`output` as it comes, `gap` where a file was cut, at last `end`.")


@router.get(
    "/{identifier}/log",
    response_class=PlainTextResponse,
    operation_id="get_service_log",
    responses=errors(400, 404),
)
@needs(Needs.SERVICE)
async def get_log(
    identifier: str,
    context: ContextDep,
    caller: CallerDep,
    stream: Literal["stdout", "stderr"] = "stdout",
    offset: Annotated[int, Query(ge=0, le=2**62, description="Bytes before the part.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Bytes at most.")] = MOST,
    tail: Annotated[int | None, Query(ge=1, le=100_000, description="The last lines; not `offset`.")] = None,
) -> Response:
    """Return a part of what a component has written, as plain text."""
    service = await _visible(context, caller, identifier)
    part = await context.services.log(service, stream, offset=offset, tail=tail, limit=limit)
    return answer_part(part.offset, part.data, end=service.state.ended and part.next >= part.size)


@router.get(
    "/{identifier}/log/events",
    response_class=Response,
    operation_id="follow_service_log",
    responses={**EVENTS, **errors(400, 404, 429)},
)
@needs(Needs.SERVICE)
async def follow_log(
    identifier: str,
    context: ContextDep,
    caller: CallerDep,
    tail: Annotated[int, Query(ge=0, le=100_000, description="Lines of each stream to begin with.")] = TAIL,
    after: Annotated[str | None, Query(description="The id of the last event that was received.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it; it counts before `after`.")
    ] = None,
) -> Response:
    """
    Follow what a component writes as server-sent events; both streams, each in its own order.

    `end`, after the component has, holds it as `GET /v2/services/{id}` would.
    """
    service = await _visible(context, caller, identifier)
    # A browser that reconnects sends the newest id to the address that it was given, with the first one.
    position = last_event_id or after
    reader = Reader(context, service)
    offsets = _offsets(position) if position else await reader.begin(tail)
    subscription = Subscription(context.streams, caller, lambda one: allowed_to_look(context, one))
    return EventStream(subscription, _events(context, reader, offsets, subscription))


class Reader:
    """
    Reads what is new in the files of a component.

    :ivar service: as it was last looked at
    """

    def __init__(self, context: Context, service: Service) -> None:
        self.service = service
        self._context = context

    async def begin(self, lines: int) -> dict[str, int]:
        """Return from where to follow each stream: before its last lines."""
        found = dict.fromkeys(logs.STREAMS, 0)
        for stream in logs.streams(self.service):
            # Where there is no file yet, it will be followed from its beginning.
            with suppress(NoLogYet):
                if lines:
                    found[stream] = (await self._read(stream, tail=lines, limit=TAIL_BYTES)).offset
                else:
                    found[stream] = (await self._read(stream, offset=2**62, limit=1)).size
        return found

    async def new(self, stream: str, offsets: dict[str, int]) -> list[str]:
        """Return what was written since, as events; `offsets` moves on."""
        offset = offsets[stream]
        part = await self._read(stream, offset=offset, limit=AT_ONCE)
        found = []
        if part.size < offset:
            # The file was cut, as those do that keep logs small.
            found.append(event("gap", {"stream": stream, "missing": 0}))
            offsets[stream] = offset = 0
            part = await self._read(stream, offset=offset, limit=AT_ONCE)
        length = logs.whole_characters(part.data)
        if self.service.state.ended and part.next >= part.size:
            length = len(part.data)
        if length:
            offsets[stream] = offset + length
            text = part.data[:length].decode(errors="replace")
            data = {"stream": stream, "offset": offset, "text": text}
            found.append(event("output", data, _position(offsets)))
        return found

    async def _read(self, stream: str, **place: int) -> logs.Part:
        return await self._context.services.log(self.service, stream, **place)


async def _events(
    context: Context, reader: Reader, offsets: dict[str, int], subscription: Subscription
) -> AsyncGenerator[str, None]:
    next_look = time.monotonic() + LOOK_EVERY
    while await subscription.holds():
        service = reader.service
        ended = service.state.ended
        written = unread = False
        for stream in logs.streams(service):
            try:
                new = await reader.new(stream, offsets)
            except (NoLogYet, Busy, Unavailable):
                unread = True
                continue
            except NoLog:
                # Taken away, or moved: the next follower begins anew.
                return
            for each in new:
                written = True
                subscription.sent()
                yield each
        if ended and not (written or unread):
            with suppress(UnknownService, Unavailable):
                seen = await context.services.get(service.id)
                yield event("end", as_json(ServiceBody.of(seen)), _position(offsets))
            return
        if text := subscription.heartbeat:
            yield text
        if not written:
            await asyncio.sleep(TURN if context.services.local.is_mine(service) else TURN_ELSEWHERE)
        if time.monotonic() >= next_look and not ended:
            next_look = time.monotonic() + LOOK_EVERY
            try:
                reader.service = await context.services.look(service.id)
            except UnknownService:
                return
            except Unavailable:
                # The log can be read without the database.
                continue


async def _visible(context: Context, caller: CallerDep, identifier: str) -> Service:
    await allowed_to_look(context, caller)
    return (await context.services.find(identifier)).service


def _position(offsets: dict[str, int]) -> str:
    return ".".join(str(offsets[stream]) for stream in logs.STREAMS)


def _offsets(text: str) -> dict[str, int]:
    if not re.fullmatch(r"\d{1,18}\.\d{1,18}", text):
        raise BadRequest("after: not the id of an event of this log.", argument="after")
    return dict(zip(logs.STREAMS, map(int, text.split(".")), strict=True))
