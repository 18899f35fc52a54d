"""Where today's command says something wrong, or nothing: by the 1.x endpoints, and by v2."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote

import pytest

from airflow_rest_api.operations.result import without_log_lines
from tests.legacy.client import Client
from tests.legacy.components import eventually
from tests.legacy.test_effects import deploy

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

CHAIN = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
for name in ("sr_chain", "sr_chain_2"):
    with DAG(name, start_date=datetime(2018, 1, 1), schedule=None):
        a, b, c = (EmptyOperator(task_id=task) for task in ("extract_a", "extract_b", "load"))
        [a, b] >> c
with DAG("sr_daily", start_date=datetime(2018, 1, 1), schedule="@daily", catchup=False):
    EmptyOperator(task_id="t")
"""
NOISE = ("by print", "by a program", "by descriptor")
NOISY = """
import os, subprocess
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
print("by print")
os.write(1, b"by descriptor\\n")
subprocess.run(["sh", "-c", "echo by a program"], check=True)
with DAG("sr_noisy", start_date=datetime(2018, 1, 1), schedule=None):
    BashOperator(task_id="t", bash_command="echo {{ ds }}")
"""


@pytest.fixture(scope="module")
def right(client: Client) -> Client:
    """The package's Airflow, with the DAGs of these tests."""
    assert deploy(client, "set_right.py", CHAIN, unpause="on")[0] == 200
    assert deploy(client, "noisy.py", NOISY, unpause="on")[0] == 200
    return client


@pytest.mark.parametrize(("api", "paused"), [("pause", True), ("unpause", False)])
def test_pausing_says_the_state_after_also_the_second_time(right: Client, api: str, paused: bool) -> None:
    for _ in range(2):
        answer = right.ask(api=api, dag_id="sr_chain_2")
        assert answer["output"]["stdout"] == f"Dag: sr_chain_2, paused: {paused}\n"
        assert right.stack.get("dags/sr_chain_2")["is_paused"] is paused


@pytest.mark.parametrize(("command", "paused"), [("pause", True), ("unpause", False)])
def test_so_does_the_result_of_the_command(right: Client, command: str, paused: bool) -> None:
    before = "unpause" if paused else "pause"
    assert right.v2(f"commands/dags/{before}", {"dag_id": "sr_chain_2"})["state"] == "succeeded"
    done = right.v2(f"commands/dags/{command}", {"dag_id": "sr_chain_2"})
    assert [(row["dag_id"], row["is_paused"]) for row in done["result"]] == [("sr_chain_2", str(paused))]
    assert right.stack.get("dags/sr_chain_2")["is_paused"] is paused


@pytest.fixture
def done_run(right: Client) -> str:
    """The id of a run that has ended, of a DAG that is paused: what is cleared stays so."""
    right.ask(api="unpause", dag_id="sr_chain")
    run_id = f"run_{time.time_ns()}"
    right.ask(api="trigger_dag", dag_id="sr_chain", run_id=run_id)
    assert eventually(lambda: right.state("sr_chain", run_id) == "success")
    right.ask(api="pause", dag_id="sr_chain")
    return run_id


def day_of(client: Client, run_id: str) -> dict[str, str]:
    """Return the dates between which the run lies, and no other."""
    date = client.stack.get(f"dags/sr_chain/dagRuns/{run_id}")["logical_date"]
    return {"start_date": date, "end_date": date}


def cleared(client: Client, run_id: str) -> set[str]:
    """Return the tasks of a run that have no state any more."""
    found = client.stack.get(f"dags/sr_chain/dagRuns/{run_id}/taskInstances")["task_instances"]
    return {one["task_id"] for one in found if one["state"] is None}


EXPRESSIONS = [
    ("^extract_.$", {"extract_a", "extract_b"}),
    ("_a|d$", {"extract_a", "load"}),
    ("nothing", set()),
]


@pytest.mark.parametrize(("expression", "tasks"), EXPRESSIONS)
def test_an_expression_clears_the_tasks_in_whose_id_it_is_found(
    right: Client, done_run: str, expression: str, tasks: set[str]
) -> None:
    answer = right.ask(api="clear", dag_id="sr_chain", task_regex=expression, **day_of(right, done_run))
    assert cleared(right, done_run) == tasks
    told = re.findall(r"<TaskInstance: sr_chain\.(\w+) \S+ \[success\]>\n", answer["output"]["stdout"])
    assert set(told) == tasks
    assert tasks or answer["output"]["stdout"] == "Nothing to clear.\n"


@pytest.mark.parametrize(("expression", "tasks"), EXPRESSIONS)
def test_so_does_the_command(right: Client, done_run: str, expression: str, tasks: set[str]) -> None:
    arguments = {"dag_id": "sr_chain", "task_regex": expression, "yes": True, **day_of(right, done_run)}
    done = right.v2("commands/tasks/clear", arguments)
    assert done["state"] == "succeeded"
    assert cleared(right, done_run) == tasks
    assert ("Nothing to clear." in done["stderr"]) is (not tasks)


