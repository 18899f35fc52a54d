"""A run of `trigger_dag`, found again by its date: clients of the 1.x plugin keep that to the second."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.legacy.client import Client
from tests.legacy.components import eventually
from tests.legacy.test_effects import deploy

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
for name in ("dt_one", "dt_twins", "dt_fraction", "dt_named"):
    with DAG(name, start_date=datetime(2018, 1, 1), schedule=None):
        BashOperator(task_id="t", bash_command="echo the run is {{ run_id }}.")
        BashOperator(task_id="later", bash_command="true", start_date=datetime(2200, 1, 1))
"""


@dataclass(frozen=True)
class Run:
    """A run, and what its answer said of it."""

    dag_id: str
    run_id: str
    logical_date: str

    @property
    def second(self) -> str:
        """The date, cut to the second, in UTC and without a zone."""
        return self.logical_date[:19]


@pytest.fixture(scope="module")
def dags(client: Client) -> Client:
    """The package's Airflow, with the DAGs of these tests."""
    assert deploy(client, "dates.py", DAG_FILE, unpause="on")[0] == 200
    return client


def trigger(client: Client, dag_id: str, **arguments: str) -> Run:
    answer = client.ask("POST", api="trigger_dag", dag_id=dag_id, **arguments)
    return Run(dag_id, answer["dag_run_id"], answer["logical_date"])


def trigger_and_wait(client: Client, dag_id: str, **arguments: str) -> Run:
    run = trigger(client, dag_id, **arguments)
    assert eventually(lambda: client.state(dag_id, quote(run.run_id)) == "success")
    return run


@pytest.fixture(scope="module")
def run(dags: Client) -> Run:
    """A run that has ended, the only one of its DAG."""
    return trigger_and_wait(dags, "dt_one")


@pytest.fixture(params=["{}T{}", "{} {}", "{}T{}+00:00", "{} {}+00:00", "{}T{}Z"])
def date(request: pytest.FixtureRequest, run: Run) -> str:
    """The date of the run as clients write it."""
    return str(request.param).format(*run.second.split("T"))


def pose(client: Client, api: str, date: str, dag_id: str = "dt_one", **more: str) -> tuple[int, Any]:
    task = {} if api == "dag_state" else {"task_id": "t"}
    return client.pose(api=api, dag_id=dag_id, execution_date=date, **{**task, **more})


def stdout(client: Client, api: str, date: str, **more: str) -> str:
    return str(client.done(pose(client, api, date, **more))["output"]["stdout"])


def the_run(client: Client, dag_id: str, date: str) -> str:
    """Return the id of the run that a date is taken for, as the templates of its task have it."""
    found = re.search(r"the run is (.+)\.\n", stdout(client, "render", date, dag_id=dag_id))
    assert found
    return found[1]


def test_the_id_of_a_run_shows_its_date_which_has_no_fraction(dags: Client, run: Run) -> None:
    stored = dags.stack.get(f"dags/dt_one/dagRuns/{quote(run.run_id)}")
    assert run.run_id == f"manual__{run.logical_date}"
    assert datetime.fromisoformat(run.logical_date).microsecond == 0
    assert datetime.fromisoformat(stored["logical_date"].replace("Z", "+00:00")) == datetime.fromisoformat(
        run.logical_date
    )


@pytest.mark.parametrize("api", ["dag_state", "task_state"])
def test_a_state_is_found_by_the_second(dags: Client, date: str, api: str) -> None:
    assert stdout(dags, api, date) == "success\n"


def test_its_templates_are_rendered_by_the_second(dags: Client, run: Run, date: str) -> None:
    assert the_run(dags, "dt_one", date) == run.run_id


def test_its_task_is_tested_by_the_second(dags: Client, run: Run, date: str) -> None:
    assert f"the run is {run.run_id}." in stdout(dags, "test", date)


def test_its_dependencies_are_told_by_the_second(dags: Client, date: str) -> None:
    assert "Task is in the 'success' state" in stdout(dags, "task_failed_deps", date)


def test_its_task_is_run_by_the_second(dags: Client, run: Run, date: str) -> None:
    answer = dags.done(pose(dags, "run", date))
    # It has run already: what counts is that it was found.
    assert answer["result"]["run_id"] == run.run_id
    assert "'success' state" in answer["result"]["unmet"][0]


def test_its_task_is_cleared_by_the_second_and_runs_again(dags: Client, run: Run, date: str) -> None:
    path = f"dags/dt_one/dagRuns/{quote(run.run_id)}/taskInstances/t"
    before = dags.stack.get(path)["try_number"]
    answer = dags.ask(api="clear", dag_id="dt_one", start_date=date, end_date=date)
    assert answer["output"]["stdout"] == f"<TaskInstance: dt_one.t {run.logical_date} [success]>\n"

    def again() -> bool:
        instance = dags.stack.get(path)
        return bool(instance["try_number"] == before + 1 and instance["state"] == "success")

    assert eventually(again)
    assert eventually(lambda: dags.state("dt_one", quote(run.run_id)) == "success")


def test_a_second_without_a_run_is_none(dags: Client, run: Run) -> None:
    moment = datetime.fromisoformat(run.second)
    for second in (moment.replace(year=2019), moment.replace(year=2030)):
        assert stdout(dags, "dag_state", second.isoformat()) == "None\n"
        assert stdout(dags, "task_state", second.isoformat()) == "None\n"
    # A run has no instance of a task that starts later: 1.x looked for the instance alone.
    assert stdout(dags, "task_state", run.second, task_id="later") == "None\n"
    before = dags.ask(
        api="clear", dag_id="dt_one", start_date="2019-01-01T00:00:00", end_date="2019-01-01T00:00:00"
    )
    assert before["output"]["stdout"] == "Nothing to clear.\n"


