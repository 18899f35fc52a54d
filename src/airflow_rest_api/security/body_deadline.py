"""A body has to arrive in time: nobody may hold a request open by sending a byte now and then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_rest_api.errors import CLOSE, BodyTooSlow

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyDeadline:
    """
    ASGI middleware that gives up on a body which is not there in time.

    The server underneath waits for ever (https://www.uvicorn.org/settings/#timeouts: only between requests).
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whoever reads its body gets a ApiError when the time is over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline: float | None = None
        whole = False

        async def receive_in_time() -> Message:
            nonlocal deadline, whole
            if whole:
                # What comes now is the end of the connection, which may take as long as the command.
                return await receive()
            loop = asyncio.get_running_loop()
            deadline = deadline or loop.time() + self.seconds
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - loop.time()))
            except asyncio.TimeoutError:
                raise BodyTooSlow(
                    f"The body was not here after {self.seconds:g} seconds ([rest_api_plugin] body_timeout).",
                    headers=CLOSE,
                ) from None
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, receive_in_time, send)
