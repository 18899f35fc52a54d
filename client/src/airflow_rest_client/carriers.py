"""What carries requests: httpx, waiting or awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx

from airflow_rest_client.certificates import authorities
from airflow_rest_client.errors import RestError
from airflow_rest_client.http import (
    CONNECT_TIMEOUT,
    ConnectionLost,
    Request,
    Response,
    lost,
    sendable,
    streams,
    unsendable,
)

Made = TypeVar("Made", httpx.Client, httpx.AsyncClient)


def _arguments(request: Request) -> dict[str, Any]:
    """Return the request for httpx."""
    found: dict[str, Any] = {
        "method": request.method,
        "url": request.path,
        "headers": sendable(request.headers),
        "timeout": httpx.Timeout(request.timeout, connect=CONNECT_TIMEOUT),
    }
    if request.params:
        found["params"] = dict(request.params)
    if request.files:
        found["data"] = dict(request.fields)
        found["files"] = [(name, (upload.name, upload.content)) for name, upload in request.files]
    elif request.fields:
        # As multipart all the same, which is the form that the server reads.
        found["files"] = [(name, (None, str(value))) for name, value in request.fields.items()]
    elif request.json is not None:
        found["json"] = request.json
    return found


_BEFORE = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""Errors before anything was sent."""


def _lost(error: httpx.RequestError | httpx.InvalidURL, url: str) -> ConnectionLost:
    sent, silent = not isinstance(error, _BEFORE), isinstance(error, httpx.ReadTimeout)
    return lost(url, error, sent=sent, silent=silent)


def _made(kind: type[Made], url: str) -> Made:
    """Return a client of httpx; raise RestError where it lacks what the environment asks for."""
    verify = authorities(url) or False
    try:
        return kind(base_url=url, verify=verify)
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        # Such as a SOCKS proxy, for which httpx needs one more package.
        # What is wrong with the address of a proxy may be a piece of its password.
        said = "a proxy has no good address" if isinstance(error, httpx.InvalidURL) else error
        raise RestError(f"The proxy of the environment cannot be used: {said}") from None


class Carrier:
    """Carries requests to a server, and waits."""

    def __init__(self, url: str, http: httpx.Client | None = None) -> None:
        self._url = url
        self._http = http or _made(httpx.Client, url)

    def send(self, request: Request) -> Response:
        """Return the answer to a request; raise ConnectionLost."""
        try:
            answer = self._http.request(**_arguments(request))
        except httpx.LocalProtocolError:
            raise unsendable() from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise _lost(error, self._url) from error
        return Response(answer.status_code, answer.headers, answer.content)

    @contextmanager
    def stream(self, request: Request) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Give an answer and its body as it comes; that of an error, or of another type, has been read."""
        try:
            with self._http.stream(**_arguments(request)) as answer:
                content = b"" if _streams(answer) else answer.read()
                yield Response(answer.status_code, answer.headers, content), answer.iter_bytes()
        except httpx.LocalProtocolError:
            raise unsendable() from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise _lost(error, self._url) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncCarrier:
    """Carries requests to a server, and is awaited."""

    def __init__(self, url: str, http: httpx.AsyncClient | None = None) -> None:
        self._url = url
        self._http = http or _made(httpx.AsyncClient, url)

    async def send(self, request: Request) -> Response:
        """Return the answer to a request; raise ConnectionLost."""
        try:
            answer = await self._http.request(**_arguments(request))
        except httpx.LocalProtocolError:
            raise unsendable() from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise _lost(error, self._url) from error
        return Response(answer.status_code, answer.headers, answer.content)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[tuple[Response, AsyncIterator[bytes]]]:
        """Give an answer and its body as it comes; that of an error, or of another type, has been read."""
        try:
            async with self._http.stream(**_arguments(request)) as answer:
                content = b"" if _streams(answer) else await answer.aread()
                yield Response(answer.status_code, answer.headers, content), answer.aiter_bytes()
        except httpx.LocalProtocolError:
            raise unsendable() from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise _lost(error, self._url) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _streams(answer: httpx.Response) -> bool:
    return streams(answer.status_code, answer.headers.get("content-type", ""))
