"""Waiting for what a request has asked for, and no longer than its client does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import anyio

from airflow_rest_api.errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.model import Operation

LISTEN_AFTER = 1.0
"""Seconds from which it is noticed that a client has gone: most commands have ended, and cost nothing."""


@contextlib.contextmanager
def while_client_waits(request: Request) -> Iterator[None]:
    """
    Leave the body, at whatever it waits for, once the client has gone.

    The server underneath does not end a request of which nobody waits for the answer: it would have its place
    among those that may wait for as long as it was to. The body of the request was read, or is not wanted.
    """
    scope = anyio.CancelScope()
    listening: list[asyncio.Task[None]] = []

    def listen() -> None:
        listening.append(asyncio.ensure_future(_leave_with_client(request, scope)))

    timer = asyncio.get_running_loop().call_later(LISTEN_AFTER, listen)
    try:
        with scope:
            yield
    finally:
        timer.cancel()
        for task in listening:
            task.cancel()


async def _leave_with_client(request: Request, scope: anyio.CancelScope) -> None:
    # A body that nobody wants may come too slowly, or not at all.
    with contextlib.suppress(ApiError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()


async def ended(context: Context, request: Request, identifier: str, seconds: float) -> Operation:
    """Return an operation once it has ended, after ``seconds``, or when the client has gone."""
    with while_client_waits(request):
        return await context.operations.wait(identifier, seconds)
    return await context.operations.get(identifier)
