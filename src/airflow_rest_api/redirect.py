"""``/admin/rest_api`` leads to ``/admin/rest_api/``, where Airflow's UI would show a page of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow_rest_api.asgi import local_path, root_path

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class SlashRedirect:
    """ASGI middleware that adds the slash to one path. Imports nothing heavy: see plugin.py."""

    def __init__(self, app: App, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer with a redirect where the path is ours, else pass the request on."""
        if scope["type"] != "http" or local_path(scope) != self.path:
            await self.app(scope, receive, send)
            return
        query = b"?" + scope["query_string"] if scope.get("query_string") else b""
        location = (root_path(scope) + self.path + "/").encode() + query
        # 307 keeps the method. The address is a path, so that no proxy in front can make it a wrong one.
        headers = [(b"location", location), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
