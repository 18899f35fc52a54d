"""One client with one connection that stays open: the same for our API and for Airflow's own."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.rows import Call

PLUGIN = "admin/rest_api"


class Unexpected(Exception):
    """What was to be measured did not work; the message says what came instead."""


@dataclass(frozen=True)
class Answer:
    """An answer, and the seconds from sending the request to having read all of it."""

    status: int
    body: Any
    seconds: float


def command_path(name: str) -> str:
    """Return where a command is run, below the server's address."""
    return f"{PLUGIN}/v2/commands/{name.replace(' ', '/')}"


class Client:
    """
    Sends requests one after the other.

    :param url: of the API server
    :param token: of an administrator
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path.rstrip("/")
        # The number and not the name, which is looked up first in a family that nobody listens on.
        self._connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=120)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Host": parts.netloc,
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request; the path is below the server's address, a body that is no bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        all_headers = {**self._headers, **(headers or {})}
        started = time.perf_counter()
        self._connection.request(method, f"{self._prefix}/{path}", data, all_headers)
        response = self._connection.getresponse()
        content = response.read()
        seconds = time.perf_counter() - started
        is_json = "json" in (response.headers.get("Content-Type") or "")
        return Answer(response.status, json.loads(content) if is_json else content.decode(), seconds)

    def own(self, call: Call) -> Answer:
        """Ask Airflow's own REST API; raise `Unexpected` when it refuses."""
        answer = self.send(call.method, f"api/v2/{call.path}", call.body)
        if answer.status >= 400:
            raise Unexpected(f"{call.method} {call.path}: {answer.status} {answer.body}")
        return answer

    def command(
        self, name: str, arguments: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a command, whatever becomes of it."""
        return self.send("POST", command_path(name), dict(arguments), headers)

    def run(
        self, name: str, arguments: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a command to its end; raise `Unexpected` unless it succeeds."""
        answer = self.command(name, arguments, headers)
        if answer.status != 200 or answer.body["state"] != "succeeded":
            raise Unexpected(f"{name}: {answer.status} {answer.body}")
        return answer

    def legacy(self, api: str, arguments: Mapping[str, str]) -> Answer:
        """Send a request of the 1.x contract."""
        return self.send("GET", f"{PLUGIN}/api?{urlencode({'api': api, **arguments})}")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
