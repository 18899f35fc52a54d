"""`tasks render`, `test` and `failed-deps` on a database of their own: what is set right there is Airflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.airflow.child import stored_dag

RUN = "asset_triggered__r"
KEY = Fernet.generate_key().decode()

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG_FILE = """
from datetime import datetime, timezone
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, DAG

TEMPLATES = (
    "{{ run_id }}",
    "{{ var.value.colour }}",
    "{{ var.value.get('none', 'no other') }}",
    "{{ conn.place.host }}",
    "{{ ti.xcom_pull(task_ids='push') }}",
    "{{ ti.xcom_pull(task_ids='nothing') }}",
    "{{ triggering_asset_events.values() | map('length') | list }}",
)
with DAG("d", start_date=datetime(2026, 11, 1, tzinfo=timezone.utc), schedule=[Asset("a")]):
    for task in ("push", "nothing"):
        BashOperator(task_id=task, bash_command="echo")
    BashOperator(task_id="t", bash_command=f"echo 'the answers: {', '.join(TEMPLATES)}.'")
"""

SCRIPT = (
    stored_dag.SCRIPT
    + """
from contextlib import redirect_stdout

def make():
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.connection import Connection
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.variable import Variable
    from airflow.models.xcom import XComModel
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    store_dag(
        Variable(key="colour", val="green"), Connection(conn_id="place", conn_type="http", host="there")
    )
    with create_session() as session:
        stored = SerializedDagModel.get_dag("d", session=session)
        run = stored.create_dagrun(
            run_id=RUN, run_after=DAY, session=session, run_type=DagRunType.ASSET_TRIGGERED,
            triggered_by=DagRunTriggeredByType.ASSET, state=DagRunState.QUEUED,
            logical_date=None, data_interval=None,
        )
        asset = session.scalar(select(AssetModel))
        run.consumed_asset_events.append(AssetEvent(asset_id=asset.id, timestamp=DAY))
        session.flush()
        # What is a text is stored otherwise by this method than by a task.
        XComModel.set("return_value", 7, task_id="push", dag_id="d", run_id=run.run_id, session=session)

with redirect_stdout(sys.stderr):
    make()
from airflow_rest_api.airflow.child import setup
setup.prepare(setup.order("somebody", [" ".join(sys.argv[1:3])]))
setup.run_airflow(sys.argv[1:])
"""
)


def told(home: Path, command: str, run: str = RUN, **env: str) -> str:
    """Return what a command prints of the task of a run."""
    (home / "dags").mkdir()
    (home / "dags" / "d.py").write_text(DAG_FILE)
    script = home / "script.py"
    script.write_text(SCRIPT.replace("RUN", repr(RUN)))
    done = subprocess.run(
        [sys.executable, str(script), "tasks", command, "d", "t", run],
        env={**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__FERNET_KEY": KEY, **env},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", ["render", "test"])
def test_templates_get_their_answers_also_of_a_run_that_waits_in_the_queue(
    tmp_path: Path, command: str
) -> None:
    printed = told(tmp_path, command)
    assert f"the answers: {RUN}, green, no other, there, 7, None, [1]." in printed


def test_and_where_there_is_no_run(tmp_path: Path) -> None:
    assert "the answers: 2026-01-01, green, no other, there, None, None, []." in told(
        tmp_path, "render", "2026-01-01"
    )


def test_unmet_dependencies_are_told_on_every_version(tmp_path: Path) -> None:
    assert "dagrun was not in the 'running' state but in the state 'queued'" in told(tmp_path, "failed-deps")


@pytest.mark.parametrize("command", ["render", "test"])
def test_so_they_do_where_the_log_is_in_json(tmp_path: Path, command: str) -> None:
    assert "the answers: " in told(tmp_path, command, AIRFLOW__LOGGING__JSON_LOGS="True")
