"""Every command of the installed Airflow, run once over the API in a real Airflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.server.conftest import Client

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

VALUES: Mapping[str, Any] = {
    "dag_id": "example_template",
    "task_id": "greet",
    "logical_date_or_run_id": "2024-01-01",
    "logical_date": "2024-01-01",
    "run_id": "once",
    "key": "all_commands",
    "value": "1",
    "conn_id": "all_commands",
    "conn_uri": "http://host",
    "pool": "all_commands",
    "slots": 1,
    "description": "once",
    "section": "core",
    "option": "executor",
    "name": "all_commands",
    "from_date": "2024-01-01",
    "to_date": "2024-01-01",
    "dry_run": True,
    "clean_before_timestamp": "2000-01-01",
    "migration_wait_timeout": 1,
    "provider_name": "apache-airflow-providers-standard",
}
"""What is given for an argument of this name, where a command asks for it or cannot do without it."""

MORE: Mapping[str, Mapping[str, Any]] = {
    "backfill create": {"dry_run": True, "from_date": "2024-01-01", "to_date": "2024-01-02"},
    "connections add": {"conn_uri": "http://host"},
    "dags trigger": {"run_id": "once", "logical_date": "2024-01-01"},
    "assets details": {"name": "none"},
    "assets materialize": {"name": "none"},
    "dags clear": {"run_id": "once"},
    "partitions clear": {"run_id": "once"},
}

FIRST, LAST = ("set", "add", "create", "trigger"), ("delete",)

FAILS: Mapping[str, str] = {
    "assets details": "there is none",
    "assets materialize": "there is none",
    "backfill create": "the DAG has no schedule",
    "celery list-workers": "there is no broker",
    "connections import": "its file is none that Airflow's parser requires",
    "connections test": "it is switched off in Airflow's configuration",
    "dags show": "graphviz is not installed",
    "dags show-dependencies": "graphviz is not installed",
    "jobs check": "on a busy machine the last heartbeat of a job is more than ten seconds ago",
    "pools import": "its file is none that Airflow's parser requires",
    "providers lazy-loaded": "it ends so where a provider was loaded already",
    "roles export": "the simple auth manager has no roles",
    "roles list": "the simple auth manager has no roles",
    "users export": "the simple auth manager has no users",
    "users list": "the simple auth manager has no users",
    "variables import": "its file is none that Airflow's parser requires",
}
"""The commands that may fail with these arguments, and why."""

OF_OUR_MAKING = re.compile(r"airflow_rest_api\S* has no|cannot import name|No module named|is not known here")


def turn(name: str) -> int:
    """Return when a command's turn is: what is made first can be looked at, and is deleted in the end."""
    word = name.rsplit(maxsplit=1)[-1]
    return -1 if word in FIRST else 1 if word in LAST else 0


def arguments(command: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments that a command cannot do without; None where one of them is a file."""
    schema = command["arguments"]
    given: dict[str, Any] = {}
    for name in schema.get("required", ()):
        described = schema["properties"][name]
        if "contentMediaType" in described or described.get("x-file"):
            return None
        one = described.get("items", described)
        value: Any = VALUES.get(name, one["enum"][0] if one.get("enum") else "a")
        given[name] = [value] if described.get("type") == "array" else value
    return given | dict(MORE.get(command["name"], {}))


def test_every_command_runs_and_those_that_fail_are_known(admin: Client) -> None:
    listed = admin.get("/commands").json()["commands"]
    ended: dict[str, str] = {}
    for one in sorted(listed, key=lambda one: (turn(one["name"]), one["name"])):
        name = one["name"]
        if one["effect"] == "service" or not one["allowed"]:
            continue
        command = admin.get(f"/commands/{name.replace(' ', '/')}").json()
        if (given := arguments(command)) is None:
            continue
        answer = admin.command(name.replace(" ", "/"), **given)
        said = answer.json()
        if answer.status_code != 200 or said["state"] != "succeeded":
            ended[name] = said["message"] if answer.status_code == 200 else said["detail"]["message"]
            assert not OF_OUR_MAKING.search(answer.text), answer.text
    assert {name: text for name, text in ended.items() if name not in FAILS} == {}
    assert len(ended) < len(listed) / 4
