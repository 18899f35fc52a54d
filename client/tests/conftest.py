"""What the tests share: the catalog of a real server, and a server that answers as it is told to."""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_rest_client.catalog import Catalog

BODY = json.loads(Path(__file__).with_name("catalog.json").read_text())
ETAG = '"one"'


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(BODY, ETAG)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who knows no Airflow yet."""
    for name in list(os.environ):
        if name.startswith("AIRFLOW_REST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_REST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "home"


class Keyring(ModuleType):
    """In place of the package of that name, which is an extra; `fault` is what it raises."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.fault: Exception | None = None

    def _may(self) -> None:
        if self.fault is not None:
            raise self.fault

    def get_password(self, service: str, username: str) -> str | None:
        self._may()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._may()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._may()
        del self.kept[service, username]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    found = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", found)
    return found


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered: pieces, and after them the end of the connection, in order or not."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] | None = None
    cut: bool = False
    """The connection breaks after the pieces."""


Answer = Callable[[Asked], Reply | None]


class Server:
    """A server whose answers are functions: the first that has one is taken."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer] = [self._catalog]
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                asked = Asked(
                    self.command,
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(length),
                )
                server.asked.append(asked)
                reply = next(
                    (r for one in reversed(server.answers) if (r := one(asked)) is not None), Reply(404)
                )
                self._send(reply)

            do_GET = do_POST = do_DELETE = _take

            def _send(self, reply: Reply) -> None:
                if reply.status == 0:
                    # Not a word.
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", **reply.headers}
                content = b"" if reply.body is None else json.dumps(reply.body).encode()
                if reply.pieces is None:
                    headers["Content-Length"] = str(len(content))
                else:
                    headers["Transfer-Encoding"] = "chunked"
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                for piece in reply.pieces or ():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                if reply.pieces is not None and not reply.cut:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = reply.cut

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Take encrypted connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Answer a request to a path with one reply after the other; the last one stays."""
        left = list(replies)

        def answer(asked: Asked) -> Reply | None:
            if asked.method != method or asked.path.split("?")[0] != path:
                return None
            return left.pop(0) if len(left) > 1 else left[0]

        self.answers.append(answer)

    def sent(self, path: str) -> list[Asked]:
        """Return the requests that came to a path."""
        return [asked for asked in self.asked if asked.path.split("?")[0] == path]

    def _catalog(self, asked: Asked) -> Reply | None:
        if asked.path != "/admin/rest_api/v2/catalog":
            return None
        if asked.headers.get("if-none-match") == ETAG:
            return Reply(304, headers={"ETag": ETAG})
        return Reply(body=BODY, headers={"ETag": ETAG})


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


@pytest.fixture
def signed_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that the environment knows, with a token."""
    monkeypatch.setenv("AIRFLOW_REST_URL", server.url)
    monkeypatch.setenv("AIRFLOW_REST_TOKEN", "t")
    return server


def operation(state: str = "succeeded", exit_code: int | None = 0, **more: Any) -> dict[str, Any]:
    """Return an operation as a server says it."""
    return {
        "id": "0" * 32,
        "command": "version",
        "argv": ["version"],
        "state": state,
        "exit_code": exit_code,
        "message": None,
        "truncated": False,
        "warnings": [],
        "files": [],
        "result": None,
        **more,
    }


def event(name: str, data: Any, identifier: str | None = None) -> bytes:
    """Return an event as it goes over the wire."""
    head = f"id: {identifier}\n" if identifier else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def output(text: str, stream: str = "stdout", number: int = 1) -> bytes:
    """Return an event with output."""
    return event("output", {"stream": stream, "offset": 0, "text": text}, str(number))


def events(*pieces: bytes, cut: bool = False, **headers: str) -> Reply:
    """Return a stream of events as the answer to a command."""
    location = f"/admin/rest_api/v2/operations/{'0' * 32}"
    said = {"Content-Type": "text/event-stream", "Location": location, "Airflow-Catalog": ETAG, **headers}
    return Reply(headers=said, pieces=pieces, cut=cut)
