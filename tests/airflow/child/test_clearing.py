"""`tasks clear` on a database of its own: what is set right is Airflow's own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.child import stored_dag

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG_FILE = """
from datetime import datetime, timezone
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("d", start_date=datetime(2026, 11, 1, tzinfo=timezone.utc), schedule=None):
    a, b, c = (EmptyOperator(task_id=name) for name in ("extract_a", "extract_b", "load"))
    [a, b] >> c
"""

SCRIPT = (
    stored_dag.SCRIPT
    + """
import json
from airflow_rest_api.airflow.child import clearing

def made():
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    store_dag()
    with create_session() as session:
        stored = SerializedDagModel.get_dag("d", session=session)
        run = stored.create_dagrun(
            run_id="r", logical_date=DAY, data_interval=(DAY, DAY), run_after=DAY, session=session,
            run_type=DagRunType.MANUAL, triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.SUCCESS,
        )
        for instance in run.get_task_instances(session=session):
            instance.state = "success" if instance.task_id != "extract_b" else "failed"
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    def states():
        with create_session() as session:
            return {one.task_id: one.state for one in session.scalars(select(TaskInstance))}

    return states

states = made()
if BROKEN:
    (Path(sys.argv[0]).parent / "dags" / "d.py").write_text("import is_nowhere")
clearing.as_asked()
clearing.quiet = QUIET
from airflow.cli.cli_parser import get_parser
arguments = get_parser().parse_args(["tasks", "clear", *sys.argv[1:]])
arguments.func(arguments)
print()
cleared = [{**vars(one), "logical_date": str(one.logical_date)} for one in clearing.cleared]
print(json.dumps([states(), cleared]))
"""
)


def clear(
    home: Path, *argv: str, quiet: bool = False, broken: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Return the states after `tasks clear`, what it says that it cleared, and its stderr."""
    (home / "dags").mkdir(exist_ok=True)
    (home / "dags" / "d.py").write_text(DAG_FILE)
    script = home / "script.py"
    script.write_text(SCRIPT.replace("QUIET", str(quiet)).replace("BROKEN", str(broken)))
    done = subprocess.run(
        [sys.executable, str(script), *argv],
        env={**os.environ, "AIRFLOW_HOME": str(home)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    states, cleared = json.loads(done.stdout.splitlines()[-1])
    return states, cleared, done.stderr


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("^extract_.$", {"extract_a", "extract_b"}),
        ("_b", {"extract_b"}),
        ("^load$|_a", {"extract_a", "load"}),
        ("LOAD", set()),
    ],
)
def test_an_expression_selects_the_tasks_in_whose_id_it_is_found(
    tmp_path: Path, expression: str, found: set[str]
) -> None:
    states, cleared, _ = clear(tmp_path, "d", "--task-regex", expression, "--yes")
    assert {task for task, state in states.items() if state is None} == found
    assert {one["task_id"] for one in cleared} == found


@pytest.mark.parametrize("more", [(), ("--task-regex", "^load$")])
def test_the_dags_of_an_expression_are_cleared(tmp_path: Path, more: tuple[str, ...]) -> None:
    argv = ("^[cd]$", "--dag-regex", "--bundle-name", "dags-folder", *more, "--yes")
    states, cleared, _ = clear(tmp_path, *argv)
    assert {task for task, state in states.items() if state is None} == ({"load"} if more else set(states))
    assert {one["dag_id"] for one in cleared} == {"d"}


def test_a_dag_is_cleared_as_it_is_stored_wherever_its_file_is(tmp_path: Path) -> None:
    states, cleared, _ = clear(tmp_path, "d", "--yes", broken=True)
    assert set(states.values()) == {None}
    assert {one["task_id"] for one in cleared} == set(states)


def test_an_expression_that_finds_no_dag_says_so(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"dag_id could not be found with regex: \^e"):
        clear(tmp_path, "^e", "--dag-regex", "--yes")


def test_what_is_cleared_is_told_with_the_state_that_it_had(tmp_path: Path) -> None:
    states, cleared, stderr = clear(tmp_path, "d", "--only-failed", "--yes")
    assert states == {"extract_a": "success", "extract_b": None, "load": "success"}
    assert cleared == [
        {
            "dag_id": "d",
            "task_id": "extract_b",
            "run_id": "r",
            "logical_date": "2026-11-10 00:00:00+00:00",
            "map_index": -1,
            "state": "failed",
        }
    ]
    assert "Nothing to clear." not in stderr


@pytest.mark.parametrize("quiet", [False, True])
def test_that_nothing_was_to_clear_is_said_where_nobody_else_says_it(tmp_path: Path, quiet: bool) -> None:
    argv = ("d", "--start-date", "2019-01-01", "--end-date", "2019-01-02", "--yes")
    states, cleared, stderr = clear(tmp_path, *argv, quiet=quiet)
    assert None not in states.values()
    assert cleared == []
    assert ("Nothing to clear.\n" in stderr) is not quiet


def test_an_expression_that_takes_too_long_is_given_up() -> None:
    code = (
        "from airflow_rest_api.airflow.child.clearing import matching; matching('^(a+)+$', ['a' * 60 + '-'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "The regular expression takes longer than 2 seconds\n"