@pytest.mark.parametrize("expression", ["(", "[a-", "a{2,1}", "*"])
def test_what_is_no_expression_is_refused_and_nothing_cleared(right: Client, expression: str) -> None:
    status, answer = right.pose(api="clear", dag_id="sr_chain", task_regex=expression)
    assert (status, answer["status"]) == (400, "ERROR")
    assert "task_regex" in answer["output"]
    refused = right.v2("commands/tasks/clear", {"dag_id": "sr_chain", "task_regex": expression, "yes": True})
    detail = refused["detail"]
    assert (detail["reason"], detail["argument"]) == ("bad_argument", "task_regex")


def test_that_nothing_is_to_clear_is_said(right: Client) -> None:
    dates = {"start_date": "2019-01-01", "end_date": "2019-01-02"}
    answer = right.ask(api="clear", dag_id="sr_chain", **dates)
    assert answer["output"] == {"stdout": "Nothing to clear.\n", "stderr": "", "stdin": ""}
    done = right.v2("commands/tasks/clear", {"dag_id": "sr_chain", "yes": True, **dates})
    assert (done["state"], "Nothing to clear." in done["stderr"]) == ("succeeded", True)


def test_of_many_task_instances_that_were_cleared_some_are_listed(right: Client) -> None:
    many = "sr_many"
    content = CHAIN.replace("sr_chain", many).replace("sr_daily", f"{many}_daily")
    content = content.replace('("extract_a", "extract_b", "load"))', 'map("t{}".format, range(3)))')
    content += "    for number in range(1200):\n        EmptyOperator(task_id=f'more_{number}')\n"
    assert deploy(right, "many.py", content, pause="on")[0] == 200
    right.ask(api="trigger_dag", dag_id=f"{many}_daily", run_id="r", exec_date="2018-06-07")
    # That day alone: before it was paused, the scheduler may have made a run of its own.
    answer = right.ask(api="clear", dag_id=f"{many}_daily", start_date="2018-06-07", end_date="2018-06-07")
    assert answer["output"]["stdout"].count("<TaskInstance: ") == 1000
    assert "Of 1201 task instances that were cleared, 1000 are listed" in answer["warning"]


def test_a_run_with_a_long_configuration_is_told_like_any_other(right: Client) -> None:
    conf = json.dumps({"of": [{"mine": "x" * 100} for _ in range(12_000)]})
    assert len(conf) > 1_048_576
    answer = right.ask("POST", api="trigger_dag", dag_id="sr_chain_2", run_id="long", conf=conf)
    assert answer["output"]["stdout"].startswith("Created <DagRun sr_chain_2 @ ")
    assert answer["dag_run_id"] == "long"
    assert len(right.stack.get("dags/sr_chain_2/dagRuns/long")["conf"]["of"]) == 12_000


def test_connections_and_variables_are_exported_to_the_answer(right: Client) -> None:
    right.ask("POST", api="connections", add="on", conn_id="sr_out", conn_uri="http://h:80")
    right.ask("POST", api="variables", cmd="set", key="sr_out", value="[1, 2]")

    def exported(path: str, body: dict[str, Any]) -> Any:
        done = right.v2(path, body)
        assert done["state"] == "succeeded", done
        # Airflow warns in its log of what other tests have stored.
        return json.loads(without_log_lines(done["stdout"]))["sr_out"]

    assert exported("run", {"argv": ["connections", "export", "-"]})["host"] == "h"
    assert exported("run", {"argv": ["variables", "export", "-"]}) == [1, 2]
    assert exported("commands/variables/export", {"file": "-"}) == [1, 2]
    answer = right.ask(api="variables", export="-")
    assert json.loads(answer["output"]["stdout"])["sr_out"] == [1, 2]


@pytest.mark.parametrize("task", ["list", "render"])
def test_what_a_dag_file_prints_is_not_what_a_command_says_of_its_tasks(right: Client, task: str) -> None:
    arguments = {"dag_id": "sr_noisy"}
    if task == "render":
        arguments |= {"task_id": "t", "logical_date_or_run_id": "2018-06-07"}
    done = right.v2(f"commands/tasks/{task}", arguments)
    assert done["state"] == "succeeded"
    if task == "list":
        assert (done["stdout"], done["result"]) == ("t\n", ["t"])
    for words in NOISE:
        assert words not in done["stdout"]
        # The file was read by this command: it did print.
        assert words in done["stderr"]


