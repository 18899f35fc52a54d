"""The auth manager's own way to give out a token, asked inside this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from airflow_rest_api.asgi import root_path

if TYPE_CHECKING:
    from starlette.types import Scope

ROOT_APP = "rest_api_root_app"
AUTH = "/auth"  # airflow.api_fastapi.app.AUTH_MANAGER_FASTAPI_APP_PREFIX without the API server's own


class NoEndpoint(Exception):
    """The auth manager gives out no tokens for a user name and a password."""


def token_endpoint(scope: Scope, prefix: str) -> Callable[[str, str], Awaitable[str | None]]:
    """
    Return a function that asks `POST /auth/token`.

    The request goes to the app that the API server has mounted for its auth manager, never to an address:
    a server does not reliably know its own.

    :param scope: of the request that came in, whose client the endpoint is told
    :param prefix: where our own app is mounted
    """

    async def ask(username: str, password: str) -> str | None:
        import httpx

        app = _auth_app(scope.get(ROOT_APP))
        root = root_path(scope).removesuffix(prefix) + AUTH
        client = tuple(scope.get("client") or ("127.0.0.1", 0))
        transport = httpx.ASGITransport(app, root_path=root, client=client, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
            answer = await session.post(f"{root}/token", json={"username": username, "password": password})
        if answer.status_code == 401:
            return None
        token = answer.json().get("access_token") if answer.is_success else None
        if not token:
            raise NoEndpoint(f"POST {AUTH}/token answered {answer.status_code}")
        return str(token)

    return ask


def _auth_app(root: Any) -> Any:
    for route in getattr(root, "routes", ()):
        if getattr(route, "path", None) == AUTH and hasattr(route, "app"):
            return route.app
    raise NoEndpoint(f"the auth manager has no {AUTH}")