@pytest.fixture(scope="module")
def twins(dags: Client) -> tuple[Run, Run]:
    """Two runs of one DAG in one second."""
    for number in range(10):
        # From the beginning of a second on, so that both lie in it.
        time.sleep(1 - time.time() % 1)
        with ThreadPoolExecutor(2) as pool:
            names = (f"twin_{number}_{name}" for name in "ab")
            made = [pool.submit(trigger, dags, "dt_twins", run_id=name) for name in names]
            first, second = sorted((one.result() for one in made), key=lambda run: run.logical_date)
        if first.second == second.second:
            return first, second
    raise AssertionError("No two runs lay in one second")


@pytest.mark.parametrize("api", ["dag_state", "task_state", "render", "test", "task_failed_deps", "run"])
def test_of_two_runs_in_a_second_both_are_named_and_none_is_taken(
    dags: Client, twins: tuple[Run, Run], api: str
) -> None:
    status, answer = pose(dags, api, twins[0].second, "dt_twins")
    assert (status, answer["status"]) == (400, "ERROR")
    assert answer["output"].startswith("Argument 'execution_date': several runs of DAG 'dt_twins' lie in the")
    for run in twins:
        assert f"'{run.run_id}'" in answer["output"]


def test_each_of_two_runs_in_a_second_is_found_by_its_id_and_by_its_whole_date(
    dags: Client, twins: tuple[Run, Run]
) -> None:
    first, second = twins
    assert the_run(dags, "dt_twins", first.run_id) == first.run_id
    assert the_run(dags, "dt_twins", second.run_id) == second.run_id
    assert "." not in first.logical_date
    assert the_run(dags, "dt_twins", second.logical_date) == second.run_id


def test_both_of_two_runs_in_a_second_are_cleared(dags: Client, twins: tuple[Run, Run]) -> None:
    for run in twins:
        assert eventually(lambda run=run: dags.state("dt_twins", run.run_id) == "success")  # type: ignore[misc]
    second = twins[0].second
    answer = dags.ask(api="clear", dag_id="dt_twins", start_date=second, end_date=second)
    assert answer["output"]["stdout"].count("<TaskInstance: dt_twins.t ") == 2


def test_a_date_with_a_fraction_is_exactly_that_run(dags: Client) -> None:
    date = "2018-06-07T13:21:49.000250"
    run = trigger_and_wait(dags, "dt_fraction", run_id="fraction", exec_date=date)
    assert run.logical_date == f"{date}+00:00"
    for each in (date, f"{date}+00:00", date.replace("T", " "), run.second):
        assert the_run(dags, "dt_fraction", each) == "fraction"
    for another in ("2018-06-07T13:21:49.000251", "2018-06-07T13:21:49.25"):
        assert stdout(dags, "dag_state", another, dag_id="dt_fraction") == "None\n"


def test_an_id_that_looks_like_a_date_is_an_id_first(dags: Client) -> None:
    name, date = "2018-06-07T13:21:49", "2018-06-08T00:00:00"
    trigger_and_wait(dags, "dt_named", run_id=name, exec_date=date)
    trigger_and_wait(dags, "dt_named", run_id="of_that_date", exec_date=name)
    assert the_run(dags, "dt_named", name) == name
    assert the_run(dags, "dt_named", f"{name}+00:00") == "of_that_date"
    assert the_run(dags, "dt_named", date) == name


@pytest.mark.parametrize("api", ["dag_state", "task_state", "render", "test", "task_failed_deps", "run"])
@pytest.mark.parametrize(
    "value",
    ["yesterday", "2018-13-01", "99999-01-01", "0000-01-01", "P1Y", "2018-01-01/2018-01-02", "\u65e5"],
)
def test_what_is_no_date_is_refused_by_the_name_of_its_argument(dags: Client, api: str, value: str) -> None:
    status, answer = pose(dags, api, value)
    assert (status, answer["status"]) == (400, "ERROR")
    assert answer["output"].startswith("Argument 'execution_date': ")
    assert value in answer["output"]


@pytest.mark.parametrize(
    ("api", "argument"),
    [
        ("trigger_dag", "exec_date"),
        ("trigger_dag", "execution_date"),
        ("clear", "start_date"),
        ("clear", "end_date"),
        ("backfill", "start_date"),
    ],
)
@pytest.mark.parametrize("value", ["yesterday", "99999-01-01", "0000-01-01", "P1Y", "2018-01-01/2018-01-02"])
def test_so_is_a_date_of_a_run_to_be_made_or_a_range(
    dags: Client, api: str, argument: str, value: str
) -> None:
    status, answer = dags.pose(api=api, dag_id="dt_one", **{argument: value})
    assert (status, answer["status"]) == (400, "ERROR")
    assert "date" in answer["output"]
    assert value in answer["output"]


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_the_first_and_the_last_date_are_dates_without_a_run(dags: Client, value: str) -> None:
    assert stdout(dags, "dag_state", value) == "None\n"
    cleared = dags.ask(api="clear", dag_id="dt_one", start_date=value, end_date=value)
    assert cleared["output"]["stdout"] == "Nothing to clear.\n"
