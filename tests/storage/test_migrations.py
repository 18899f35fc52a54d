from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, inspect, select, text
from sqlalchemy.engine import Engine

import airflow_rest_api
from airflow_rest_api.operations.tables import OPERATION
from airflow_rest_api.storage.migrations import MIGRATIONS, VERSIONS, migrate
from airflow_rest_api.storage.schema import metadata
from airflow_rest_api.storage.steps import Steps

PROCESSES = 5

MIGRATE = """
import sys
from airflow_rest_api.storage.engines import own_engine
from airflow_rest_api.storage.migrations import migrate
engine = own_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(engine)
"""


def versions(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(select(VERSIONS.c.version).order_by(VERSIONS.c.version)).scalars())


def with_all_tables() -> None:
    """Load the modules that define tables, whichever rooms have one."""
    for module in Path(airflow_rest_api.__file__).parent.glob("*/tables.py"):
        importlib.import_module(f"airflow_rest_api.{module.parent.name}.tables")


def differences(engine: Engine) -> list[object]:
    with_all_tables()
    ours = {table.name for table in metadata.tables.values()}
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, parents: kind != "table" or name in ours,
                "compare_type": False,
            },
        )
        return list(compare_metadata(context, metadata))


def row(identifier: str) -> dict[str, object]:
    return {
        "id": identifier,
        "command": "dags list",
        "effect": "read",
        "user": "Ärger",
        "host": "h",
        "server": "s",
        "state": "succeeded",
        "truncated": False,
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc),
        "details": "{}",
        "output": b"\0\xff",
    }


def test_the_tables_are_those_that_the_code_works_with(engine: Engine):
    migrate(engine)

    assert versions(engine) == sorted(MIGRATIONS)
    assert differences(engine) == []


def test_a_second_time_changes_nothing(engine: Engine):
    migrate(engine)
    with engine.connect() as connection:
        before = connection.execute(select(VERSIONS)).all()
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(select(VERSIONS)).all() == before


def test_the_numbers_have_no_gaps():
    assert list(MIGRATIONS) == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("version", list(MIGRATIONS))
def test_from_every_version_the_way_leads_here_and_the_rows_stay(engine: Engine, version: int):
    migrate(engine, {number: step for number, step in MIGRATIONS.items() if number <= version})
    assert versions(engine) == list(range(1, version + 1))
    with engine.begin() as connection:
        connection.execute(OPERATION.insert().values(row("a" * 32)))

    migrate(engine)

    assert versions(engine) == sorted(MIGRATIONS)
    assert differences(engine) == []
    with engine.connect() as connection:
        found = connection.execute(select(OPERATION)).mappings().one()
    assert {name: found[name] for name in row("")} == row("a" * 32)


@pytest.mark.slow
def test_several_processes_at_once_do_it_once(engine: Engine, address: str):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=120)[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * PROCESSES, "\n".join(errors)
    assert versions(engine) == sorted(MIGRATIONS)
    assert differences(engine) == []


def test_one_that_was_interrupted_is_finished_the_next_time(engine: Engine):
    def first(steps: Steps) -> None:
        steps.table("rest_api_half", Column("id", Integer, primary_key=True), Column("a", Integer))
        steps.index("rest_api_half_a", "rest_api_half", "a")
        raise KeyboardInterrupt

    def again(steps: Steps) -> None:
        steps.table("rest_api_half", Column("id", Integer, primary_key=True), Column("a", Integer))
        steps.index("rest_api_half_a", "rest_api_half", "a")
        steps.column("rest_api_half", Column("b", Integer))

    with pytest.raises(KeyboardInterrupt):
        migrate(engine, {1: first})
    assert not inspect(engine).has_table(VERSIONS.name) or versions(engine) == []

    migrate(engine, {1: again})

    assert versions(engine) == [1]
    assert {column["name"] for column in inspect(engine).get_columns("rest_api_half")} == {"id", "a", "b"}
    assert [index["name"] for index in inspect(engine).get_indexes("rest_api_half")] == ["rest_api_half_a"]


def test_the_tables_of_a_newer_version_are_left_alone_and_mentioned(
    engine: Engine, caplog: pytest.LogCaptureFixture
):
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(
            VERSIONS.insert().values(version=999, applied_at=datetime.now(timezone.utc) - timedelta(days=1))
        )

    migrate(engine)

    assert "newer version (999)" in caplog.text


def test_names_that_differ_in_case_only_are_two(engine: Engine):
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(OPERATION.insert().values(row("a" * 32)))
        found = connection.execute(select(OPERATION.c.id).where(OPERATION.c.user == "ärger")).all()
        other = connection.execute(select(OPERATION.c.id).where(OPERATION.c.user == "Ärger")).all()

    assert (found, len(other)) == ([], 1)


@pytest.mark.parametrize("address", ["mariadb"], indirect=True)  # elsewhere it is no question
def test_every_table_takes_transactions_and_every_character(engine: Engine):
    migrate(engine)
    query = text(
        "SELECT table_name, engine, table_collation FROM information_schema.tables "
        "WHERE table_schema = DATABASE()"
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    assert rows
    assert all(row[1] == "InnoDB" and row[2].startswith("utf8mb4") for row in rows), rows
