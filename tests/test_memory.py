"""What a server keeps of the requests that it has answered: nothing."""

from __future__ import annotations

import gc
import re
import weakref
from collections import Counter
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.engine.job import Ending, Outcome
from airflow_rest_api.security.caller import MOST, Remembered
from tests.standin import StandInEngine, StandInProcess, airflow_database, bearer, serving, token

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

WARM, ROUNDS = 30, 60
"""Rounds of some twenty requests before the first look, and between it and the second."""


async def command(process: StandInProcess) -> Outcome:
    """Print what the 1.x endpoints read as well."""
    process.stdout.add(b"done\n")
    process.stderr.add(b"a warning\n")
    return Outcome(Ending.EXITED, 0)


def one_round(client: TestClient, number: int) -> None:
    """Send requests of which no two have the same words."""
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    part = f'--b\r\nContent-Disposition: form-data; name="f{number}"\r\n\r\nx\r\n--b--\r\n'
    client.post("/v2/commands/version", json={})
    client.post("/v2/commands/dags/list", json={"columns": f"column{number}"})
    client.post(
        "/v2/commands/variables/set",
        json={"key": f"password_{number}", "value": f"secret {number}" * 50},
        headers={"Idempotency-Key": f"key-{number}"},
    )
    client.post("/v2/commands/variables/import", files={"file": (f"v{number}.json", b"{}")})
    client.post("/v2/commands/variables/export", json={"file": f"v{number}.json"})
    client.post("/v2/run", json={"argv": ["pools", "get", f"pool{number}"]})
    client.post("/v2/run", content=part, headers=form)
    client.post("/v2/run", content=f'{{"{number}":', headers={"Content-Type": "application/json"})
    begun = client.post("/v2/run", json={"argv": ["version"]}, headers={"Prefer": "respond-async"})
    client.get(f"/v2/operations/{begun.json()['id']}/events")
    client.get(f"/v2/operations/{number:032x}")
    client.get("/v2/operations", params={"user": f"user{number}", "limit": 3})
    client.get("/v2/legacy-usage", params={"user": f"user{number}"})
    client.get(f"/v2/commands/no/such{number}", headers={"Prefer": f"wait={number}"})
    client.get("/v2/commands", headers={"Authorization": f"Bearer a.b{number}.c"})
    client.get("/v2/commands", headers=bearer("viewer") | {"Accept": f"a/b{number}"})
    client.get("/v2/commands", headers={"Authorization": f"Bearer {token('user', seconds=600)}"})
    client.get(f"/static/{number}.js")
    client.get("/", params={"view": f"view{number}"}, headers={"Host": f"host{number}"})
    client.get("/api", params={"api": "version", f"x{number}": number})
    client.get("/api", params={"api": "pool", "get": f"pool{number}"})
    client.post("/api", data={"api": "variables", "cmd": "set", "key": f"k{number}", "value": number})


def objects() -> Counter[str]:
    """Return the number of objects by type, of those that the collector knows."""
    for _ in range(3):
        gc.collect()
    return Counter(str(type(one)) for one in gc.get_objects())


def forget(app: Any, engine: StandInEngine) -> None:
    """Forget what the engine that plays a part has kept for tests, and who was let in of late."""
    engine.jobs.clear()
    engine.processes.clear()
    remembered(app)._users.clear()


def remembered(app: Any) -> Remembered:
    """Return what the guard of an app remembers."""
    layer = app.middleware_stack
    while not hasattr(layer, "_remembered"):
        layer = layer.app
    found: Remembered = layer._remembered
    return found


def most(kind: str) -> int:
    """Return how many more there must not be; of Python's own containers libraries keep some."""
    return ROUNDS if "." in kind else 8 * ROUNDS


def patterns() -> set[Any]:
    """Return the expressions that the standard library keeps."""
    return set(vars(re).get("_cache", ()))


@pytest.mark.usefixtures("fernet_key")
def test_what_was_answered_is_forgotten():
    airflow_database()
    with serving(command) as (client, engine):
        app: Any = client.app
        for number in range(WARM):
            one_round(client, number)
        forget(app, engine)
        before, compiled = objects(), patterns()
        for number in range(WARM, WARM + ROUNDS):
            one_round(client, number)
        forget(app, engine)
        after = objects()

        operations, usage = app.state.context.operations, app.state.context.usage
        assert (operations._live, operations._watcher._followed) == ({}, {})
        assert app.state.context.streams.number == 0
        assert app.state.legacy._tasks == set()
        assert app.state.legacy._readiness._waits == {}
        # Some ten rows of each round may wait to be written.
        assert len(usage._waiting) <= 10 * (WARM + ROUNDS)
        # Not one kind of object is there once more for each round.
        growing = {kind: more for kind, more in (after - before).items() if more >= most(kind)}
        # Each SQLite connection has one for each of its last two hundred cursors.
        growing.pop(str(weakref.ReferenceType), None)
        assert growing == {}
        # Nor an expression with what a client sent.
        made = [text for _, text, _ in patterns() - compiled if any(c.isdigit() for c in str(text))]
        assert len(made) < ROUNDS / 2, made[:5]


def test_as_many_tokens_are_remembered_as_are_of_use():
    with serving(command) as (client, _):
        app: Any = client.app
        for _ in range(20):
            client.get("/", headers={"Authorization": f"Bearer {token('user', seconds=600)}"})
        assert 0 < len(remembered(app)) <= MOST
