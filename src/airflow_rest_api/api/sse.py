"""Server-sent events: the format, how long a stream may last, and how many a user may have."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from airflow_rest_api.admission import while_waiting
from airflow_rest_api.errors import ApiError, TooManyStreams
from airflow_rest_api.storage.transient import of_database

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_rest_api.security.caller import Caller

MEDIA_TYPE = "text/event-stream"
PER_USER = 50
"""Streams that a user may have open at one API-server process."""
HEARTBEAT = 15.0
"""Seconds without an event after which a comment says that the stream lives."""
CHECK = 60.0
"""Seconds after which it is asked again whether the user may still see this."""
TICK = 1.0
"""Seconds within which a stream notices that the server stops."""


class Streams:
    """The open streams of this process."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.closing = False

    def check(self, user: str) -> None:
        """Raise ApiError where a user may not have one more."""
        if self._open[user] >= PER_USER:
            message = f"{user} has {PER_USER} streams of events open already."
            raise TooManyStreams(message, headers={"Retry-After": "5"})

    def opened(self, user: str) -> None:
        """Count one more."""
        self._open[user] += 1

    def closed(self, user: str) -> None:
        """Count one less."""
        self._open[user] -= 1
        if not self._open[user]:
            del self._open[user]

    @property
    def number(self) -> int:
        """How many are open."""
        return self._open.total()

    def close(self) -> None:
        """End all of them, within a second: the server stops."""
        self.closing = True


class EventStream(StreamingResponse):
    """An answer of server-sent events that counts as open as long as it is sent."""

    def __init__(
        self,
        subscription: Subscription,
        events: AsyncGenerator[str, None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # Between us and the client nothing may gather the events.
        super().__init__(
            events, headers={**(headers or {}), "X-Accel-Buffering": "no"}, media_type=MEDIA_TYPE
        )
        self._streams, self._user = subscription.streams, subscription.caller.name
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        self._streams.opened(self._user)
        try:
            with while_waiting():
                await super().__call__(scope, receive, send)
        finally:
            self._streams.closed(self._user)
            # A client that went away in the midst of an event does not keep what it followed.
            await self._events.aclose()


class Subscription:
    """
    Says for how long a stream may go on.

    It ends with the user's token, when a look every minute finds that they may no longer see it, and when the
    server stops.

    :param may_see: asks whether a caller may see what is streamed; may raise
    :raises ApiError: the user may not have one more
    """

    def __init__(
        self, streams: Streams, caller: Caller, may_see: Callable[[Caller], Awaitable[object]]
    ) -> None:
        streams.check(caller.name)
        self.streams = streams
        self.caller = caller
        self._may_see = may_see
        self._expires = caller.expires_at()
        self._next_check = time.monotonic() + CHECK
        self._last_sent = time.monotonic()

    @property
    def heartbeat(self) -> str | None:
        """A comment where nothing was sent for a while."""
        if time.monotonic() - self._last_sent < HEARTBEAT:
            return None
        self._last_sent = time.monotonic()
        return ": \n\n"

    def sent(self) -> None:
        """An event was sent."""
        self._last_sent = time.monotonic()

    async def holds(self) -> bool:
        """Return whether the stream may go on."""
        if self.streams.closing or (self._expires is not None and time.time() >= self._expires):
            return False
        if time.monotonic() < self._next_check:
            return True
        self._next_check = time.monotonic() + CHECK
        try:
            await self._may_see(await self.caller.again())
        except Exception as error:
            if of_database(error) is not None:
                return True
            if isinstance(error, ApiError):
                return False
            raise
        return True


def event(name: str, data: Any, identifier: object = None) -> str:
    """Return an event as it goes over the wire; JSON has no line breaks of its own."""
    text = data if isinstance(data, str) else json.dumps(data)
    head = "" if identifier is None else f"id: {identifier}\n"
    return f"{head}event: {name}\ndata: {text}\n\n"
