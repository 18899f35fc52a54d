"""The body of a login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from airflow_rest_api import json_text
from airflow_rest_api.header_values import media_type

LIMIT = 65_536
NOT_JSON = "Request payload is not JSON"
MISSING = "Missing required parameter"
FALSE = frozenset({"", "false", "off", "0", "no"})


class BadLogin(Exception):
    """A login that is not verified; the message is the contract's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Login:
    """What a client wants to sign in with."""

    username: str
    password: str
    provider: str
    refresh: bool

    def __repr__(self) -> str:
        return "Login(***)"

    @property
    def can_be_right(self) -> bool:
        """Whether user name and password are text; databases and hashes stumble over what is not."""
        for text in (self.username, self.password):
            try:
                text.encode()
            except UnicodeEncodeError:
                return False
            if "\0" in text:
                return False
        return True


async def read_login(request: Request) -> Login:
    """Return the login in a request; raise BadLogin where there is none, in the contract's order."""
    if not _is_json(request.headers.get("content-type", "")):
        raise BadLogin(400, NOT_JSON)
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LIMIT:
            raise BadLogin(413, "Request payload is too large")
    try:
        document = json_text.loads(bytes(content))
    except ValueError:
        raise BadLogin(400, NOT_JSON) from None
    if not isinstance(document, dict):
        raise BadLogin(400, "Request payload is not a JSON object")
    given = [document.get(name) for name in ("username", "password", "provider")]
    if not all(given):
        raise BadLogin(400, MISSING)
    texts = [value for value in given if isinstance(value, str)]
    if len(texts) < len(given):
        raise BadLogin(400, "A parameter has the wrong type")
    username, password, provider = texts
    return Login(username, password, provider, _is_true(document.get("refresh")))


def _is_json(content_type: str) -> bool:
    kind = media_type(content_type)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _is_true(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in FALSE
    return bool(value)
