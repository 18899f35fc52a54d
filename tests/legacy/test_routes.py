"""What the 1.x endpoints do with operations."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.datastructures import UploadFile
from starlette.testclient import TestClient

from airflow_rest_api.engine.job import Outcome
from airflow_rest_api.security.audit import Audit
from tests.standin import StandInProcess, bearer, prints, serving, until_cancelled

TASK = {"dag_id": "d", "task_id": "t", "execution_date": "2026-01-01"}


def ask(client: TestClient, **arguments: str) -> Any:
    return client.get("/api", params=arguments)


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ({"api": "pause", "dag_id": "d"}, 0),
        ({"api": "pause", "dag_id": "d"}, 1),
        ({"api": "refresh_all_dags"}, 0),
        ({"api": "refresh_all_dags"}, 1),
    ],
)
def test_every_answer_of_a_command_names_its_operation(
    arguments: dict[str, str], exit_code: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("airflow_rest_api.legacy.routes.processor_alive", lambda: True)
    with serving(prints("out", "err\n", exit_code)) as (client, _):
        answer = ask(client, **arguments)
        found = client.get(f"/v2/operations/{answer.json()['operation_id']}")

    assert answer.status_code == (500 if exit_code else 200)
    assert found.json()["exit_code"] == exit_code
    assert found.json()["message"] == ("err" if exit_code else None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"api": "test", **TASK},
        {"api": "run", **TASK},
        {"api": "backfill", "dag_id": "d", "start_date": "2026-01-01"},
    ],
)
def test_who_does_not_wait_is_answered_at_once(arguments: dict[str, str]):
    with serving(until_cancelled) as (client, engine):
        answer = ask(client, **arguments, **{"async": "on"})
        envelope = answer.json()
        path = f"/v2/operations/{envelope['operation_id']}"
        running = client.get(path).status_code
        cancelled = client.post(f"{path}/cancel").json()["state"]

    assert (answer.status_code, envelope["status"], envelope["http_response_code"]) == (202, "OK", 202)
    assert envelope["output"] == {"stdout": "", "stderr": "", "stdin": ""}
    assert envelope["airflow_cmd"]
    assert "exit_code" not in envelope
    # Nothing of it reaches the command, nor is it missed there.
    assert "async" not in f"{engine.jobs[0].argv} {envelope['airflow_cmd']} {envelope.get('warning')}"
    assert (running, cancelled) == (202, "cancelled")


def test_a_false_check_box_waits():
    with serving(prints("out")) as (client, _):
        answer = ask(client, **{"api": "test", **TASK, "async": "false"})

    assert (answer.status_code, answer.json()["output"]["stdout"]) == (200, "out")


def test_other_endpoints_know_nothing_of_it():
    with serving(prints("out")) as (client, _):
        answer = ask(client, **{"api": "pause", "dag_id": "d", "async": "on"})

    assert answer.status_code == 200
    assert "async" in answer.json()["warning"]


def test_too_many_of_one_user_are_told_to_come_back():
    with serving(until_cancelled, queue_per_user=1) as (client, engine):
        client.app.state.context.operations._queue_per_user = 0  # type: ignore[attr-defined]
        answer = ask(client, api="pause", dag_id="d")
        v2 = client.post("/v2/commands/version", headers=bearer("viewer"))

    assert (answer.status_code, answer.json()["status"]) == (429, "ERROR")
    assert answer.headers["Retry-After"]
    assert (v2.status_code, v2.json()["detail"]["option"]) == (429, "queue_per_user")
    assert engine.jobs == []


def test_a_refusal_of_what_is_answered_at_once_is_recorded_as_well(monkeypatch: pytest.MonkeyPatch):
    refused: list[str] = []
    monkeypatch.setattr(Audit, "refused", lambda self, caller, command, *more: refused.append(command))
    with serving(disabled_commands="rest_api_plugin_version") as (client, _):
        answer = ask(client, api="rest_api_plugin_version")

    assert (answer.status_code, refused) == (403, ["rest_api_plugin_version"])


@pytest.mark.parametrize("api", ["test", "scheduler_unknown"])
def test_files_that_came_with_a_request_are_given_up_before_its_command_runs(
    api: str, monkeypatch: pytest.MonkeyPatch
):
    closed: list[str] = []
    close = UploadFile.close

    async def note(file: UploadFile) -> None:
        await close(file)
        closed.append(str(file.filename))

    async def script(process: StandInProcess) -> Outcome:
        assert closed == ["a.txt", "b.txt"]
        return await prints("out")(process)

    monkeypatch.setattr(UploadFile, "close", note)
    files = [("x", ("a.txt", b"a")), ("x", ("b.txt", b"b"))]
    with serving(script) as (client, _):
        answer = client.post("/api", params={"api": api, **TASK}, files=files)

    assert answer.status_code == (200 if api == "test" else 400)
    assert {"a.txt", "b.txt"} == set(closed)


@pytest.mark.usefixtures("fernet_key")
def test_what_a_runner_runs_is_not_sent_away_because_this_server_is_full():
    with serving(placement="dag-files = pool") as (client, engine):
        engine.busy = True
        elsewhere = ask(client, **{"api": "test", **TASK, "subdir": "dags", "async": "on"})
        here = ask(client, **{"api": "test", **TASK, "async": "on"})

    assert (elsewhere.status_code, here.status_code) == (202, 429)


def test_an_operation_of_an_old_client_is_listed_and_can_be_run_again():
    with serving(prints("out")) as (client, engine):
        made = ask(client, api="pause", dag_id="d").json()["operation_id"]
        again = client.post(f"/v2/operations/{made}/run-again")
        listed = client.get("/v2/operations", params={"dag_id": "d"}).json()["operations"]
        deadline = time.monotonic() + 60
        while len(listed) < 2 and time.monotonic() < deadline:
            listed = client.get("/v2/operations", params={"dag_id": "d"}).json()["operations"]

    assert (again.status_code, again.json()["rerun_of"]) == (200, made)
    assert [entry["id"] for entry in listed] == [again.json()["id"], made]
    assert len(engine.jobs) == 2


def test_an_operation_knows_the_endpoint_it_came_by():
    with serving(prints("out"), user="op") as (client, _):
        pause = ask(client, api="PAUSE", dag_id="d").json()["operation_id"]
        pools = ask(client, api="pool").json()["operation_id"]
        again = client.post(f"/v2/operations/{pause}/run-again").json()
        plain = client.post("/v2/commands/version").json()

        def listed(user: str = "op", **params: str) -> set[tuple[str, str | None]]:
            answer = client.get("/v2/operations", params=params, headers=bearer(user))
            return {(each["id"], each["endpoint"]) for each in answer.json()["operations"]}

        whole = client.get(f"/v2/operations/{pause}").json()
        pages = [
            client.get("/v2/operations", params={"legacy": "true", "limit": 1, **cursor}).json()
            for cursor in ({}, {"cursor": f"{pools}.-"})
        ]
        for user in ("op", "admin"):
            assert listed(user, endpoint="pause") == {(pause, "pause")}
            assert listed(user, endpoint="pause", legacy="true") == {(pause, "pause")}
            assert listed(user, legacy="true") == {(pause, "pause"), (pools, "pool")}
            assert listed(user, legacy="false") == {(again["id"], None), (plain["id"], None)}
            assert listed(user, endpoint="version") == set()

    assert (whole["endpoint"], again["endpoint"], plain["endpoint"]) == ("pause", None, None)
    assert [[each["id"] for each in page["operations"]] for page in pages] == [[pools], [pause]]


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"endpoint": "paws"}, "endpoint"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "x" * 10_000}, "endpoint"),
        ({"legacy": "perhaps"}, "legacy"),
        ({"endpoint": "pause", "legacy": "false"}, "legacy"),
    ],
)
def test_a_filter_that_no_operation_can_pass_is_refused(params: dict[str, str], argument: str):
    with serving() as (client, _):
        answer = client.get("/v2/operations", params=params)

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, argument)
    assert len(answer.text) < 1000
