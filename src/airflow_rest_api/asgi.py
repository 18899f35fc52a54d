"""
A request as ASGI has it: where it goes and comes from, its headers, its bounds. And an error as an answer.

Imports nothing heavy: see plugin.py.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from airflow_rest_api.errors import CLOSE, AddressTooLong, BodyTooSlow, HeadersTooLarge, TooManyParameters
from airflow_rest_api.secret_names import MASK

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_rest_api.errors import ApiError
    from airflow_rest_api.settings import Networks


MOUNT = "/admin/rest_api"
"""Where Airflow's API server has the plugin, below its own path."""

LOGIN_MOUNT = "/api/v1/security"
"""Where it has the login of the 1.x plugin."""

PAGES = frozenset({"/", "/docs", "/redoc", "/openapi.json"})
"""What a browser opens by its address, unable to send a header."""

STATIC = "/static/"
"""The files of the page, which browsers ask for as they do for the page."""


def root_path(scope: Mapping[str, Any]) -> str:
    """Return the path under which the client sees the app, without a slash at its end."""
    return str(scope.get("root_path") or "").rstrip("/")


def local_path(scope: Mapping[str, Any]) -> str:
    """
    Return the path below the app's own.

    ``path`` holds the whole path when the server was told its prefix, and the rest when a proxy cut it off
    (https://asgi.readthedocs.io/en/latest/specs/www.html: ``root_path`` is not part of ``path`` for all
    servers).
    """
    path, root = str(scope["path"]), root_path(scope)
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :]
    return path


def error_response(error: ApiError) -> Response:
    """Return the answer that an error is."""
    from starlette.responses import Response

    # With escapes: what a child has told, such as a report, can hold half a character, which UTF-8 cannot.
    body = json.dumps({"detail": error.detail})
    return Response(body, error.status, error.headers, media_type="application/json")


BLANKS = " \t"
"""What may stand around the parts of a value (RFC 9110, 5.6.3: optional whitespace)."""


def header_parts(text: str, separator: str) -> Iterator[str]:
    """Yield what the separators of a value part; in quoted strings (RFC 9110, 5.6.4) there are none."""
    start = 0
    quoted = escaped = False
    for index, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and sign == "\\":
            escaped = True
        elif sign == '"':
            quoted = not quoted
        elif sign == separator and not quoted:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def name_and_value(part: str) -> tuple[str, str]:
    """Return the name of a `name=value` in small letters, and its value without quotes; empty for none."""
    name, _, value = part.partition("=")
    value = value.strip(BLANKS)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace("\\\\", "\\").replace('\\"', '"')
    return name.strip(BLANKS).lower(), value


def media_type(text: str) -> str:
    """Return the type in a Content-Type header, in small letters and without its parameters."""
    return text.partition(";")[0].strip().lower()


def header_parameter(text: str, name: str) -> str:
    """Return a parameter of a Content-Type header; empty where it has none of the name."""
    _, *parameters = header_parts(text, ";")
    return next((value for key, value in map(name_and_value, parameters) if key == name), "")


def acceptance(accept: str, media_type: str) -> tuple[float, bool]:
    """Return how much an Accept header wants a type (RFC 9110, 12.5.1), and whether by its very name."""
    weights: dict[str, float] = {}
    for entry in header_parts(accept, ","):
        kind, *parameters = header_parts(entry, ";")
        weight = next((value for name, value in map(name_and_value, parameters) if name == "q"), "")
        # Of three decimals at most. What is no weight counts as none.
        known = re.fullmatch(r"[01](\.[0-9]*)?", weight)
        weights.setdefault(kind.strip(BLANKS).lower(), min(1, float(weight[:5])) if known else 1)
    for name in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if name in weights:
            return weights[name], name == media_type and weights[name] > 0
    return 0, False


FORWARDED = b"x-forwarded-for"
MOST_HOPS = 20
"""Proxies between a client and us that are looked through."""


def client_address(scope: Scope, trusted: Networks) -> str | None:
    """
    Return the address of the client, None where the server knows none.

    It is the peer of the connection; where that is a trusted proxy, whom that proxy says it speaks for, in
    the last entry of ``X-Forwarded-For``: what stands before it can be forged, unless that entry is a
    trusted proxy in its turn.

    :param trusted: proxies; empty where the server underneath knows better (uvicorn's ``--proxy-headers``)
    """
    client = scope.get("client")
    address: str | None = client[0] if client else None
    if not trusted or not _is_of(address, trusted):
        return address
    for hop in _hops(scope["headers"]):
        found = _without_port(hop)
        if _address(found) is None:
            # The proxy that we trust has not written this.
            return address
        address = found
        if not _is_of(found, trusted):
            return address
    return address


