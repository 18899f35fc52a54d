"""Every route, with hostile input, beside a client of Airflow's own: nobody holds the event loop up."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from starlette.routing import Route

from airflow_rest_api.asgi import LOGIN_MOUNT as LOGIN
from airflow_rest_api.legacy.login.app import create_login_app
from airflow_rest_api.security.routes import leaves
from airflow_rest_api.settings import Settings
from tests.attacks.hostile import bodies, headers, texts
from tests.server.conftest import Client
from tests.stacks import Stack
from tests.standin import make_app, prints
from tests.watching import Watch

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]

MOUNT = "/admin/rest_api"
SECOND = 1.0
PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
KNOWN = {"name": "version", "identifier": "0" * 32, "dag_id": "attacked", "version": "1"}
"""What leads to the handler itself; anything else does for the other parameters."""


def routes() -> list[tuple[str, str]]:
    """Return the method and the path of every route of ours, as they are today."""
    app, _ = make_app(prints())
    apps = ((MOUNT, app), (LOGIN, create_login_app(Settings())))
    found = [
        (method, prefix + route.path)
        for prefix, one in apps
        for route in leaves(one.routes)
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]
    # One route, which reads its arguments by what it is asked for.
    asked = ("deploy_dag", "trigger_dag", "variables")
    return found + [("POST", f"{MOUNT}/api?api={name}") for name in asked]


def path_of(template: str, value: str | None = None) -> str:
    """Return a path with its parameters filled in."""
    return PARAMETER.sub(lambda match: value or KNOWN.get(match[1], "a.py"), template)


class Attacker:
    """Sends requests, and finds those beside which Airflow took a second longer than without."""

    def __init__(self, stack: Stack, token: str, watch: Watch) -> None:
        self._port = urlsplit(stack.url).port or 80
        self._token = token
        self._watch = watch
        watch.lap()
        self._usual = watch.lap()
        self._wrong: list[str] = []

    def send(
        self, method: str, path: str, name: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        self._watch.beside = f"{method} {path[:60]} with {name}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            connection.putheader("Authorization", f"Bearer {self._token}")
            for header, value in (headers or {}).items():
                connection.putheader(header, value.encode("latin-1"))
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            connection.send(body)
            status = connection.getresponse().status
            if status >= 500 and status not in (503, 507):
                self._wrong.append(f"{self._watch.beside}: {status}")
        except (OSError, http.client.HTTPException):
            pass  # It may be turned away before it has sent everything.
        finally:
            connection.close()

    @property
    def faults(self) -> list[str]:
        """What was answered with an error of the server's, and what Airflow's own client had to wait for."""
        self._watch.lap()
        waits = sorted(self._watch.waits.items(), key=lambda item: item[1], reverse=True)
        return self._wrong + [
            f"{what}: Airflow's own route took {seconds:.1f} s"
            for what, seconds in waits
            if seconds > self._usual + SECOND
        ]


@pytest.fixture
def attacker(attacked: Stack, admin: Client) -> Iterator[Attacker]:
    with Watch(attacked.url) as watch:
        yield Attacker(attacked, admin.headers["Authorization"].split()[1], watch)
        assert watch.wrong == []


def test_the_routes_are_those_of_the_app():
    found = {path for _, path in routes()}
    assert {f"{MOUNT}/v2/run", f"{MOUNT}/v2/commands/{{name:path}}", f"{LOGIN}/login"} <= found
    assert len(found) > 40


def test_no_header_holds_anybody_up(attacker: Attacker):
    # The headers that all routes read, read by the one that reads them all.
    for name, header, value in headers():
        kind = {"Content-Type": "application/json"} if header != "Content-Type" else {}
        attacker.send("POST", f"{MOUNT}/v2/commands/version", name, {**kind, header: value}, b"{}")
    for method, template in routes():
        for header in ("Prefer", "Content-Type", "Accept", "Last-Event-ID"):
            attacker.send(method, path_of(template), header, {header: f"a{' ' * 8_000}("}, b"x")
    assert attacker.faults == []


def test_no_address_holds_anybody_up(attacker: Attacker):
    for method, template in routes():
        for name, text in texts():
            # What is no token of HTTP does not get beyond the server's own parser.
            value = text if name.endswith("escapes") else quote(text)
            separator = "&" if "?" in template else "?"
            attacker.send(method, path_of(template, value), f"a path, {name}")
            address = f"{path_of(template)}{separator}q={value}&after={value}&dag_id={value}&pattern={value}"
            attacker.send(method, address, f"a query, {name}")
    assert attacker.faults == []


def test_no_body_holds_anybody_up(attacker: Attacker):
    kinds = list(bodies())
    for method, template in routes():
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            for sent in kinds:
                headers = {"Content-Type": sent.kind, "Prefer": "wait=1"}
                attacker.send(method, path_of(template), sent.name, headers, sent.content)
    assert attacker.faults == []
