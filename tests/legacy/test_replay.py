"""Every recorded exchange, sent to a real Airflow: the same answer, but for the known differences."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.legacy.client import Client
from tests.legacy.conftest import DAGS
from tests.legacy.recording import Places, body_of, exchanges, keys_of, query_of
from tools.legacy_differences import DIFFERENCES, difference
from tools.legacy_printed import PRINTED_OTHERWISE, printed_otherwise

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1800)]

OURS = {
    "dag_ids",
    "dag_run_id",
    "dag_run_url",
    "exit_code",
    "logical_date",
    "operation_id",
    "result",
    "state",
}
"""The keys that are new; `warning` may be there in every answer."""


def _set(key: str, value: str) -> dict[str, str]:
    return {"api": "variables", "cmd": "set", "key": key, "value": value}


# What the recording found there: these requests were left out of it. Each before the exchange that needs it.
BEFORE: dict[str, tuple[dict[str, str], ...]] = {
    "norbac.variables.set.get": (_set("k_post", "v post"),),
    "norbac.variables.set_json_flag.get": (_set("k_json", '{"a": [1, 2, {"b": null}]}'),),
    "norbac.variables.set_no_value.get": (_set("k_ünï", "ü"), _set("k_empty", " ")),
    "norbac.variables.get_list_value_eaten_by_filter.get": (
        _set("k_list", "[1, 2]"),
        _set("k_ml", "line1\n[line2]\nline3"),
    ),
    "norbac.connections.list.get": (
        # Which 1.x could not be told to add.
        {"api": "connections", "delete": "on", "conn_id": "c_type"},
        {"api": "connections", "add": "on", "conn_id": "c_post", "conn_uri": "mysql://u:hush-hush@h:3306/b"},
    ),
    "norbac.pool.list_after.get": (
        # Which 1.x could not be told to set.
        {"api": "pool", "delete": "p_readme"},
        {
            "api": "pool",
            "cmd": "set",
            "pool_name": "p_post",
            "slot_count": "7",
            "pool_description": "descr post",
        },
    ),
}

NO_BODY = {"HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def answers(client: Client, exchange_folder: Path) -> dict[str, tuple[int, Any]]:
    """Send all requests in the order of the recording: later ones rest on what earlier ones did."""
    client.empty()
    client.keep([*(file.name for file in DAGS.glob("*.py")), "other.py"])
    places = {"{AIRFLOW_HOME}/dags": "DAGS_FOLDER", "{LAB}": str(exchange_folder)}
    result = {}
    for exchange in REPLAYED:
        for arguments in BEFORE.get(exchange["id"], ()):
            client.ask("POST", **arguments)
        headers = dict(exchange.get("headers") or {})
        send = partial(
            client.send, exchange["method"], query_of(exchange, places), *body_of(exchange), **headers
        )
        # 1.x waited for a backfill; today there is one at a time.
        creates = exchange["id"] in ("norbac.backfill.real.get", "norbac.backfill.local.get")
        result[exchange["id"]] = client.backfill("golden_param", send) if creates else send()
        # 1.x waited for its command, and so for a task that it ran.
        if ".trigger_dag.run_id_only" in exchange["id"]:
            _wait_for_run(client, "golden_fail", "g_fail_get")
        elif ".trigger_dag.run_id" in exchange["id"] or ".run." in exchange["id"]:
            _wait_for_run(client, "golden_basic", "g_run_1")
    return result


def _wait_for_run(client: Client, dag_id: str, run_id: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if client.state(dag_id, run_id) in ("success", "failed"):
            return
        time.sleep(0.3)
    raise AssertionError(f"{dag_id} did not end")


REPLAYED = exchanges(r"norbac\.")
PRINTING = [exchange for exchange in REPLAYED if "stdout" in exchange]


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
        if key != "warning" and (key not in OURS or key in exchange["keys"])
    }
    recorded = {key: kind for key, kind in exchange["keys"].items() if key != "warning"}
    if known and known.keys:
        recorded = {key: kind for key, kind in recorded.items() if key not in known.keys} | {
            "output": "string"
        }
    assert ours == recorded
    assert set(answer.get("arguments") or {}) == set(exchange.get("arguments") or {})
    assert set(answer.get("post_arguments") or {}) == set(exchange.get("post_arguments") or {})
    if known is None and "warning" in exchange:
        assert exchange["warning"] in answer["warning"]
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


@pytest.mark.parametrize("exchange", PRINTING, ids=[exchange["id"] for exchange in PRINTING])
def test_a_recorded_request_gets_the_recorded_text(
    exchange: dict[str, Any], answers: dict[str, tuple[int, Any]], places: Places
) -> None:
    then, now = places.normal(exchange["stdout"]), places.normal(_stdout(answers[exchange["id"]]))
    known = printed_otherwise(exchange["id"])
    if known is None:
        assert now == then
    else:
        assert now != then, "it is no longer different"
        assert re.fullmatch(known.now, now, re.DOTALL), now


def test_every_difference_in_what_is_printed_is_one_of_a_recorded_exchange() -> None:
    for known in PRINTED_OTHERWISE:
        assert [exchange for exchange in PRINTING if known.covers(exchange["id"])], known.exchanges


def _stdout(answer: tuple[int, Any]) -> str:
    """Return what a client reads as the text of an answer; nothing where it was refused before a command."""
    output = answer[1]["output"]
    return str(output["stdout"]) if isinstance(output, dict) else ""
