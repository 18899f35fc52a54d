"""What carries the requests of a command line: httpcore alone.

httpx, which is made of it, takes a tenth of a second to import, as long as all the rest together. It is used
where it does more: for forms with files, and where there is a proxy.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import httpcore

from airflow_rest_client.certificates import authorities
from airflow_rest_client.http import (
    CONNECT_TIMEOUT,
    Carries,
    Request,
    Response,
    lost,
    sendable,
    streams,
    unsendable,
)

_BEFORE = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.UnsupportedProtocol)
"""Errors before anything was sent."""
_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def carrier(url: str) -> Carries:
    """Return what carries requests to a server from here."""
    # Other systems have proxies in their settings, which httpx reads.
    if not sys.platform.startswith("linux") or any(name.lower() in _PROXIES for name in os.environ):
        return _whole(url)
    return QuickCarrier(url)


def _whole(url: str) -> Carries:
    from airflow_rest_client.carriers import Carrier

    return Carrier(url)


class QuickCarrier:
    """Carries requests without files to a server, and waits; others go through httpx."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = httpcore.ConnectionPool(ssl_context=authorities(url))

    def send(self, request: Request) -> Response:
        """Return the answer to a request; raise ConnectionLost."""
        if request.files or request.fields:
            return self._other.send(request)
        with self._answer(request) as answer:
            return _response(answer, answer.read())

    @contextmanager
    def stream(self, request: Request) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Give an answer and its body as it comes; that of an error, or of another type, has been read."""
        if request.files or request.fields:
            with self._other.stream(request) as found:
                yield found
            return
        with self._answer(request) as answer:
            head = _response(answer, b"")
            if streams(head.status, head.headers.get("content-type", "")):
                yield head, answer.iter_stream()
            else:
                yield _response(answer, answer.read()), iter(())

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    @cached_property
    def _other(self) -> Carries:
        return _whole(self._url)

    @contextmanager
    def _answer(self, request: Request) -> Iterator[httpcore.Response]:
        query = f"?{urlencode(request.params, doseq=True)}" if request.params else ""
        headers: dict[bytes | str, bytes | str] = dict(sendable(request.headers).items())
        content = None
        if request.json is not None:
            content = json.dumps(request.json).encode()
            headers["Content-Type"] = "application/json"
        limits: dict[str, Any] = dict.fromkeys(("read", "write"), request.timeout)
        limits |= dict.fromkeys(("connect", "pool"), CONNECT_TIMEOUT)
        try:
            with self._pool.stream(
                request.method,
                f"{self._url}{request.path}{query}",
                headers=headers,
                content=content,
                extensions={"timeout": limits},
            ) as answer:
                yield answer
        except httpcore.LocalProtocolError:
            raise unsendable() from None
        except _ERRORS as error:
            sent, silent = not isinstance(error, _BEFORE), isinstance(error, httpcore.ReadTimeout)
            raise lost(self._url, error, sent=sent, silent=silent) from error


def _response(answer: httpcore.Response, content: bytes) -> Response:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.status, headers, content)
