"""Every recorded exchange, sent to a real Airflow: the same answer, but for the known differences."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.legacy.differences import DIFFERENCES, difference
from tests.legacy.client import Client
from tests.legacy.recording import body_of, exchanges, keys_of, query_of

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1800)]

OURS = {"exit_code": "integer", "operation_id": "string"}
"""The keys that are new; `warning` may be there in every answer."""

# What the recording found there; these requests were left out of it.
VARIABLES = {
    "k_json": '{"a": [1, 2, {"b": null}]}',
    "k_list": "[1, 2]",
    "k_ml": "line1\n[line2]\nline3",
    "k_ünï": "ü",
}

NO_BODY = {"HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def answers(client: Client, exchange_folder: Path) -> dict[str, tuple[int, Any]]:
    """Send all requests in the order of the recording: later ones rest on what earlier ones did."""
    for key, value in VARIABLES.items():
        body = json.dumps({"api": "variables", "cmd": "set", "key": key, "value": value}).encode()
        assert client.send("POST", "", body, "application/json")[0] == 200
    places = {
        "{AIRFLOW_HOME}/dags/golden_basic.py": "DAGS_FOLDER/golden.py",
        "{AIRFLOW_HOME}/dags/golden_fail.py": "DAGS_FOLDER/golden.py",
        "{LAB}": str(exchange_folder),
    }
    result = {}
    for exchange in exchanges(r"norbac\."):
        if exchange["id"] == "norbac.ok.trailing_slash.get":
            continue
        placed = dict(places)
        if exchange["id"] == "norbac.list_tasks.subdir_wrong.get":
            placed["{AIRFLOW_HOME}/dags/golden_fail.py"] = "DAGS_FOLDER/other.py"
        headers = dict(exchange.get("headers") or {})
        send = partial(
            client.send, exchange["method"], query_of(exchange, placed), *body_of(exchange), **headers
        )
        # 1.x waited for a backfill; today there is one at a time.
        creates = exchange["id"] in ("norbac.backfill.real.get", "norbac.backfill.local.get")
        result[exchange["id"]] = client.backfill("golden_param", send) if creates else send()
        if ".trigger_dag.run_id" in exchange["id"]:
            _wait_for_run(client, dict(exchange["query"]))
    return result


def _wait_for_run(client: Client, query: dict[str, str]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if client.state(query["dag_id"], query["run_id"]) in ("success", "failed"):
            return
        time.sleep(0.3)
    raise AssertionError(f"{query['dag_id']} did not end")


REPLAYED = [item for item in exchanges(r"norbac\.") if item["id"] != "norbac.ok.trailing_slash.get"]


@pytest.mark.parametrize("exchange", REPLAYED, ids=[exchange["id"] for exchange in REPLAYED])
def test_a_recorded_request_gets_the_recorded_answer(
    exchange: dict[str, Any], answers: dict[str, tuple[int, Any]]
) -> None:
    status, answer = answers[exchange["id"]]
    known = difference(exchange["id"])
    assert status == (known.now if known else exchange["status"]), answer
    if exchange["method"] in NO_BODY and status == 200:
        assert answer is None
        return
    assert isinstance(answer, dict)
    assert answer["http_response_code"] == status
    assert answer["status"] == ("OK" if status < 400 else "ERROR")
    if known and known.says is not None:
        assert answer["output"].startswith(known.says)
    if "keys" not in exchange:
        return
    ours = {
        key: kind
        for key, kind in keys_of(answer).items()
        if key != "warning" and (OURS.get(key) != kind or key in exchange["keys"])
    }
    recorded = {key: kind for key, kind in exchange["keys"].items() if key != "warning"}
    if known and known.keys:
        recorded = {key: kind for key, kind in recorded.items() if key not in known.keys} | {
            "output": "string"
        }
    assert ours == recorded
    assert set(answer.get("arguments") or {}) == set(exchange.get("arguments") or {})
    assert set(answer.get("post_arguments") or {}) == set(exchange.get("post_arguments") or {})
    if known is None and status == 400:
        assert answer["output"].rpartition(" on host")[0] == exchange["output"].rpartition(" on host")[
            0
        ].replace("{AIRFLOW_HOME}/dags/", "")


def test_every_known_difference_is_one(answers: dict[str, tuple[int, Any]]) -> None:
    for known in DIFFERENCES:
        covered = [exchange for exchange in REPLAYED if known.covers(exchange["id"])]
        assert covered, known.exchanges
        for exchange in covered:
            _, answer = answers[exchange["id"]]
            same = known.now == exchange["status"] and answer and "keys" in exchange
            assert not same, f"{exchange['id']} is no longer different"


def test_the_output_of_old_is_in_the_output_of_today(answers: dict[str, tuple[int, Any]]) -> None:
    def stdout(name: str) -> str:
        return str(answers[f"norbac.{name}.get"][1]["output"]["stdout"])

    assert stdout("variables.get") == "v get 2\n"
    assert stdout("variables.get_multiline") == "line1\n[line2]\nline3\n"
    assert stdout("variables.get_list_value_eaten_by_filter") == "[1, 2]\n"
    assert stdout("variables.get_missing_default") == "the default\n"
    assert stdout("list_tasks.plain") == "py_task\nsay_bye\nsay_hello\n"
    assert stdout("list_tasks.tree") == (
        "<Task(BashOperator): say_hello>\n"
        "    <Task(PythonOperator): py_task>\n"
        "        <Task(BashOperator): say_bye>\n"
    )
    assert stdout("dag_state.failed").startswith("failed")
    assert stdout("task_state.upstream_failed") == "upstream_failed\n"
    assert "echo hello 2026-11-10 world run=g_run_1" in stdout("render.ok")
    assert "hello 2026-11-10 world" in stdout("test.bash")
    assert "hello 2026-11-10 tester" in stdout("test.task_params")
    assert "echo hello 2026-11-10 world" in stdout("test.dry_run")
