"""The routes of services, with an engine that plays a part."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.airflow.permissions import Permissions
from airflow_rest_api.api import service_logs
from airflow_rest_api.commands.catalog import Catalog
from airflow_rest_api.errors import Busy, Unavailable, UnknownCommand
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.services.model import DesiredState, Service
from airflow_rest_api.services.service import Services
from airflow_rest_api.services.status import State
from tests.keeping import a_service, made, wait_for
from tests.standin import StandInEngine, auth_manager, bearer, prints, serving

pytestmark = pytest.mark.airflow

SERVICES = "/v2/services"


@pytest.fixture(scope="module", autouse=True)
def jobs() -> None:
    """Airflow's table of jobs."""
    from airflow import settings
    from airflow.jobs.job import Job

    auth_manager()
    Job.__table__.create(settings.engine, checkfirst=True)  # type: ignore[attr-defined]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TestClient, StandInEngine]]:
    address = f"sqlite:///{tmp_path / 'services.db'}"
    on = "*, api-server"
    with serving(prints("started"), operations_database=address, enabled_commands=on) as (client, engine):
        yield client, engine


@pytest.fixture
def client(served: tuple[TestClient, StandInEngine]) -> TestClient:
    return served[0]


def services_of(client: TestClient) -> Services:
    app: Any = client.app
    services: Services = app.state.context.services
    return services


def put(client: TestClient, **values: Any) -> Service:
    """Put a service that another host runs into the database."""
    service = a_service(**{"host": "far", "place": "there", "state": State.RUNNING, **values})
    assert client.portal is not None
    client.portal.call(services_of(client)._store.insert, service)
    return service


def stored(client: TestClient, identifier: str) -> Service:
    assert client.portal is not None
    return client.portal.call(services_of(client)._store.get, identifier)


def reason(response: Any) -> str:
    return str(response.json()["detail"]["reason"])


def test_the_kinds_say_what_they_take(client: TestClient) -> None:
    kinds = {kind["kind"]: kind for kind in client.get(f"{SERVICES}/kinds").json()["kinds"]}
    assert list(kinds) == [
        "scheduler",
        "dag-processor",
        "triggerer",
        "celery-worker",
        "celery-flower",
        "kerberos",
        "log-server",
        "api-server",
    ]
    worker = kinds["celery-worker"]
    assert (worker["command"], worker["available"], worker["allowed"]) == ("celery worker", True, True)
    names = {argument["name"] for argument in worker["arguments"]}
    assert {"queues", "concurrency", "celery_hostname"} <= names
    assert not names & {"daemon", "pid", "stdout", "stderr", "log_file"}
    assert kinds["log-server"]["arguments"] == []


