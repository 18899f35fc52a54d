from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.api import waiting
from airflow_rest_api.api.waiting import while_client_waits
from airflow_rest_api.errors import BodyTooSlow, UnknownOperation
from tests.standin import serving, until_cancelled


def left(*messages: dict[str, Any] | Exception, seconds: float) -> tuple[bool, int]:
    """Return whether a wait was left before its time for what a client sends, and how much was received."""
    coming = list(messages)
    received = 0

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 1
        if not coming:
            await asyncio.Event().wait()
        message = coming.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    async def wait() -> bool:
        request: Any = SimpleNamespace(receive=receive)
        with while_client_waits(request):
            await asyncio.sleep(seconds)
            return False
        return True

    return asyncio.run(wait()), received


GONE = {"type": "http.disconnect"}
BODY = {"type": "http.request", "body": b"", "more_body": False}


def test_a_wait_ends_with_its_client_and_else_in_its_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "LISTEN_AFTER", 0.01)

    assert left(GONE, seconds=60) == (True, 1)
    assert left(BODY, GONE, seconds=60) == (True, 2)
    assert left(BODY, seconds=0.2) == (False, 2)
    assert left(BodyTooSlow(), seconds=0.2) == (False, 1)


def test_of_a_short_wait_nobody_listens():
    assert left(GONE, seconds=0.01) == (False, 0)


def test_an_error_in_the_wait_is_none_of_the_client():
    request: Any = SimpleNamespace(receive=None)

    async def wait() -> None:
        with while_client_waits(request):
            raise UnknownOperation

    with pytest.raises(UnknownOperation):
        asyncio.run(wait())


def abandon(client: TestClient, method: str, path: str, **headers: str) -> float:
    """Send a request and go away; return how long it was worked on."""
    coming = [BODY]
    sent = {**client.headers, "prefer": "wait=600", **headers}

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else GONE

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
    }
    began = time.monotonic()
    assert client.portal is not None
    client.portal.call(client.app, scope, receive, send)
    return time.monotonic() - began


def test_who_has_gone_keeps_no_place_of_those_that_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "LISTEN_AFTER", 0.01)
    key = {"idempotency-key": "k"}
    with serving(until_cancelled) as (client, _):
        begun = client.post("/v2/commands/version", headers={**key, "Prefer": "respond-async"}).json()
        operation = f"/v2/operations/{begun['id']}"

        assert abandon(client, "GET", operation) < 60
        assert abandon(client, "POST", "/v2/commands/version", **key) < 60
        assert client.get(operation).json()["state"] == "running"
