from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.engine import engine as engine_module
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Job, Outcome
from tests.engine.conftest import Run, act, alive, at_rest, first_line, gone, outcome

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


def test_the_secrets_that_it_comes_across_are_not_known_to_commands_that_load_none(
    database: Path, new_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, run: Run[Any]
):
    monkeypatch.setenv("AIRFLOW_HOME", str(database.parent))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO connection (conn_id, conn_type, password, is_encrypted, is_extra_encrypted) "
            "VALUES ('guessed', 'http', 'is_paused', 0, 0)"
        )
        connection.execute("INSERT INTO variable (key, val, is_encrypted) VALUES ('a_password', 'dag_id', 0)")
    connection.close()
    engine = new_engine()
    _, listed = run(outcome(engine, Job(["dags", "list", "--output=json"], mask=True)))
    _, loaded = run(outcome(engine, Job(["variables", "get", "a_password"], mask=True)))

    assert '"is_paused"' in listed.stdout.text
    assert '"dag_id"' in listed.stdout.text
    # What a command loads itself is masked as ever.
    assert loaded.stdout.text == "***\n"


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


def test_airflows_own_commands_run(run: Run[Any], any_engine: Engine):
    how, process = run(outcome(any_engine, Job(["version"])))

    assert how == Outcome(Ending.EXITED, 0)
    assert process.stdout.text.strip() == __import__("airflow").__version__


def test_a_refusal_of_the_parser_is_told_apart_from_a_failed_command(run: Run[Any], any_engine: Engine):
    how, _ = run(outcome(any_engine, Job(["pools", "get"])))

    assert how.ending is Ending.USAGE
    assert how.exit_code == 2
    assert "the following arguments are required: NAME" in (how.message or "")


async def connections_of_a_spare_child(engine: Engine) -> str:
    await outcome(engine, act("echo"))
    await at_rest(engine)
    _, process = await outcome(engine, act("session_works"))
    return process.stdout.text


def test_a_spare_child_has_a_database_connection_of_its_own(run: Run[Any], engine: Engine):
    assert run(connections_of_a_spare_child(engine)) == "1\nworks\n"


def test_no_database_connection_is_inherited_or_kept_where_it_may_be_dead_when_it_is_used(
    run: Run[Any], new_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_PRE_PING", "False")

    found = run(connections_of_a_spare_child(new_engine(spares=1)))

    assert found == "0\nworks\n"


def test_a_changed_configuration_renews_the_parent_without_disturbing_what_runs(
    run: Run[Any], new_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tmp_path / "airflow.cfg"
    config.write_text("[core]\nload_examples = False\n[smtp]\nsmtp_host = before\n")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(config))
    engine = new_engine()
    ask = Job(["config", "get-value", "smtp", "smtp_host"])

    async def change() -> None:
        assert (await outcome(engine, ask))[1].stdout.text == "before\n"
        old = engine.submit(act("sleep"))
        pid = int(await first_line(old))
        config.write_text("[core]\nload_examples = False\n[smtp]\nsmtp_host = afterwards\n")
        assert (await outcome(engine, ask))[1].stdout.text == "afterwards\n"
        assert alive(pid)
        retired = engine._retired[0].pid
        old.cancel()
        await old.wait()
        assert await gone(retired)

    run(change())


def test_a_fresh_home_has_its_configuration_before_the_parent_is_made_from_it(
    run: Run[Any], new_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW_CONFIG", raising=False)
    engine = new_engine()

    async def twice() -> list[str]:
        said = []
        for argv in (["config", "get-value", "core", "executor"], ["version"]):
            process = engine.submit(Job(argv))
            said.append(process.waits_for)
            assert (await process.wait()).exit_code == 0
        return said

    assert run(twice()) == [engine_module.WARMING_UP, None]
    assert (tmp_path / "airflow.cfg").exists()
    # The second command has not waited: the parent is still the first.
    assert engine._retired == []
    assert engine._parent is not None
    assert not engine._parent.outdated


SAVEPOINT = """
import sqlite3, sys
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from airflow import settings
from airflow_rest_api.airflow.warm import begin_before_savepoints
settings.engine = create_engine(f"sqlite:///{sys.argv[1]}")
if sys.argv[2] == "waits":
    begin_before_savepoints()
other = sqlite3.connect(sys.argv[1], timeout=0.2)
other.execute("PRAGMA journal_mode=WAL")
other.execute("CREATE TABLE IF NOT EXISTS t (n)")
other.commit()
with Session(settings.engine) as session:
    with session.begin_nested():
        session.execute(text("SELECT count(*) FROM t")).all()
        try:
            other.execute("INSERT INTO t VALUES (1)")
            other.commit()
            print("another wrote")
        except sqlite3.OperationalError as error:
            print("another waits")
        session.execute(text("INSERT INTO t VALUES (2)"))
    session.commit()
print("written")
"""


@pytest.mark.parametrize(
    ("how", "said"), [("waits", "another waits\nwritten\n"), ("as it is", "another wrote\n")]
)
def test_what_is_read_and_written_behind_a_savepoint_is_not_locked_out(
    tmp_path: Path, how: str, said: str
) -> None:
    words = [sys.executable, "-c", SAVEPOINT, str(tmp_path / "some.db"), how]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.endswith(said), done.stderr
    assert ("database is locked" in done.stderr) is (how == "as it is")
