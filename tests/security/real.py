"""What the tests against a real API server share."""

from __future__ import annotations

from typing import Any

import httpx
import jwt

from tests.stacks import Stack

NAME = "rest_api_plugin_http_token"
HEADER_TOKEN = "s3cret-header-token"
LOGIN = "/api/v1/security/login"
REFRESH = "/api/v1/security/refresh"
RUN = "/admin/rest_api/v2/commands/version"
LEGACY = "/admin/rest_api/api?api=version"


def client(stack: Stack) -> httpx.Client:
    """Return a client without credentials."""
    return httpx.Client(base_url=stack.url, timeout=120, trust_env=False)


def sign_in(client: httpx.Client, stack: Stack, user: str = "admin", **more: Any) -> httpx.Response:
    """Log in as a 1.x client does."""
    body = {"username": user, "password": stack.passwords[user], "provider": "db", "refresh": True, **more}
    return client.post(LOGIN, json=body)


def bearer(token: str, **more: str) -> dict[str, str]:
    """Return the headers with a token."""
    return {"Authorization": f"Bearer {token}", **more}


def claims(token: str) -> dict[str, Any]:
    """Return what a token says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def logged(stack: Stack) -> str:
    """Return what the API server has printed."""
    return (stack.home / "logs" / "api-server.out").read_text(errors="replace")
