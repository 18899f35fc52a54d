"""Requests and answers, as all of the client sees them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from airflow_rest_client.errors import ApiError, Unreachable, error_of, not_ours

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
"""Seconds until a server that does not answer is unreachable."""
READ_TIMEOUT = 60.0
"""Seconds without a byte; a stream of events sends a comment every 15."""
AWAY = (502, 503, 504)
"""Statuses of a server that starts or stops, and of a proxy before it."""
GATEWAY = (502, 504)
"""Those of a proxy alone: what was asked for may have begun."""


class ConnectionLost(Unreachable):
    """
    The connection could not be made, or broke.

    :ivar sent: the request may have reached the server
    :ivar silent: nothing came for as long as one waits for a byte
    """

    def __init__(self, message: str, *, sent: bool, silent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.silent = silent


@dataclass(frozen=True)
class Upload:
    """A file that goes along: `name` as the user calls it, and its content."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Request:
    """
    A request to the server.

    :ivar path: below the address of the API server, such as `/admin/rest_api/v2/run`
    :ivar json: the body, in place of fields and files
    :ivar fields: of a form
    :ivar files: of a form, several may have one name
    :ivar signed: the credentials go along
    """

    method: str
    path: str
    json: Any = field(default=None, repr=False)
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fields: Mapping[str, str | list[str]] = field(default_factory=dict, repr=False)
    files: Sequence[tuple[str, Upload]] = ()
    timeout: float = READ_TIMEOUT
    signed: bool = True

    def with_headers(self, **headers: str) -> Request:
        """Return the request with further headers; `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


@dataclass(frozen=True)
class Response:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def body(self) -> Any:
        """What its JSON says; its text where it is none."""
        try:
            return json.loads(self.content)
        except ValueError:
            return self.content.decode(errors="replace")

    def checked(self) -> Response:
        """Return the answer; raise ApiError where it is one."""
        if self.status >= 400:
            raise error_of(self.status, self.body)
        if self.status >= 300 and self.status != 304:
            message = (
                f"The server leads to another address, which is not followed: {self.headers.get('location')}"
            )
            raise error_of(self.status, {"detail": {"reason": "redirected", "message": message}})
        return self

    def members(self, *names: str) -> dict[str, Any]:
        """Return the object of an answer that has these members; raise ApiError where it is another one."""
        body = self.body
        if not isinstance(body, dict) or not all(name in body for name in names):
            raise not_ours(self.status)
        return body


@dataclass(frozen=True)
class Pause:
    """A while to wait, in seconds."""

    seconds: float


Exchange = Generator[Request | Pause, Response | None, T]
"""
What is to be asked of the server, one request after the other, and what comes of it.

It is the same whether somebody waits for the answers or awaits them: each request is yielded, its answer is
sent back, and ConnectionLost is thrown in where there is none.
"""


class Carries(Protocol):
    """Carries requests to a server, and waits for the answers."""

    def send(self, request: Request) -> Response:
        """Return the answer to a request; raise ConnectionLost."""

    def stream(self, request: Request) -> AbstractContextManager[tuple[Response, Iterator[bytes]]]:
        """
        Give an answer, and its body as it comes; one that is no stream of events has been read.

        :raises ConnectionLost: there is no answer, or it breaks
        """

    def close(self) -> None:
        """Close the connections."""


def sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request as they are; raise ApiError where the library underneath takes none."""
    for name, value in headers.items():
        if not (name.isascii() and value.isascii()):
            raise unsendable(f"the header {name!r}")
    return dict(headers)


def unsendable(what: str = "a header") -> ApiError:
    """Return what is raised where the library underneath takes no part of a request, maybe a secret."""
    message = f"The request cannot be sent: {what} has characters that none may have."
    return ApiError(400, "bad_request", message, {})


def lost(url: str, error: Exception, *, sent: bool, silent: bool = False) -> ConnectionLost:
    """Return what is raised for an error of the library underneath."""
    return ConnectionLost(f"{url} does not answer: {error or type(error).__name__}", sent=sent, silent=silent)


def streams(status: int, content_type: str) -> bool:
    """Return whether an answer is a stream of events."""
    return status == 200 and content_type.startswith("text/event-stream")
