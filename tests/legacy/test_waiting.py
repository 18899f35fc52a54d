"""A deployment, and at once a request for one of its DAGs: no client of 1.x had to wait between the two."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.legacy.client import Client
from tests.legacy.test_effects import DAG_FILE, deploy

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

BROKEN = "import no_such_module\n"
# Fine for who looks into it before it is stored, and not where it is stored, whoever parses it there.
BROKEN_THERE = """
from pathlib import Path
if str(Path(__file__).parent) == {folder!r}:
    import no_such_module
"""
ERROR = "ModuleNotFoundError: No module named 'no_such_module'"


@pytest.mark.parametrize("number", range(5))
def test_a_dag_can_be_triggered_at_once(client: Client, number: int) -> None:
    name = f"w_trigger_{number}"
    assert deploy(client, f"{name}.py", DAG_FILE.format(name))[0] == 200
    client.ask("POST", api="trigger_dag", dag_id=f"{name}_a", run_id="first")
    client.ask(api="trigger_dag", dag_id=f"{name}_b", run_id="first")
    for dag_id in (f"{name}_a", f"{name}_b"):
        assert client.stack.get(f"dags/{dag_id}/dagRuns/first")["dag_id"] == dag_id


@pytest.mark.parametrize(("api", "paused"), [("unpause", False), ("pause", True)])
def test_a_dag_can_be_paused_and_resumed_at_once(client: Client, api: str, paused: bool) -> None:
    name = f"w_{api}"
    assert deploy(client, f"{name}.py", DAG_FILE.format(name))[0] == 200
    client.ask(api=api, dag_id=f"{name}_a")
    assert client.stack.get(f"dags/{name}_a")["is_paused"] is paused


@pytest.mark.parametrize("api", ["list_tasks", "refresh_dag"])
def test_a_dag_can_be_looked_at_at_once(client: Client, api: str) -> None:
    name = f"w_{api}"
    assert deploy(client, f"{name}.py", DAG_FILE.format(name))[0] == 200
    assert "does not exist" not in str(client.ask(api=api, dag_id=f"{name}_a"))


@pytest.mark.parametrize("api", ["trigger_dag", "unpause", "list_tasks", "refresh_dag"])
def test_a_dag_that_nobody_deployed_does_not_exist_at_once(client: Client, api: str) -> None:
    begin = time.monotonic()
    status, answer = client.pose(api=api, dag_id="w_never")
    assert (status, answer["output"]) == (400, "The DAG ID 'w_never' does not exist")
    assert time.monotonic() - begin < 10


def ask_of_a_task(client: Client, api: str, dag_id: str) -> tuple[int, Any]:
    arguments = {"task_id": "t", "execution_date": "2026-11-10"} if api != "list_tasks" else {}
    return client.pose(api=api, dag_id=dag_id, **arguments)


@pytest.fixture(scope="module")
def broken(client: Client) -> str:
    """A DAG that Airflow knows and whose file cannot be imported any more."""
    content = DAG_FILE.format("w_broken")
    assert deploy(client, "w_broken.py", content)[0] == 200
    client.ask(api="unpause", dag_id="w_broken_a")
    status, answer = deploy(client, "w_broken.py", content + BROKEN, force="on", force_invalid="on")
    assert (status, answer["dag_ids"]) == (200, [])
    assert f"w_broken.py, line 8: {ERROR}" in answer["warning"]
    return "w_broken_a"


@pytest.mark.parametrize("api", ["list_tasks", "render", "test", "run"])
def test_a_command_that_needs_a_broken_file_names_its_error(client: Client, broken: str, api: str) -> None:
    status, answer = ask_of_a_task(client, api, broken)
    words = f"The DAG '{broken}': its file cannot be imported: w_broken.py, line 8: {ERROR}"
    assert status == 500
    assert answer["output"]["stderr"].endswith(f"{words}\n")
    assert words in answer["warning"]


def test_a_command_that_needs_no_file_does_its_job(client: Client, broken: str) -> None:
    assert "file" not in (client.ask(api="pause", dag_id=broken).get("warning") or "")
    client.ask(api="trigger_dag", dag_id=broken, run_id="of_before")


def test_a_dag_whose_file_the_dag_processor_cannot_import_does_not_exist_and_why_is_said(
    client: Client,
) -> None:
    content = BROKEN_THERE.format(folder=str(client.stack.dags)) + DAG_FILE.format("w_there")
    status, answer = deploy(client, "w_there.py", content)
    assert (status, answer["dag_ids"]) == (200, ["w_there_a", "w_there_b"])
    for api in ("trigger_dag", "unpause", "list_tasks"):
        status, answer = client.pose(api=api, dag_id="w_there_a")
        assert (status, answer["output"]) == (
            400,
            "The DAG ID 'w_there_a' does not exist: its file cannot be imported: "
            f"w_there.py, line 4: {ERROR}",
        )