def test_the_kinds_are_not_allowed_to_everybody(client: TestClient) -> None:
    kinds = client.get(f"{SERVICES}/kinds", headers=bearer("op")).json()["kinds"]
    assert not any(kind["allowed"] for kind in kinds)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/x"),
        ("POST", "/x/stop"),
        ("POST", "/x/restart"),
        ("DELETE", "/x"),
        ("GET", "/x/log"),
        ("GET", "/x/log/events"),
    ],
)
def test_those_without_the_power_are_refused_and_that_is_recorded(
    client: TestClient, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    monkeypatch.setattr(Audit, "refused", lambda self, caller, *more: refused.append(caller.name))
    body = {"kind": "scheduler"} if method == "POST" and not path else None
    for user in ("op", "user", "viewer"):
        response = client.request(method, f"{SERVICES}{path}", json=body, headers=bearer(user))
        assert response.status_code == 403, user
        assert reason(response) == "forbidden"
    assert refused == ["op", "user", "viewer"]
    assert client.request(method, f"{SERVICES}{path}", headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "kind"),
        ({"kind": "webserver"}, "kind"),
        ({"kind": "scheduler", "more": 1}, "more"),
        ({"kind": "scheduler", "restart": "always"}, "restart"),
        ({"kind": "scheduler", "arguments": {"nonsense": 1}}, "nonsense"),
        ({"kind": "scheduler", "arguments": {"num_runs": "many"}}, "num_runs"),
        ({"kind": "scheduler", "arguments": {"pid": "/etc/x.pid"}}, "pid"),
        ({"kind": "scheduler", "arguments": {"log_file": "x"}}, "log_file"),
        ({"kind": "scheduler", "arguments": {"daemon": True}}, "daemon"),
        ({"kind": "scheduler", "arguments": {"dev": True}}, "dev"),
        ({"kind": "api-server"}, "port"),
        ({"kind": "log-server", "arguments": {"port": 1}}, "port"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_argument_named(
    client: TestClient, body: dict[str, Any], named: str
) -> None:
    response = client.post(SERVICES, json=body)
    assert response.status_code == 400, response.text
    assert named in response.json()["detail"]["argument"]
    assert client.get(SERVICES).json()["services"] == []


def test_an_api_server_is_never_started_on_our_own_port(client: TestClient) -> None:
    # Starlette's test client says that it talks to port 80.
    response = client.post(SERVICES, json={"kind": "api-server", "arguments": {"port": 80}})
    assert response.status_code == 400
    assert response.json()["detail"]["message"] == "argument port: this API server itself listens on 80"


def test_a_port_in_use_is_refused(client: TestClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        response = client.post(SERVICES, json={"kind": "celery-flower", "arguments": {"port": port}})
    assert (response.status_code, reason(response)) == (409, "port_in_use")
    assert client.get(SERVICES).json()["services"] == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("exit_code", value) for value in ("x", 1.5)],
        *[("pid", value) for value in ("x", b"\xff")],
        *[("state", value) for value in ("x", b"\xff")],
        *[("argv", value) for value in ("", "no JSON", "{}", "[1]", "[" * 50_000)],
        *[("ready", value) for value in ("", "[]")],
        *[("created_at", value) for value in ("x", 5)],
        ("started_at", "x"),
        ("restart", "x"),
        ("wish", "x"),
        ("restarts", "x"),
        ("version", "x"),
        ("command", b"\xff"),
    ],
    ids=lambda given: repr(given)[:20],
)
def test_a_damaged_row_of_a_component_breaks_no_list(
    client: TestClient, tmp_path: Path, column: str, value: Any
) -> None:
    good, bad = put(client), put(client)
    with sqlite3.connect(tmp_path / "services.db") as database:
        database.execute(f"UPDATE rest_api_service SET {column} = ? WHERE id = ?", (value, bad.id))
    page, one = client.get(SERVICES), client.get(f"{SERVICES}/{bad.id}")

    assert (page.status_code, one.status_code) == (200, 200)
    shown = {service["id"]: service for service in page.json()["services"]}
    name = {"wish": "desired"}.get(column, column)
    assert shown[bad.id]["message"] == f"The record of this component is damaged: {name} cannot be read."
    assert shown[good.id]["message"] == good.message


def test_a_component_is_not_bound_by_the_memory_of_one_command(
    served: tuple[TestClient, StandInEngine],
) -> None:
    client, engine = served
    client.post(SERVICES, json={"kind": "scheduler"}, headers={"Prefer": "respond-async"})
    client.post("/v2/commands/version")

    assert [job.limited for job in engine.jobs] == [False, True]


def test_a_start_is_an_operation_whose_secrets_nobody_sees(served: tuple[TestClient, StandInEngine]) -> None:
    client, engine = served
    arguments = {"port": 5999, "basic_auth": "zoe:hunter22"}
    response = client.post(
        SERVICES, json={"kind": "celery-flower", "arguments": arguments}, headers={"Prefer": "respond-async"}
    )
    assert response.status_code == 201
    service = response.json()
    assert response.headers["Location"] == f"/v2/services/{service['id']}"
    assert service["argv"] == ["celery", "flower", "--basic-auth=***", "--port=5999"]
    assert (service["state"], service["user"], service["managed"]) == ("starting", "admin", True)
    [job] = engine.jobs
    assert job.entry == "airflow_rest_api.services.child_start:run_order"
    assert "hunter22" in job.argv[0]
    assert "hunter22" in job.secrets
    assert "hunter22" not in " ".join(job.shown or ())
    operation = client.get(f"/v2/operations/{service['operation_id']}")
    assert operation.json()["command"] == "services start"
    for answer in (response, operation, client.get(SERVICES)):
        assert "hunter22" not in answer.text
    again = client.post(f"/v2/operations/{service['operation_id']}/run-again")
    assert (again.status_code, reason(again)) == (409, "cannot_repeat")


