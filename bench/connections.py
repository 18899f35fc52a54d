"""
Many clients in one thread, on bare sockets.

They run on the processors of what is measured: a request takes 0.08 ms of them, with `http.client` twice as
much and more.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.client import Answer, Unexpected, command_path
from bench.rows import Call

PATIENCE = 120.0
"""Seconds without any answer to any client."""
WRONG = "wrong"

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


@dataclass(frozen=True)
class Step:
    """A request as it goes over the wire, and what its answer's JSON has to be beside well-formed."""

    request: bytes
    right: Callable[[Any], bool] | None = None


class Requests:
    """
    Puts requests into bytes.

    :param url: of the API server
    :param token: of an administrator
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self.port = parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._headers = (
            f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\n"
        )

    def own(self, call: Call) -> bytes:
        """Return a request to Airflow's own REST API."""
        return self._request(call.method, f"api/v2/{call.path}", call.body)

    def command(self, name: str, arguments: Mapping[str, Any]) -> bytes:
        """Return the request that runs a command."""
        return self._request("POST", command_path(name), dict(arguments))

    def _request(self, method: str, path: str, body: Any) -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {self._prefix}/{path} HTTP/1.1\r\n{self._headers}Content-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


def parse_answer(data: bytes) -> tuple[int, bytes] | None:
    """Return the status and the body of an answer, None while it is not all there."""
    head, end, body = data.partition(_END)
    if not end:
        return None
    _, found, rest = head.lower().partition(_LENGTH)
    if not found:
        raise Unexpected(f"An answer of unknown length: {head!r}")
    if len(body) < int(rest.partition(b"\r\n")[0]):
        return None
    return int(head[9:12]), body


def kind(answer: Answer, right: Callable[[Any], bool] | None = None) -> str:
    """Return what an answer is counted as: its status, and what is not well with it."""
    state = answer.body.get("state") if isinstance(answer.body, dict) else None
    if state not in (None, "succeeded"):
        return f"{answer.status} {state}"
    if answer.status == 200 and right is not None and not right(answer.body):
        return f"{answer.status} {WRONG}"
    return str(answer.status)


class _Connection:
    """A client: sends the next of its requests when it has the answer to the one before."""

    def __init__(self, port: int, steps: Iterator[Step]) -> None:
        self._port = port
        self._steps = steps
        self._received = b""
        self.socket = self._connect()
        self.step = Step(b"")
        self.started = 0.0

    def send(self) -> bool:
        """Send the next request; return False when there is none."""
        step = next(self._steps, None)
        if step is not None:
            self.step = step
            self.started = time.perf_counter()
            self.socket.sendall(step.request)
        return step is not None

    def receive(self) -> Answer | None:
        """Return the answer when all of it is there; raise OSError when the server has gone."""
        data = self.socket.recv(2**18)
        if not data:
            raise ConnectionResetError
        self._received += data
        if (found := parse_answer(self._received)) is None:
            return None
        seconds = time.perf_counter() - self.started
        self._received = b""
        status, body = found
        with contextlib.suppress(ValueError):
            return Answer(status, json.loads(body), seconds)
        return Answer(status, body, seconds)

    def renew(self) -> None:
        """Begin with a new connection."""
        self.close()
        self._received = b""
        self.socket = self._connect()

    def close(self) -> None:
        """Let go of the connection."""
        self.socket.close()

    def _connect(self) -> socket.socket:
        # The number and not the name, which is looked up first in a family that nobody listens on.
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
        except OSError as error:
            raise Unexpected(f"No connection to port {self._port}: {error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def exchange(
    port: int, clients: Sequence[Iterator[Step]], seconds: float | None, take: Callable[[str, float], None]
) -> None:
    """
    Let clients send their requests one after the other, each with its own connection, until the time is over.

    :param clients: what each of them sends
    :param seconds: None: until all is sent
    :param take: gets what an answer is counted as, and its seconds
    """
    end = None if seconds is None else time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for steps in clients:
            connection = _Connection(port, steps)
            stack.callback(connection.close)
            if connection.send():
                selector.register(connection.socket, selectors.EVENT_READ, connection)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            if not ready:
                raise Unexpected(f"No answer to any of {len(clients)} clients for {PATIENCE:.0f} s")
            for key, _ in ready:
                each: _Connection = key.data
                try:
                    if (answer := each.receive()) is None:
                        continue
                    take(kind(answer, each.step.right), answer.seconds)
                except OSError as error:
                    take(type(error).__name__, time.perf_counter() - each.started)
                    selector.unregister(each.socket)
                    each.renew()
                    selector.register(each.socket, selectors.EVENT_READ, each)
                if (end is not None and time.perf_counter() >= end) or not each.send():
                    selector.unregister(each.socket)
