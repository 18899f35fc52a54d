"""`run` of one task instance: what keeps it from starting, and how it ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.legacy.client import Client
from tests.legacy.components import eventually
from tests.legacy.test_effects import deploy

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG, task
from airflow.providers.standard.operators.bash import BashOperator
with DAG("ru_broken", start_date=datetime(2018, 1, 1), schedule=None):
    second = BashOperator(task_id="second", bash_command="true")
    BashOperator(task_id="first", bash_command="exit 3") >> second
with DAG("ru_mapped", start_date=datetime(2018, 1, 1), schedule=None):
    BashOperator.partial(task_id="mapped").expand(bash_command=task(lambda: ["true"], task_id="lines")())
with DAG("ru_slow", start_date=datetime(2018, 1, 1), schedule=None):
    BashOperator(task_id="slow", bash_command="sleep 300")
"""


@pytest.fixture(scope="module")
def dags(client: Client) -> Client:
    """The package's Airflow, with the DAGs of these tests, which are paused but for the first."""
    assert deploy(client, "run.py", DAG_FILE)[0] == 200
    client.ask(api="unpause", dag_id="ru_broken")
    return client


@pytest.fixture(scope="module")
def broken(dags: Client) -> dict[str, str]:
    """A run that has failed at its first task: the second was not begun."""
    run_id = trigger(dags, "ru_broken")
    assert eventually(lambda: dags.state("ru_broken", run_id) == "failed")
    return {"dag_id": "ru_broken", "task_id": "second", "execution_date": run_id}


def trigger(client: Client, dag_id: str) -> str:
    run_id = f"run_{time.time_ns()}"
    client.ask(api="trigger_dag", dag_id=dag_id, run_id=run_id)
    return run_id


def state(client: Client, dag_id: str, run_id: str, task_id: str) -> Any:
    return client.stack.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")["state"]


@pytest.mark.parametrize("flag", ["ignore_dependencies", "ignore_all_dependencies"])
def test_what_the_scheduler_would_take_back_is_not_handed_to_it(
    dags: Client, broken: dict[str, str], flag: str
) -> None:
    answer = dags.ask(api="run", force="on", **{flag: "on"}, **broken)

    done = answer["result"]
    assert (done["state_before"], done["state_after"]) == ("upstream_failed", "upstream_failed")
    [reason] = done["unmet"]
    assert reason.startswith(
        "Trigger Rule: by its upstream tasks the scheduler would make it upstream_failed"
    )
    assert "was not started" in answer["warning"]
    assert dags.state("ru_broken", broken["execution_date"]) == "failed"


def test_it_is_run_here_once_its_run_has_ended(dags: Client, broken: dict[str, str]) -> None:
    answer = dags.ask(api="run", force="on", ignore_dependencies="on", local="on", **broken)

    assert answer["result"]["state_after"] == "success"


def test_a_mapped_task_is_not_run_before_it_is_expanded(dags: Client) -> None:
    run_id = trigger(dags, "ru_mapped")
    status, answer = dags.send(
        "GET", f"api=run&dag_id=ru_mapped&task_id=mapped&execution_date={run_id}&local=on&force=on"
    )

    assert (status, answer["status"]) == (500, "ERROR")
    assert "mapped is mapped, and the run" in answer["output"]["stderr"]
    found = dags.stack.get(f"dags/ru_mapped/dagRuns/{run_id}/taskInstances")["task_instances"]
    assert {(one["map_index"], one["state"]) for one in found} == {(-1, None)}


def test_a_task_that_is_cleared_while_it_runs_here_is_to_be_tried_again(dags: Client) -> None:
    run_id = trigger(dags, "ru_slow")
    of_task = {"dag_id": "ru_slow", "task_id": "slow", "execution_date": run_id}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(dags.ask, api="run", local="on", force="on", **of_task)
        assert eventually(lambda: state(dags, "ru_slow", run_id, "slow") == "running")
        dags.ask(api="clear", dag_id="ru_slow", task_regex="slow")
        answer = running.result(240)

    assert answer["result"]["state_after"] == "up_for_retry"
    assert state(dags, "ru_slow", run_id, "slow") == "up_for_retry"
