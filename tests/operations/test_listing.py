from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection

from airflow_rest_api.operations.model import Filter, State
from airflow_rest_api.operations.store import Store
from airflow_rest_api.storage.database import Database

NOW = datetime.now(timezone.utc)

# Without these PostgreSQL reads a small table from one end to the other, and rightly so.
ONLY_INDEXES = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "key"),
        (Filter(states=(State.FAILED,)), "state"),
        (Filter(states=(State.QUEUED, State.RUNNING)), "state"),
        (Filter(command="dags list"), "command"),
        (Filter(user="u"), "user"),
        (Filter(effects=("read",)), "effect"),
        (Filter(effects=("write", "execute", "service", "destructive")), "effect"),
        (Filter(dag_id="d"), "dag_id"),
        (Filter(endpoints=("pause",)), "endpoint"),
        (Filter(endpoints=("pause", "pool")), "endpoint"),
        (Filter(since=NOW), "key"),
        (Filter(until=NOW), "key"),
    ],
    ids=lambda value: (
        next((n for n, v in vars(value).items() if v), "all") if isinstance(value, Filter) else ""
    ),
)
@pytest.mark.parametrize("migrated", ["sqlite", "postgresql"], indirect=True)
def test_a_page_is_read_off_its_index_in_its_order(every_database: Database, wanted: Filter, index: str):
    plans = explained(every_database, wanted)
    names = {"key": ("sqlite_autoindex_rest_api_operation_1", "rest_api_operation_pkey")}
    expected = names.get(index, (f"rest_api_operation_{index}",))
    assert len(plans) == max(1, len(wanted.states), len(wanted.endpoints), len(wanted.effects))
    for plan in plans:
        assert any(f" {name} " in plan for name in expected), plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan


def explained(database: Database, wanted: Filter) -> list[str]:
    """Return how the database goes about a page: the words of each of its statements."""
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if "FROM rest_api_operation" in statement:
            statements.append((statement, parameters))

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", note)
    asyncio.run(Store(database).list(wanted, before="f" * 32))
    event.remove(engine, "before_cursor_execute", note)

    def work(connection: Connection) -> list[str]:
        how = "EXPLAIN QUERY PLAN"
        if engine.dialect.name == "postgresql":
            how = "EXPLAIN"
            for option in ONLY_INDEXES:
                connection.exec_driver_sql(f"SET LOCAL {option} = off")
        plans = [connection.exec_driver_sql(f"{how} {sql}", given) for sql, given in list(statements)]
        return ["\n".join(" ".join(map(str, row)) for row in plan) for plan in plans]

    return database.call(work)
