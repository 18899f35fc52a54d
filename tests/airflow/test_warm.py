from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.engine import Ending, Engine, Job, Outcome
from tests.engine.conftest import Run, act, outcome

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[1] / "data" / "parity" / "dags"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of an Airflow with a DAG, which the engines of this module work on."""
    home = tmp_path_factory.mktemp("warm")
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS)}
    airflow = str(Path(sys.executable).with_name("airflow"))
    for argv in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([airflow, *argv], env=environment, check=True, capture_output=True)
    return home / "airflow.db"


@pytest.fixture
def warm(
    database: Path, new_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, run: Run[Any]
) -> Engine:
    monkeypatch.setenv("AIRFLOW_HOME", str(database.parent))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))
    engine = new_engine()
    run(outcome(engine, Job(["version"])))
    return engine


def _rows(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(database) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in tables}


def test_warming_up_writes_nothing(
    database: Path, new_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, run: Run[Any]
):
    monkeypatch.setenv("AIRFLOW_HOME", str(database.parent))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))
    before = _rows(database)
    engine = new_engine()
    run(outcome(engine, Job(["version"])))

    assert before["dag"]
    assert _rows(database) == before


def test_a_command_after_it_does_write(database: Path, warm: Engine, run: Run[Any]):
    how, _ = run(outcome(warm, Job(["dags", "trigger", "daily", "--run-id", "real"])))

    assert how == Outcome(Ending.EXITED, 0)
    assert [row for row in _rows(database)["dag_run"] if "real" in row]


def test_no_folder_that_a_command_runs_in_is_a_place_for_modules(warm: Engine, run: Run[Any]):
    _, process = run(outcome(warm, act("module_path")))

    assert not {"", "."} & set(process.stdout.text.splitlines())


def test_a_database_that_changed_is_looked_at_again(database: Path, warm: Engine, run: Run[Any]):
    with sqlite3.connect(database) as connection:
        [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = 'of-another-version'")
    try:
        how, process = run(outcome(warm, Job(["dags", "list"])))
    finally:
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))

    assert how.exit_code == 1
    assert "migration" in process.stdout.text + process.stderr.text