def test_nor_is_it_what_the_1_x_endpoints_answer(right: Client) -> None:
    assert right.ask(api="list_tasks", dag_id="sr_noisy")["output"]["stdout"] == "t\n"
    assert right.ask(api="list_tasks", dag_id="golden_fail")["output"]["stdout"] == "after\nboom\nok\n"
    file = {"subdir": "DAGS_FOLDER/noisy.py"}
    task = {"dag_id": "sr_noisy", "task_id": "t", "execution_date": "2018-06-07"}
    for arguments in (
        {"api": "list_tasks", "dag_id": "sr_noisy", **file},
        {"api": "list_tasks", "dag_id": "sr_noisy", "tree": "on", **file},
        {"api": "render", **task},
        {"api": "render", **task, **file},
        {"api": "test", **task, "dry_run": "on"},
        {"api": "list_dags"},
        {"api": "list_dags", "report": "on"},
        {"api": "list_dags", "report": "on", **file},
    ):
        said = right.ask(**arguments)["output"]["stdout"]
        assert not [words for words in NOISE if words in said], arguments


def test_nor_is_it_in_a_report_of_the_command(right: Client) -> None:
    done = right.v2("commands/dags/report", {})
    assert done["state"] == "succeeded"
    assert "sr_noisy" in str(done["result"])
    assert not [words for words in NOISE if words in done["stdout"]]


def test_connections_are_listed_with_host_and_port_and_without_what_is_secret(right: Client) -> None:
    right.ask(
        "POST", api="connections", add="on", conn_id="sr_mail", conn_uri="smtp://u:hush@mail.example:2525"
    )
    right.ask(
        "POST",
        api="connections",
        add="on",
        conn_id="sr_extra",
        conn_type="generic",
        conn_extra='{"k": "hush"}',
    )
    answer = right.ask(api="connections", list="on")
    lines = answer["output"]["stdout"].splitlines()
    assert [cell.strip() for cell in lines[1].strip("│").split("│")] == [
        "Conn Id",
        "Conn Type",
        "Host",
        "Port",
        "Is Encrypted",
        "Is Extra Encrypted",
        "Extra",
    ]
    rows = {line.split("│")[1].strip(): line for line in lines if "'sr_" in line}
    assert "'mail.example'" in rows["'sr_mail'"]
    assert "2525" in rows["'sr_mail'"]
    assert "'***'" in rows["'sr_extra'"]
    assert "hush" not in json.dumps(answer)


def test_a_type_that_became_another_is_a_warning(right: Client) -> None:
    answer = right.ask(api="connections", add="on", conn_id="sr_typed", conn_type="no_such", conn_host="h")
    stored = right.stack.get("connections/sr_typed")["conn_type"]
    assert stored == "generic"
    assert "no_such" in answer["warning"]
    assert "generic" in answer["warning"]
    assert answer["output"]["stderr"] == ""


def as_user(client: Client, user: str) -> Client:
    other = Client(client.stack)
    other.credentials = f"Bearer {client.stack.token(user)}"
    return other


def test_a_run_names_the_user_who_triggered_it(right: Client) -> None:
    made = as_user(right, "op").ask(api="trigger_dag", dag_id="sr_chain_2")["dag_run_id"]
    assert right.stack.get(f"dags/sr_chain_2/dagRuns/{quote(made)}")["triggering_user_name"] == "op"
    done = right.v2("commands/dags/trigger", {"dag_id": "sr_chain_2"}, "user")
    [row] = done["result"]
    assert row["triggering_user_name"] == "user"
    again = right.stack.get(f"dags/sr_chain_2/dagRuns/{quote(row['dag_run_id'])}")
    assert again["triggering_user_name"] == "user"


def test_so_do_the_runs_of_a_backfill(right: Client) -> None:
    user = as_user(right, "op")
    dates = {"start_date": "2018-06-07", "end_date": "2018-06-07"}
    right.done(
        right.backfill("sr_daily", lambda: user.pose("POST", api="backfill", dag_id="sr_daily", **dates))
    )
    [run] = right.stack.get("dags/sr_daily/dagRuns?run_type=backfill")["dag_runs"]
    assert run["triggering_user_name"] == "op"


def logged(client: Client, event: str, dag_id: str) -> list[dict[str, Any]]:
    """Return the rows of Airflow's event log about one event and DAG, the newest first."""
    path = f"eventLogs?event={event}&dag_id={dag_id}&order_by=-event_log_id&limit=10"
    found: list[dict[str, Any]] = client.stack.get(path)["event_logs"]
    return found


def test_what_airflow_itself_logs_of_a_command_has_the_user_for_its_owner(right: Client) -> None:
    as_user(right, "op").ask(api="pause", dag_id="sr_chain_2")
    right.v2("commands/dags/unpause", {"dag_id": "sr_chain_2"}, "user")
    for event, owner in (("cli_dag_pause", "op"), ("cli_dag_unpause", "user")):
        assert logged(right, event, "sr_chain_2")[0]["owner"] == owner
