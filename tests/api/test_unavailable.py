"""The database away: what clients are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from airflow_rest_api.errors import Unavailable
from tests.standin import prints, serving, until_cancelled


class Gone(Exception):
    """What a driver raises that has lost its connection."""


def gone(*arguments: object, **more: object) -> Any:
    raise OperationalError("SELECT 1", {}, Gone("server closed the connection unexpectedly"))


@contextmanager
def away(client: TestClient) -> Iterator[None]:
    """Take our tables away."""
    database = client.app.state.context.database  # type: ignore[attr-defined]
    call = database.call

    def refuse(work: object) -> Any:
        raise Unavailable

    database.call = refuse
    try:
        yield
    finally:
        database.call = call


def is_503(answer: Any) -> bool:
    assert answer.status_code == 503, answer.text
    assert answer.json()["detail"]["reason"] == "database_unavailable"
    return int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/operations"),
        ("GET", f"/v2/operations/{'0' * 32}"),
        ("GET", f"/v2/operations/{'0' * 32}/output"),
        ("GET", f"/v2/operations/{'0' * 32}/events"),
        ("POST", f"/v2/operations/{'0' * 32}/cancel"),
        ("POST", f"/v2/operations/{'0' * 32}/run-again"),
    ],
)
def test_what_needs_the_records_says_that_it_has_to_wait(method: str, path: str):
    with serving() as (client, _), away(client):
        assert is_503(client.request(method, path))


def test_a_command_that_must_be_recorded_first_does_not_begin():
    with serving() as (client, engine), away(client):
        assert is_503(client.post("/v2/commands/version", headers={"Prefer": "respond-async"}))
        assert is_503(client.post("/v2/commands/version", headers={"Idempotency-Key": "k"}))
        assert engine.jobs == []


@pytest.mark.slow
def test_a_command_that_is_waited_for_is_answered_and_recorded_later():
    with serving(prints("out")) as (client, _):
        client.get("/v2/operations")
        with away(client):
            made = client.post("/v2/commands/version")
            assert (made.status_code, made.json()["stdout"]) == (200, "out")
            # Here it is known all the same.
            assert client.get(f"/v2/operations/{made.json()['id']}").json() == made.json()
    # The end of the server waits for what is not written yet.
    store = client.app.state.context.store  # type: ignore[attr-defined]
    assert store.database._threads._shutdown


@pytest.mark.slow
def test_what_runs_can_be_seen_and_cancelled():
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        with away(client):
            path = f"/v2/operations/{made['id']}"
            assert client.get(path).json()["stdout"] == "working\n"
            assert client.post(f"{path}/cancel").json()["state"] == "cancelled"


def test_airflows_own_queries_fail_in_the_same_way(monkeypatch: pytest.MonkeyPatch):
    with serving(user="viewer") as (client, _):
        monkeypatch.setattr("airflow_rest_api.airflow.auth.AirflowAuth.user", gone)
        assert is_503(client.get("/v2/commands"))
        old = client.get("/api?api=version")
        assert (old.status_code, old.json()["status"]) == (503, "ERROR")
        assert int(old.headers["Retry-After"]) > 0


def test_a_permission_that_could_not_be_asked_for_is_no_refusal(monkeypatch: pytest.MonkeyPatch):
    with serving(user="viewer") as (client, engine):
        monkeypatch.setattr("airflow_rest_api.airflow.permissions.Permissions._may", gone)
        assert is_503(client.post("/v2/commands/dags/list"))
        old = client.get("/api?api=list_dags")
        assert (old.status_code, old.json()["status"]) == (503, "ERROR")
        assert engine.jobs == []


def test_a_bug_in_a_query_is_still_a_bug(monkeypatch: pytest.MonkeyPatch):
    def wrong(*arguments: object, **more: object) -> Any:
        raise OperationalError("SELECT x", {}, type("E", (Exception,), {"pgcode": "42703"})("no column x"))

    with serving() as (client, _):
        monkeypatch.setattr("airflow_rest_api.airflow.auth.AirflowAuth.user", wrong)
        assert client.get("/v2/commands").status_code == 500