def test_the_same_a_second_time_is_a_conflict_that_names_the_first(client: TestClient) -> None:
    body = {"kind": "celery-worker", "arguments": {"queues": "a,b"}}
    first = client.post(SERVICES, json=body, headers={"Prefer": "respond-async"}).json()
    body["arguments"] = {"queues": "b,a"}
    second = client.post(SERVICES, json=body)
    assert (second.status_code, reason(second)) == (409, "already_running")
    assert second.json()["detail"]["service"] == first["id"]
    third = client.post(SERVICES, json={**body, "another": True}, headers={"Prefer": "respond-async"})
    assert third.status_code == 201


def test_a_request_that_was_sent_twice_starts_one(served: tuple[TestClient, StandInEngine]) -> None:
    client, engine = served
    headers = {"Prefer": "respond-async", "Idempotency-Key": "k"}
    body = {"kind": "celery-worker"}
    first = client.post(SERVICES, json=body, headers=headers)
    second = client.post(SERVICES, json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(engine.jobs) == 1
    other = client.post(SERVICES, json={**body, "another": True}, headers=headers)
    assert (other.status_code, reason(other)) == (409, "idempotency_conflict")


def test_a_request_that_is_sent_again_finds_what_was_restarted_since(
    served: tuple[TestClient, StandInEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, engine = served
    monkeypatch.setattr("airflow_rest_api.services.service.KNOWN_WITHIN", timedelta(0))
    engine.script = prints("", "no room\n", 1)
    headers = {"Prefer": "respond-async", "Idempotency-Key": "k"}
    first = client.post(SERVICES, json={"kind": "celery-worker"}, headers=headers).json()
    for _ in range(2):
        wait_for(lambda: stored(client, first["id"]).state is State.FAILED)
        client.post(f"{SERVICES}/{first['id']}/restart", headers={"Prefer": "respond-async"})
    assert len(engine.jobs) == 3
    again = client.post(SERVICES, json={"kind": "celery-worker"}, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["operation_id"] != first["operation_id"]


def test_a_request_that_names_a_host_is_the_same_at_every_api_server(client: TestClient) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": "k"}
    local = services_of(client).local
    body = {"kind": "celery-worker", "host": local.host}
    first = client.post(SERVICES, json=body, headers=headers)
    # An API server of another host, for which this one is a runner's.
    local.host = "elsewhere"
    second = client.post(SERVICES, json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotency-Replayed"] == "true"
    other = client.post(SERVICES, json={**body, "host": "elsewhere"}, headers=headers)
    assert (other.status_code, reason(other)) == (409, "idempotency_conflict")


def test_a_host_and_a_queue_that_is_not_its_own_are_refused(client: TestClient) -> None:
    body = {"kind": "triggerer", "host": "elsewhere"}
    answers = [
        client.post(SERVICES, json={**body, "queue": "dags"}),
        client.post(SERVICES, json=body, headers={"Airflow-Queue": "local"}),
        client.post(
            SERVICES, json={**body, "host": services_of(client).local.host}, headers={"Airflow-Queue": "dags"}
        ),
    ]
    assert [(one.status_code, one.json()["detail"]["argument"]) for one in answers] == [(400, "host")] * 3


def test_one_of_another_host_that_may_still_run_is_not_forgotten(client: TestClient) -> None:
    moment = datetime.now(timezone.utc)
    for unseen, status in ((timedelta(minutes=5), 409), (timedelta(days=2), 204)):
        service = put(client, seen_at=moment - unseen)
        assert client.get(f"{SERVICES}/{service.id}").json()["state"] == "lost"
        assert client.delete(f"{SERVICES}/{service.id}").status_code == status


def test_a_body_is_read_after_its_sender_was_let_in_and_within_the_limit(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'services.db'}"
    with serving(prints("started"), operations_database=address, max_upload=1024) as (client, engine):
        long = b'{"kind": "' + b"x" * 2000 + b'"}'
        for path in (SERVICES, f"{SERVICES}/{'0' * 32}/stop"):
            sent = {"content": long, "headers": {"Content-Type": "application/json", **bearer("viewer")}}
            assert client.post(path, **sent).status_code == 403
        json_of = {"Content-Type": "application/json"}
        answer = client.post(SERVICES, content=long, headers=json_of)
        assert (answer.status_code, reason(answer)) == (413, "too_large")
        answer = client.post(SERVICES, content=b"x", headers={"Content-Type": "text/plain"})
        assert (answer.status_code, reason(answer)) == (415, "unsupported_media_type")
        service = put(client)
        answer = client.post(f"{SERVICES}/{service.id}/stop", content=long, headers=json_of)
        assert (answer.status_code, reason(answer)) == (413, "too_large")
        assert engine.jobs == []


@pytest.mark.parametrize(
    ("options", "kind", "option"),
    [
        ({"read_only": True}, "kerberos", "read_only"),
        ({"disabled_commands": "celery *"}, "celery-flower", "disabled_commands"),
        ({"disabled_commands": "worker"}, "celery-worker", "disabled_commands"),
        ({"enabled_commands": "dags *"}, "log-server", "enabled_commands"),
        ({"run_dag_code": False}, "scheduler", "run_dag_code"),
        ({"run_dag_code": False}, "celery-worker", "run_dag_code"),
        ({}, "api-server", "enabled_commands"),
    ],
)
def test_what_is_switched_off_is_not_started(
    tmp_path: Path, options: dict[str, Any], kind: str, option: str
) -> None:
    address = f"sqlite:///{tmp_path / 'services.db'}"
    with serving(operations_database=address, **options) as (client, engine):
        response = client.post(SERVICES, json={"kind": kind})
        assert (response.status_code, reason(response)) == (403, "switched_off")
        assert response.json()["detail"]["option"] == option
        assert engine.jobs == []
        kinds = {one["kind"]: one for one in client.get(f"{SERVICES}/kinds").json()["kinds"]}
        assert not kinds[kind]["allowed"]
        assert kinds[kind]["refusal"] == response.json()["detail"]


def test_services_are_listed_by_state_kind_and_host(client: TestClient) -> None:
    running = put(client)
    stopped = put(client, kind="kerberos", command="kerberos", state=State.STOPPED, host="farther")

    def listed(**query: str) -> list[str]:
        return [one["id"] for one in client.get(SERVICES, params=query).json()["services"]]

    assert listed() == [stopped.id, running.id]
    assert listed(state="running") == [running.id]
    assert listed(kind="kerberos") == listed(host="farther") == [stopped.id]
    assert listed(state="failed") == []
    assert client.get(SERVICES, params={"state": "odd"}).status_code == 400


def test_nothing_of_the_server_is_in_an_answer(client: TestClient) -> None:
    service = put(client, folder="/secret/folder", logs="/secret/logs", pid=1, supervisor=2, seen_at=None)
    text = client.get(f"{SERVICES}/{service.id}").text
    assert "/secret" not in text
    assert set(client.get(f"{SERVICES}/{service.id}").json()) == {
        "id",
        "kind",
        "command",
        "argv",
        "state",
        "pid",
        "host",
        "user",
        "created_at",
        "started_at",
        "ended_at",
        "exit_code",
        "message",
        "restart",
        "restarts",
        "log",
        "operation_id",
        "managed",
        "airflow",
    }


def test_one_of_another_host_is_asked_to_stop_through_its_host(client: TestClient) -> None:
    service = put(client)
    response = client.post(f"{SERVICES}/{service.id}/stop", headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    assert (stored(client, service.id).desired, stored(client, service.id).desired_by) == (
        DesiredState.STOP,
        "admin",
    )
    forced = client.post(
        f"{SERVICES}/{service.id}/stop", json={"force": True}, headers={"Prefer": "respond-async"}
    )
    assert forced.status_code == 202
    assert stored(client, service.id).desired is DesiredState.KILL
    again = client.post(f"{SERVICES}/{service.id}/restart", headers={"Prefer": "respond-async"})
    assert again.status_code in (200, 202)
    assert stored(client, service.id).desired is DesiredState.RESTART


@pytest.mark.parametrize("host", [socket.gethostname(), "far"])
def test_stopping_what_has_ended_changes_nothing(client: TestClient, host: str) -> None:
    service = put(client, state=State.STOPPED, host=host)
    response = client.post(f"{SERVICES}/{service.id}/stop")
    assert (response.status_code, response.json()["state"]) == (200, "stopped")
    assert stored(client, service.id) == service


@pytest.mark.parametrize(
    ("state", "seems", "asked"), [(State.STOPPED, "stopped", "restart"), (State.RUNNING, "lost", "stop")]
)
def test_what_another_host_has_not_done_yet_is_not_answered_as_done(
    client: TestClient, state: State, seems: str, asked: str
) -> None:
    # Nobody is there who would start it again, or stop what may still run.
    service = put(client, state=state, seen_at=datetime.now(timezone.utc) - timedelta(minutes=5))
    response = client.post(f"{SERVICES}/{service.id}/{asked}", headers={"Prefer": "respond-async"})
    assert (response.status_code, response.json()["state"]) == (202, seems)


def test_a_stop_is_recorded_where_there_is_something_to_stop_whatever_is_seen(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[str] = []
    monkeypatch.setattr(Audit, "did", lambda self, caller, what, **of: recorded.append(of["service"]))
    long_ago = datetime.now(timezone.utc) - timedelta(minutes=5)
    lost, ended = put(client, seen_at=long_ago), put(client, state=State.STOPPED, seen_at=long_ago)
    for service in (lost, ended):
        client.post(f"{SERVICES}/{service.id}/stop", headers={"Prefer": "respond-async"})
    assert recorded == [lost.id]


def test_what_has_ended_can_be_forgotten_and_what_runs_cannot(client: TestClient) -> None:
    ended, running = put(client, state=State.FAILED), put(client)
    assert client.delete(f"{SERVICES}/{ended.id}").status_code == 204
    assert client.get(f"{SERVICES}/{ended.id}").status_code == 404
    response = client.delete(f"{SERVICES}/{running.id}")
    assert (response.status_code, reason(response)) == (409, "still_running")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", "/stop"),
        ("POST", "/restart"),
        ("DELETE", ""),
        ("GET", "/log"),
        ("GET", "/log/events"),
    ],
)
@pytest.mark.parametrize("identifier", ["0" * 32, "job-1", "..%2f..", "'", "job-"])
def test_what_is_not_there_is_not_found(client: TestClient, method: str, path: str, identifier: str) -> None:
    response = client.request(method, f"{SERVICES}/{identifier}{path}")
    assert response.status_code in (404, 405)


@pytest.fixture
def logged(client: TestClient, tmp_path: Path) -> Service:
    made(tmp_path, "out", "one\ntwo\nthrée\n")
    made(tmp_path, "err", "bad\n")
    return put(client, logs=str(tmp_path), state=State.STOPPED)


def test_a_log_is_read_by_offset(client: TestClient, logged: Service) -> None:
    url = f"{SERVICES}/{logged.id}/log"
    part = client.get(url, params={"offset": 4, "limit": 3})
    assert part.text == "two"
    assert part.headers["X-Output-Offset"] == "4"
    assert part.headers["X-Output-Next"] == "7"
    assert part.headers["X-Output-End"] == "false"
    assert part.headers["Content-Type"] == "text/plain; charset=utf-8"
    rest = client.get(url, params={"offset": part.headers["X-Output-Next"]})
    assert (rest.text, rest.headers["X-Output-End"]) == ("\nthrée\n", "true")
    assert client.get(url, params={"stream": "stderr"}).text == "bad\n"


def test_the_end_of_a_log_is_read_by_lines(client: TestClient, logged: Service) -> None:
    tail = client.get(f"{SERVICES}/{logged.id}/log", params={"tail": 2})
    assert (tail.text, tail.headers["X-Output-Offset"]) == ("two\nthrée\n", "4")


@pytest.mark.parametrize(
    "query", [{"stream": "../etc"}, {"offset": -1}, {"limit": 0}, {"limit": 10**9}, {"tail": 0}]
)
def test_a_wrong_part_of_a_log_is_refused(client: TestClient, logged: Service, query: dict[str, Any]) -> None:
    assert client.get(f"{SERVICES}/{logged.id}/log", params=query).status_code == 400


def test_a_log_that_is_elsewhere_is_not_found_and_said_where(client: TestClient) -> None:
    service = put(client, logs="/nonexistent")
    for path in ("log", "log/events"):
        response = client.get(f"{SERVICES}/{service.id}/{path}")
        assert (response.status_code, reason(response)) == (404, "no_log")
        assert "far" in response.json()["detail"]["message"]
        assert "/nonexistent" not in response.text


def test_the_log_of_a_component_that_is_being_started_is_followed_before_it_is_there(
    client: TestClient, tmp_path: Path
) -> None:
    service = put(client, logs=str(tmp_path), stdout="out", stderr="out", state=State.STARTING)

    def come_up() -> None:
        made(tmp_path, "out", "here I am\n")
        assert client.portal is not None
        client.portal.call(partial(services_of(client)._store.change, service, state=State.FAILED))

    timer = threading.Timer(0.5, come_up)
    timer.start()
    response = client.get(f"{SERVICES}/{service.id}/log/events")
    timer.join()
    assert response.status_code == 200
    assert "here I am" in response.text


def test_a_link_in_place_of_a_log_is_not_followed(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    os.symlink(tmp_path / "secret", tmp_path / "out")
    service = put(client, logs=str(tmp_path))
    response = client.get(f"{SERVICES}/{service.id}/log")
    assert response.status_code == 404
    assert "hunter2" not in response.text


def test_the_log_of_somebody_else_is_not_shown_by_the_name_of_ours(
    client: TestClient, tmp_path: Path, logged: Service
) -> None:
    (tmp_path / "api-server.out").write_text("hunter2")
    named = put(
        client, logs=str(tmp_path), stdout="api-server.out", stderr="api-server.out", state=State.FAILED
    )
    (tmp_path / "new").write_text("hunter2")
    (tmp_path / "new").replace(tmp_path / "out")
    for service in (named, logged):
        for path in ("", "/log", "/log?tail=10", "/log/events?tail=10", "/log?offset=0&stream=stdout"):
            response = client.get(f"{SERVICES}/{service.id}{path}")
            assert response.status_code in (200 if not path or "events" in path else 404, 404), path
            assert "hunter2" not in response.text
    assert client.get(f"{SERVICES}/{logged.id}/log?stream=stderr").text == "bad\n"


def test_a_log_is_followed_to_its_end(client: TestClient, logged: Service) -> None:
    text = client.get(f"{SERVICES}/{logged.id}/log/events", params={"tail": 2}).text
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    assert events[0] == [
        "id: 15.0",
        "event: output",
        'data: {"stream": "stdout", "offset": 4, "text": "two\\nthr\\u00e9e\\n"}',
    ]
    assert events[1][:2] == ["id: 15.4", "event: output"]
    assert events[2][1] == "event: end"
    assert '"state":"stopped"' in events[2][2]
    resumed = client.get(f"{SERVICES}/{logged.id}/log/events", headers={"Last-Event-ID": "15.4"}).text
    assert [line for line in resumed.splitlines() if line.startswith("event")] == ["event: end"]
    again = client.get(
        f"{SERVICES}/{logged.id}/log/events", params={"after": "0.0"}, headers={"Last-Event-ID": "15.4"}
    )
    assert again.text == resumed
    cut = client.get(f"{SERVICES}/{logged.id}/log/events", params={"after": "99.4"}).text
    assert cut.startswith("event: gap")
    assert "one" in cut
    assert client.get(f"{SERVICES}/{logged.id}/log/events", params={"after": "x"}).status_code == 400


def test_a_log_that_cannot_be_read_for_a_moment_does_not_end_before_it_was(
    client: TestClient, logged: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the runner of another host, which is busy, or the database through which it is asked.
    services = services_of(client)
    log, failures = services.log, iter([Busy(), Unavailable()])

    async def sometimes(*words: Any, **place: Any) -> Any:
        if "tail" not in place and (failure := next(failures, None)):
            raise failure
        return await log(*words, **place)

    monkeypatch.setattr(services, "log", sometimes)
    text = client.get(f"{SERVICES}/{logged.id}/log/events").text
    assert [line for line in text.splitlines() if line.startswith("event")] == [
        "event: output",
        "event: output",
        "event: end",
    ]


def test_who_follows_a_log_has_no_other_component_looked_at(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "out", "much\n")
    service = put(client, logs=str(tmp_path), stdout="out", stderr="out")
    services, looks = services_of(client), []
    everything = services.list

    async def counted() -> Any:
        looks.append(1)
        return await everything()

    def come_to_an_end() -> None:
        assert client.portal is not None
        client.portal.call(partial(services._store.change, service, state=State.STOPPED))

    monkeypatch.setattr(services, "list", counted)
    monkeypatch.setattr(service_logs, "LOOK_EVERY", 0.1)
    timer = threading.Timer(3, come_to_an_end)
    timer.start()
    assert "event: end" in client.get(f"{SERVICES}/{service.id}/log/events").text
    timer.join()
    # At its beginning and for its end.
    assert len(looks) == 2


@pytest.mark.parametrize("host", [socket.gethostname(), "far"])
def test_what_cannot_be_started_again_says_so(client: TestClient, host: str) -> None:
    place = services_of(client).local.place
    service = put(client, host=host, place=place, state=State.STOPPED, secret=True)
    response = client.post(f"{SERVICES}/{service.id}/restart")
    assert (response.status_code, reason(response)) == (409, "cannot_repeat")


def test_what_is_not_installed_here_is_started_again_with_its_arguments_by_administrators_alone(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_here(self: Catalog, name: str) -> Any:
        raise UnknownCommand(name, ())

    monkeypatch.setattr(Catalog, "get", not_here)
    monkeypatch.setattr(Permissions, "may", lambda self, resource, method, entity, name: entity == "Service")
    with_arguments = put(client, kind="celery-worker", argv=("celery", "worker", "--pid=/etc/x"))
    without = put(client, kind="celery-worker", argv=("celery", "worker"))

    def asked(service: Service, what: str, user: str) -> int:
        headers = {**bearer(user), "Prefer": "respond-async"}
        return client.post(f"{SERVICES}/{service.id}/{what}", headers=headers).status_code

    assert asked(with_arguments, "restart", "op") == 403
    assert asked(without, "restart", "op") in (200, 202)
    assert asked(with_arguments, "stop", "op") in (200, 202)
    assert asked(with_arguments, "restart", "admin") in (200, 202)


def test_a_busy_server_starts_nothing_and_keeps_nothing(served: tuple[TestClient, StandInEngine]) -> None:
    client, engine = served
    engine.busy = True
    response = client.post(SERVICES, json={"kind": "celery-worker"})
    assert (response.status_code, reason(response)) == (429, "busy")
    assert client.get(SERVICES).json()["services"] == []