def _hops(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Return the addresses that a request was sent on for, the last one first."""
    values = b",".join(value for name, value in headers if name == FORWARDED)
    return [hop.decode("latin-1").strip() for hop in reversed(values.rsplit(b",", MOST_HOPS)[-MOST_HOPS:])]


def _without_port(hop: str) -> str:
    """Return the address in an entry: some proxies add the port, and brackets around IPv6."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_of(address: str | None, networks: Networks) -> bool:
    found = _address(address or "")
    return found is not None and any(found in network for network in networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


LARGEST_HEADERS = 32 * 1024
"""Bytes of all headers, as they stand on the wire; the server underneath may have no bound at all."""
LARGEST_ADDRESS = 32 * 1024
"""Bytes of path and query as they came."""
MOST_PARAMETERS = 1000
"""Parameters of a query, as many as a form may have fields."""

_AROUND = 4
"""Bytes of a header's line beside its name and value: `: ` and the end of the line."""


def refuse_oversized(scope: Scope) -> None:
    """
    Refuse a request whose address or headers are larger than any needs to be.

    :raises ApiError: 414 and 431 (RFC 9110, 15.5.15; RFC 6585, 5), 400 for too many parameters
    """
    query = scope["query_string"]
    path = scope.get("raw_path") or scope["path"].encode(errors="replace")
    if len(path) + len(query) > LARGEST_ADDRESS:
        raise AddressTooLong(
            f"The address has more than {LARGEST_ADDRESS} bytes: send arguments in the body.", headers=CLOSE
        )
    if not takes_query(query):
        raise TooManyParameters(f"The query has more than {MOST_PARAMETERS} parameters.")
    if sum(len(name) + len(value) + _AROUND for name, value in scope["headers"]) > LARGEST_HEADERS:
        raise HeadersTooLarge(f"The headers have more than {LARGEST_HEADERS} bytes.", headers=CLOSE)


def takes_query(query: bytes) -> bool:
    """Return whether a query has no more bytes and parameters than are looked into."""
    return len(query) <= LARGEST_ADDRESS and query.count(b"&") < MOST_PARAMETERS


class BodyDeadline:
    """
    ASGI middleware that gives up on a body which is not there in time.

    The server underneath waits for ever (https://www.uvicorn.org/settings/#timeouts: only between requests).
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what reads its body gets an ApiError when the time is over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from anyio import CancelScope

        deadline: float | None = None
        whole = False

        async def receive_in_time() -> Message:
            nonlocal deadline, whole
            if whole:
                # What comes now is the end of the connection, which may take as long as the command.
                return await receive()
            now = asyncio.get_running_loop().time()
            deadline = deadline or now + self.seconds
            # In this task: `asyncio.wait_for` makes one of its own before Python 3.12, which is two turns of
            # the event loop and more than reading a short body.
            message = None
            with CancelScope(deadline=deadline):
                message = await receive() if now < deadline else None
            if message is None:
                raise BodyTooSlow(
                    f"The body was not here after {self.seconds:g} seconds ([rest_api_plugin] body_timeout).",
                    headers=CLOSE,
                )
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, receive_in_time, send)


class SlashRedirect:
    """ASGI middleware that adds the slash to one path, where Airflow's UI would show a page of its own."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a redirect where the path is ours, else pass the request on."""
        if scope["type"] != "http" or local_path(scope) != self.path:
            await self.app(scope, receive, send)
            return
        query = b"?" + scope["query_string"] if scope.get("query_string") else b""
        location = (root_path(scope) + self.path + "/").encode() + query
        if query:
            # No middleware is around this one that masks what is secret for the access log. The request that
            # follows is logged with the rest.
            scope["query_string"] = MASK.encode()
        # 307 keeps the method. The address is a path, so that no proxy in front can make it a wrong one.
        headers = [(b"location", location), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def names_tag(if_none_match: str, etag: str) -> bool:
    """Return whether an `If-None-Match` names an entity tag (RFC 9110, 13.1.2)."""
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in if_none_match.split(","))
