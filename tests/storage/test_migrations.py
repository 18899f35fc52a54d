from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Index, Integer, MetaData, Table, event, inspect, select, text
from sqlalchemy.engine import Engine

import airflow_rest_api
from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations.tables import OPERATION
from airflow_rest_api.storage import migrations
from airflow_rest_api.storage.database import own_engine
from airflow_rest_api.storage.migrations import DECLARED_IN, SCHEMA, VERSIONS, all_tables, migrate

PROCESSES = 5
DUMPS = Path(__file__).parents[1] / "data" / "schema"
"""The statements that made the tables up to the fifth version."""

MIGRATE = """
import sys
from airflow_rest_api.storage.database import own_engine
from airflow_rest_api.storage.migrations import migrate
engine = own_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(engine)
"""


def versions(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(select(VERSIONS.c.version).order_by(VERSIONS.c.version)).scalars())


def differences(engine: Engine) -> list[object]:
    metadata = all_tables()
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

    assert versions(engine) == [SCHEMA]
    assert differences(engine) == []


def test_a_second_time_changes_nothing(engine: Engine):
    migrate(engine)
    with engine.connect() as connection:
        before = connection.execute(select(VERSIONS)).all()
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(select(VERSIONS)).all() == before


def test_each_module_that_declares_a_table_is_known():
    package = Path(airflow_rest_api.__file__).parent
    declaring = {
        ".".join(file.relative_to(package.parent).with_suffix("").parts)
        for file in package.rglob("*.py")
        if re.search(r"\bTable\(\n", file.read_text())
    }
    assert declaring == {*DECLARED_IN, "airflow_rest_api.storage.migrations"}


def made_before(engine: Engine, *, without: str = "") -> None:
    """Make the tables of the five former versions, and a row."""
    statements = (DUMPS / f"{engine.dialect.name}.sql".replace("mysql", "mariadb")).read_text().splitlines()
    with engine.begin() as connection:
        for statement in statements:
            if not statement.startswith("--") and not (without and without in statement):
                connection.exec_driver_sql(statement.replace("%", "%%"))
        connection.execute(OPERATION.insert().values(row("a" * 32)))


def test_a_database_of_the_former_versions_is_taken_as_it_is(engine: Engine):
    made_before(engine)

    migrate(engine)

    assert versions(engine) == [SCHEMA]
    assert differences(engine) == []
    with engine.connect() as connection:
        found = connection.execute(select(OPERATION)).mappings().one()
    assert {name: found[name] for name in row("")} == row("a" * 32) | {"output": None}


@pytest.mark.parametrize(
    "missing", ["rest_api_legacy_usage", "INDEX rest_api_service_host", "INDEX rest_api_operation_key"]
)
def test_what_is_missing_of_a_former_version_is_added(engine: Engine, missing: str):
    made_before(engine, without=missing)

    migrate(engine)

    assert differences(engine) == []


def test_a_table_of_output_with_another_key_is_made_anew(engine: Engine):
    before = MetaData()
    Table("rest_api_output", before, Column("id", Integer, primary_key=True)).create(engine)

    migrate(engine)

    assert differences(engine) == []


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
    assert versions(engine) == [SCHEMA]
    assert differences(engine) == []


@pytest.mark.parametrize("address", ["mariadb", "postgresql"], indirect=True)
def test_one_that_waits_too_long_for_another_comes_to_its_turn_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1)
    with (
        engine.connect() as connection,
        migrations._locked(connection),
        pytest.raises(Unavailable, match="Another process migrates"),
    ):
        migrate(engine)
    assert "Another process migrates" in caplog.text
    migrate(engine)

    assert versions(engine) == [SCHEMA]


@pytest.mark.slow
@pytest.mark.parametrize("address", ["mariadb"], indirect=True)  # the others show that they are there
def test_one_waits_for_longer_than_a_connection_may_be_silent(
    engine: Engine, address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 4)
    monkeypatch.setattr(migrations, "ROUND_SECONDS", 1)
    impatient = own_engine(f"{address}?read_timeout=2")
    with (
        engine.connect() as connection,
        migrations._locked(connection),
        pytest.raises(Unavailable, match="Another process migrates"),
    ):
        migrate(impatient)
    migrate(impatient)
    impatient.dispose()

    assert versions(engine) == [SCHEMA]


def test_one_that_was_interrupted_is_finished_the_next_time(engine: Engine):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    half, whole = MetaData(), MetaData()
    columns = ("id", "a", "b")
    for tables, names in ((half, columns[:2]), (whole, columns)):
        table = Table("rest_api_half", tables, *(Column(n, Integer, primary_key=n == "id") for n in names))
        Index("rest_api_half_a", table.c.a)
    event.listen(half.tables["rest_api_half"], "after_create", interrupt)

    with pytest.raises(KeyboardInterrupt):
        migrate(engine, half)
    assert not inspect(engine).has_table(VERSIONS.name) or versions(engine) == []

    migrate(engine, whole)

    assert versions(engine) == [SCHEMA]
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
