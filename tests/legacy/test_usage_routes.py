from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.legacy import usage
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from tests.standin import bearer, own_database, prints, serving, until_cancelled

PATIENCE = 60.0
PATH = "/v2/legacy-usage"
TASK = {"dag_id": "d", "task_id": "t", "execution_date": "2026-01-01"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "EVERY", 0.02)


def listed(client: TestClient, calls: int, **params: Any) -> list[dict[str, Any]]:
    """Return the callers once so many calls are counted, which are those of all of them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = client.get(PATH, params=params, headers=bearer("admin"))
        assert answer.status_code == 200, answer.text
        callers: list[dict[str, Any]] = answer.json()["callers"]
        if sum(one["calls"] for one in callers) >= calls or time.monotonic() > deadline:
            assert sum(one["calls"] for one in callers) == calls
            return callers
        time.sleep(0.02)


def ignored(caller: dict[str, Any]) -> dict[str, bool]:
    return {one["argument"]: one["known"] for one in caller["ignored"]}


def test_a_call_is_counted_with_its_user_its_address_and_what_was_ignored_of_it():
    begin = datetime.now(timezone.utc) - timedelta(seconds=1)
    with serving(prints("out")) as (client, _):
        for _ in range(3):
            client.get("/api", params={"api": "pause", "dag_id": "d", "subdri": "x", "verbose": "1"})
        client.get("/api", params={"api": "Pause", "dag_id": "d"}, headers=bearer("op"))
        often, once = listed(client, 4)

    assert (often["endpoint"], often["user"], often["address"]) == ("pause", "admin", "testclient")
    assert (often["calls"], once["calls"], once["user"]) == (3, 1, "op")
    assert {one["argument"]: (one["known"], one["calls"]) for one in often["ignored"]} == {
        "subdri": (False, 3),
        "verbose": (False, 3),
    }
    assert once["ignored"] == []
    first, last = (
        datetime.fromisoformat(often[name].replace("Z", "+00:00")) for name in ("first_at", "last_at")
    )
    assert begin < first < last < datetime.now(timezone.utc)


@pytest.mark.parametrize("endpoint", [one.name for one in ENDPOINTS])
def test_every_endpoint_is_counted_whatever_it_answers(endpoint: str):
    with serving(prints("out")) as (client, _):
        client.get("/api", params={"api": endpoint, "nonsense": "1"}, headers=bearer("viewer"))
        [caller] = listed(client, 1)

    assert (caller["endpoint"], caller["user"]) == (endpoint, "viewer")


def test_what_is_refused_is_counted_under_its_endpoint():
    with serving(until_cancelled, max_upload=1000) as (client, engine):
        answers = [
            client.get("/api", params={"api": "pause"}),
            client.get("/api", params={"api": "pause", "dag_id": "d"}, headers=bearer("viewer")),
            client.get("/api", params={"api": "trigger_dag", "dag_id": "d", "conf": "{"}),
            client.post("/api?api=clear", content=b"{", headers={"Content-Type": "application/json"}),
            client.post("/api?api=render", content=b"x" * 2000),
            client.head("/api", params={"api": "version"}),
            client.head("/api", params={"api": "unpause"}),
        ]
        engine.busy = True
        answers.append(client.get("/api", params={"api": "pool"}))
        callers = listed(client, 8)

    assert [answer.status_code for answer in answers] == [400, 403, 400, 400, 413, 200, 400, 429]
    assert sorted((one["endpoint"], one["user"], one["calls"]) for one in callers) == [
        ("clear", "admin", 1),
        ("pause", "admin", 1),
        ("pause", "viewer", 1),
        ("pool", "admin", 1),
        ("render", "admin", 1),
        ("trigger_dag", "admin", 1),
        ("unpause", "admin", 1),
        ("version", "admin", 1),
    ]


def test_who_is_turned_away_at_the_door_is_nobody_to_be_counted():
    with serving() as (client, _):
        for headers in ({"Authorization": "Bearer x"}, {"Authorization": "", "Origin": "http://elsewhere"}):
            assert client.get("/api?api=version", headers=headers).status_code >= 400
        client.get("/api?api=version")
        [caller] = listed(client, 1)

    assert caller["user"] == "admin"


def test_unknown_endpoints_are_one_row_without_the_words_of_the_client():
    with serving() as (client, _):
        for name in ("S3cret", "s3cret too", "", None):
            client.get("/api", params={"made_up": "1", **({} if name is None else {"api": name})})
        client.get("/api")
        [caller] = listed(client, 5, endpoint="(unknown)")

    assert (caller["endpoint"], caller["ignored"]) == ("(unknown)", [])
    assert "s3cret" not in str(caller).lower()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"api": "scheduler", "dag_id": "d", "subdir": "/x", "do_pickle": "1", "num_runs": "1"},
            {"dag_id", "subdir", "do_pickle"},
        ),
        ({"api": "run", **TASK, "cfg_path": "/x", "ship_dag": "on", "force": "on"}, {"cfg_path", "ship_dag"}),
        (
            {"api": "backfill", "dag_id": "d", "start_date": "2026-01-01", "pool": "p", "local": "true"},
            {"pool", "local"},
        ),
        ({"api": "backfill", "dag_id": "d", "start_date": "2026-01-01", "local": "false", "pool": ""}, set()),
        ({"api": "clear", "dag_id": "d", "no_confirm": "on", "exclude_subdags": "on"}, {"exclude_subdags"}),
        (
            {"api": "pool", "get": "p", "cmd": "st", "slot_count": "1", "delete": "q"},
            {"cmd", "slot_count", "delete"},
        ),
        ({"api": "pool", "get": "p", "cmd": "set"}, {"cmd"}),
        ({"api": "variables", "json": "on", "value": "S3cret", "cmd": "st"}, {"json", "value", "cmd"}),
        ({"api": "connections", "conn_host": "h"}, {"conn_host"}),
    ],
    ids=lambda value: value["api"] if isinstance(value, dict) else "",
)
def test_arguments_without_effect_count_as_ignored(arguments: dict[str, str], expected: set[str]):
    with serving(prints("out")) as (client, _):
        answer = client.get("/api", params=arguments)
        [caller] = listed(client, 1)

    assert set(ignored(caller)) == expected, answer.text
    assert all(ignored(caller).values())


def test_names_that_a_client_makes_up_do_not_hide_what_airflow_has_nothing_for():
    made_up = {f"a_{number}": "x" for number in range(100)}
    with serving(prints("out")) as (client, _):
        client.get("/api", params={"api": "connections", "conn_host": "h", **made_up})
        [caller] = listed(client, 1)

    assert len(ignored(caller)) == 21
    assert {"conn_host", "(other)"} < set(ignored(caller))


def test_a_form_that_was_sent_as_json_text_leaves_no_secret_behind():
    text = '{"conf": {"password": "S3cret"}}'
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with serving(prints("out")) as (client, _):
        client.post("/api?api=pause&dag_id=d", content=text, headers=headers)
        [caller] = listed(client, 1)

    assert ignored(caller) == {"(other)": False}


def test_a_component_and_a_deployment_are_counted_and_a_component_knows_its_endpoint():
    with serving(prints("out")) as (client, _):
        client.get("/api", params={"api": "serve_logs"})
        client.post("/api?api=deploy_dag&pause=on&unpause=on", files={"dag_file": ("a.py", b"x = 1\n")})
        callers = {one["endpoint"]: one for one in listed(client, 2)}
        operations = client.get("/v2/operations", params={"legacy": "true"}).json()["operations"]

    assert set(callers) == {"serve_logs", "deploy_dag"}
    assert ignored(callers["deploy_dag"]) == {"pause": True, "unpause": True}
    assert "serve_logs" in {one["endpoint"] for one in operations}


def test_the_list_is_narrowed_and_sorted():
    with serving(prints("out")) as (client, _):
        for _ in range(2):
            client.get("/api?api=version")
        client.get("/api?api=rest_api_plugin_version", headers=bearer("viewer"))
        assert [one["calls"] for one in listed(client, 3)] == [2, 1]
        assert [one["calls"] for one in listed(client, 3, sort="last")] == [1, 2]
        assert [one["endpoint"] for one in listed(client, 1, user="viewer")] == ["rest_api_plugin_version"]
        assert [one["user"] for one in listed(client, 2, endpoint="version")] == ["admin"]
        page = client.get(PATH, params={"limit": 1}).json()

    assert (len(page["callers"]), page["total_entries"]) == (1, 2)


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"endpoint": "paws"}, "endpoint"),
        ({"sort": "user"}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
    ],
)
def test_what_is_no_filter_is_refused(params: dict[str, Any], argument: str):
    with serving() as (client, _):
        answer = client.get(PATH, params=params)

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, argument)


def test_an_administrator_sees_it_and_nobody_else():
    with serving() as (client, _):
        answers = {user: client.get(PATH, headers=bearer(user)) for user in ("viewer", "user", "op", "admin")}
        told = {user: client.get("/endpoints.json", headers=bearer(user)).json()["usage"] for user in answers}

    assert {user: answer.status_code for user, answer in answers.items()} == {
        "viewer": 403,
        "user": 403,
        "op": 403,
        "admin": 200,
    }
    assert (
        "an administrator, or permission to edit 'REST API Administration'"
        in answers["op"].json()["detail"]["message"]
    )
    assert told == {"viewer": False, "user": False, "op": False, "admin": True}


def test_an_option_can_switch_it_off():
    with serving(disabled_commands="legacy_usage") as (client, _):
        answer = client.get(PATH)
        told = client.get("/endpoints.json").json()["usage"]

    assert (answer.status_code, answer.json()["detail"]["option"]) == (403, "disabled_commands")
    assert told is False


def test_what_was_counted_survives_the_server_that_counted_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(usage, "EVERY", 3600.0)
    address = own_database()
    with serving(operations_database=address) as (client, _):
        client.get("/api?api=version")
        assert client.get(PATH).json() == {"callers": [], "total_entries": 0}
    with serving(operations_database=address) as (client, _):
        [caller] = client.get(PATH).json()["callers"]

    assert (caller["endpoint"], caller["calls"]) == ("version", 1)
