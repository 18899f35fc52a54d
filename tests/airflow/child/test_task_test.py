"""`tasks render`, `test` and `failed-deps` on a database of their own: what is set right there is Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests import apart
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
    apart.SCRIPT
    + stored_dag.SCRIPT
    + """
import json
from contextlib import redirect_stdout
from functools import partial

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

def run(words):
    from airflow_rest_api.airflow.child import setup

    setup.prepare(setup.order("somebody", [" ".join(words[:2])]))
    setup.run_airflow(words)

assert apart(make, os.devnull) == 0
with redirect_stdout(sys.stderr):
    # As the warm parent does: it takes longer than all else here.
    from airflow_rest_api.airflow.compat.tasks import build_execution_api
    build_execution_api()
for number, line in enumerate(json.loads(sys.argv[1])):
    assert apart(partial(run, line), Path(sys.argv[0]).with_name(f"printed-{number}")) == 0, line
"""
)
LINES = (("failed-deps", RUN), ("render", RUN), ("render", "2026-01-01"), ("test", RUN))


def told(home: Path, **env: str) -> dict[tuple[str, str], str]:
    """Return what each of the commands prints of the task of a run."""
    (home / "dags").mkdir()
    (home / "dags" / "d.py").write_text(DAG_FILE)
    script = home / "script.py"
    script.write_text(f"RUN = {RUN!r}\n{SCRIPT}")
    lines = [("tasks", command, "d", "t", run) for command, run in LINES]
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(lines)],
        env={**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__FERNET_KEY": KEY, **env},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {line: (home / f"printed-{number}").read_text() for number, line in enumerate(LINES)}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """What the commands print."""
    return told(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def with_json_logs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """What they print where the log is in JSON."""
    return told(tmp_path_factory.mktemp("json"), AIRFLOW__LOGGING__JSON_LOGS="True")


@pytest.mark.parametrize("command", ["render", "test"])
def test_templates_get_their_answers_also_of_a_run_that_waits_in_the_queue(
    printed: dict[tuple[str, str], str], command: str
) -> None:
    assert f"the answers: {RUN}, green, no other, there, 7, None, [1]." in printed[command, RUN]


def test_and_where_there_is_no_run(printed: dict[tuple[str, str], str]) -> None:
    assert (
        "the answers: 2026-01-01, green, no other, there, None, None, []." in printed["render", "2026-01-01"]
    )


def test_unmet_dependencies_are_told_on_every_version(printed: dict[tuple[str, str], str]) -> None:
    said = printed["failed-deps", RUN]
    assert "dagrun was not in the 'running' state but in the state 'queued'" in said


@pytest.mark.parametrize("command", ["render", "test"])
def test_so_they_do_where_the_log_is_in_json(
    with_json_logs: dict[tuple[str, str], str], command: str
) -> None:
    assert "the answers: " in with_json_logs[command, RUN]


def test_a_test_ends_in_one_sentence_where_airflow_lacks_what_runs_a_task_in_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk.execution_time import supervisor

    from airflow_rest_api.airflow.child import task_test

    for name in ("InProcessTestSupervisor", "run_task_in_process"):
        monkeypatch.delattr(supervisor, name)
    with pytest.raises(SystemExit) as ended:
        task_test.test_in_memory()
    assert ended.value.args == (
        "The tasks test of this Airflow is not known here: it has no InProcessTestSupervisor, "
        "run_task_in_process.",
    )
