"""Who still calls the endpoints, as an administrator of a real Airflow is told."""

from __future__ import annotations

import time
from typing import Any

import pytest

from demo.client import request
from tests.legacy.client import Client

pytestmark = pytest.mark.airflow

PATIENCE = 60


def callers(client: Client, endpoint: str) -> dict[str, dict[str, Any]]:
    """Return who has called an endpoint, by user."""
    url = f"{client.stack.url}/admin/rest_api/v2/legacy-usage?endpoint={endpoint}"
    found = request("GET", url, token=client.stack.token("admin"))
    return {one["user"]: one for one in found["callers"]}


def test_each_call_is_counted_with_its_caller_and_what_was_ignored_of_it(client: Client):
    before = callers(client, "dag_state").get("admin", {"calls": 0})["calls"]
    arguments = {"api": "dag_state", "dag_id": "golden_basic", "execution_date": "2000-01-01"}
    for method in ("GET", "POST"):
        client.pose(method, **arguments, exec_date="2000-01-01")
    status, answer = client.pose(api="dag_state")
    assert status == 400, answer

    deadline = time.monotonic() + PATIENCE
    while (found := callers(client, "dag_state").get("admin", {"calls": 0}))["calls"] < before + 3:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert found["calls"] == before + 3
    assert found["address"] == "127.0.0.1"
    [ignored] = [one for one in found["ignored"] if one["argument"] == "exec_date"]
    assert (ignored["calls"], ignored["known"]) == (2, False)


def test_an_operation_tells_the_endpoint_it_came_by(client: Client):
    made = client.ask(api="list_tasks", dag_id="golden_basic")["operation_id"]
    url = f"{client.stack.url}/admin/rest_api/v2/operations"
    listed = request("GET", f"{url}?endpoint=list_tasks&limit=1", token=client.stack.token("admin"))

    assert [(one["id"], one["endpoint"]) for one in listed["operations"]] == [(made, "list_tasks")]
