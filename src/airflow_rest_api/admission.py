"""How many requests are let in at once: one too many is answered before anything is done for it."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api.asgi import local_path
from airflow_rest_api.errors import ApiError, Overloaded
from airflow_rest_api.loop_share import LoopShare

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_AFTER = 2
"""Seconds after which a client that was not let in may come again."""

MOST_WAITING = 4
"""How many times as many requests may wait for something that is not us as may be worked on."""

LOGGED_EVERY = 10.0
"""Seconds between two lines of the log about requests that were not let in."""

Refusal = Callable[[ApiError], "tuple[bytes, list[tuple[bytes, bytes]]]"]
"""Makes the body and the headers of an answer to those who are not let in."""


class Slot:
    """One request that was let in."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._depth = 0
        self._moved = False
        self._ended = False

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the request apart as long as it waits for something that is not us."""
        self._depth += 1
        if self._depth == 1 and not self._ended:
            self._moved = self._admission.begin_wait()
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._back()

    def end(self) -> None:
        """The request was answered; what it has started and goes on does not count any more."""
        self._ended = True
        self._back()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Return a coroutine that has its part in our share of the event loop."""
        return self._admission.share.run(coroutine)

    def _back(self) -> None:
        if self._moved:
            self._moved = False
            self._admission.end_wait()


_slot: ContextVar[Slot] = ContextVar("rest_api_slot")


@contextlib.contextmanager
def while_waiting() -> Iterator[None]:
    """
    Do not count this request among those that are worked on: it waits for a command, or follows one.

    Without effect outside of a request.
    """
    slot = _slot.get(None)
    with slot.waiting() if slot is not None else contextlib.nullcontext():
        yield


def within_share(coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Return a coroutine for a task of its own, with its part in what requests have of the event loop."""
    slot = _slot.get(None)
    return coroutine if slot is None else slot.run(coroutine)


class Admission:
    """
    ASGI middleware around everything else.

    At most ``limit`` requests are worked on at once, and they share what `LoopShare` gives them. Those that
    wait for their body, for a command or for events, or for a slow client to read, do not count among them,
    up to four times as many. Any other is answered with 503 here: no token is looked at, no body is read and
    no database asked.

    :param limit: requests that may be worked on
    :param refusals: by path, another shape of the answer
    :param share: what requests have of the event loop; one of their own without it
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        refusals: Mapping[str, Refusal] | None = None,
        share: LoopShare | None = None,
    ) -> None:
        self.app = app
        self.limit = limit
        self.share = share or LoopShare()
        self.at_work = 0
        self.waiting = 0
        self.refused = 0
        self._logged_at = 0.0
        self._logged = 0
        self._refusals = refusals or {}
        self._problem = Overloaded(
            f"{limit} requests are being worked on already; try again later.", option="max_requests"
        )
        self._usual = as_json(self._problem)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.at_work >= self.limit:
            await self._refuse(scope, send)
            return
        slot = Slot(self)

        async def receive_waiting() -> Message:
            with slot.waiting():
                return await receive()

        async def send_waiting(message: Message) -> None:
            with slot.waiting():
                await send(message)

        self.at_work += 1
        token = _slot.set(slot)
        try:
            number = await self.share.begin()
            try:
                await self.share.run(self.app(scope, receive_waiting, send_waiting))  # type: ignore[arg-type]
            finally:
                self.share.end(number)
        finally:
            _slot.reset(token)
            slot.end()
            self.at_work -= 1

    def begin_wait(self) -> bool:
        """Count one of those at work apart from now on; return whether there was room."""
        if self.waiting >= MOST_WAITING * self.limit:
            return False
        self.at_work -= 1
        self.waiting += 1
        return True

    def end_wait(self) -> None:
        """Count one of them among those at work again, one too many as well."""
        self.at_work += 1
        self.waiting -= 1

    async def _refuse(self, scope: Scope, send: Send) -> None:
        self.refused += 1
        now = time.monotonic()
        if now - self._logged_at >= LOGGED_EVERY or not self._logged:
            log.warning(
                "%d requests were not let in: %d are being worked on and %d wait ([rest_api_plugin] "
                "max_requests)",
                self.refused - self._logged,
                self.at_work,
                self.waiting,
            )
            self._logged_at, self._logged = now, self.refused
        other = self._refusals.get(local_path(scope)) if self._refusals else None
        body, headers = other(self._problem) if other is not None else self._usual
        # A list of its own: Airflow's middlewares, such as the one that packs, add theirs to what they get.
        headers = [*headers]
        if _has_body(scope):
            # Who sends it goes on sending otherwise.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def as_json(problem: ApiError | None, document: object = None) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the body and the headers of an answer to a request that is not let in."""
    content = {"detail": problem.detail} if problem is not None else document
    body = json.dumps(content).encode()
    headers = {
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"retry-after": str(RETRY_AFTER).encode(),
        b"cache-control": b"no-store",
        b"x-content-type-options": b"nosniff",
    }
    return body, list(headers.items())


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
