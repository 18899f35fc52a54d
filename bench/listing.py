"""How long a page of operations takes among few and among many, straight from the database."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, insert, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from airflow_rest_api.operations.model import Filter, Operation, State
from airflow_rest_api.operations.rows import to_row
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.tables import OPERATION
from airflow_rest_api.storage.database import Database, own_engine
from bench.figures import ms, times
from bench.table import render

SERVER = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
FEW = 1000
MANY = 1_000_000
RUNS = 25
BATCH = 10_000
GOAL = 2.0
"""Times as long as among few that a page may take among many."""

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
RARE = 50_000
"""One of so many operations is of the rare command, user and DAG, and has not ended."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Page:
    """What is asked for; `middle`: the page does not begin at the newest but in the middle."""

    name: str
    filter: Filter = field(default_factory=Filter)
    middle: bool = False


PAGES: tuple[Page, ...] = (
    Page("the newest"),
    Page("from the middle", middle=True),
    Page("state=succeeded (nearly all)", Filter(states=(State.SUCCEEDED,))),
    Page("state=queued,running (hardly any)", Filter(states=(State.QUEUED, State.RUNNING))),
    Page("command=dags list (every tenth)", Filter(command="dags list")),
    Page("command=rare", Filter(command="rare")),
    Page("user=user_3 (every tenth)", Filter(user="user_3")),
    Page("user=nobody (none)", Filter(user="nobody")),
    Page("effect=read (half)", Filter(effects=("read",))),
    Page("dag_id=rare", Filter(dag_id="rare")),
    Page("until= an hour after the first", Filter(until=NOW + timedelta(hours=1))),
    Page("command=dags list, state=failed", Filter(command="dags list", states=(State.FAILED,))),
)


def operations(first: int, last: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of operations, one each second."""
    for number in range(first, last):
        rare = number % RARE == 7
        at = NOW + timedelta(seconds=number)
        yield {
            **to_row(
                Operation(
                    id=f"{int(at.timestamp() * 1000):012x}7{secrets.randbits(76):019x}",
                    command="rare"
                    if rare
                    else ("dags list", "pools list")[number % 2]
                    if number % 5 < 2
                    else f"tasks command_{number % 17}",
                    effect=("read", "write")[number % 2],
                    argv=["tasks", "list", "example"],
                    user="rare" if rare else f"user_{number % 10}",
                    host="host",
                    created_at=at,
                    started_at=at,
                    finished_at=None if rare else at,
                    state=State.RUNNING if rare else State.FAILED if number % 11 == 0 else State.SUCCEEDED,
                    exit_code=0,
                    server="server",
                    dag_id="rare" if rare else f"dag_{number % 500}" if number % 2 else None,
                )
            ),
            "output": b"\0" + b"x" * 200,
        }


def fill(database: Database, count: int, report: Report) -> None:
    """Store operations, and let the database look at what it has."""
    for start in range(0, count, BATCH):
        batch = list(operations(start, min(start + BATCH, count)))
        database.call(partial(_insert, batch))
        if start % (BATCH * 10) == 0:
            report(f"{start:,} operations stored")
    engine = database.engine()
    # What databases do by themselves in the background.
    upkeep = {"postgresql": "VACUUM ANALYZE rest_api_operation", "sqlite": "ANALYZE"}
    statement = upkeep.get(engine.dialect.name, "ANALYZE TABLE rest_api_operation")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def _insert(rows: list[dict[str, Any]], connection: Connection) -> None:
    connection.execute(insert(OPERATION), rows)


def _itself(engine: Engine) -> Engine:
    return engine


def seconds(stores: Sequence[tuple[Store, int]], runs: int) -> list[list[float]]:
    """
    Return the medians of each page, for each store.

    In each round every store is asked, so that all see the same machine; one more round is thrown away.

    :param stores: each with the number of its operations
    """
    starts = [f"{int((NOW + timedelta(seconds=count // 2)).timestamp() * 1000):012x}" for _, count in stores]

    async def main() -> list[list[float]]:
        found: list[list[list[float]]] = [[[] for _ in stores] for _ in PAGES]
        for number in range(runs + 1):
            for page, taken in zip(PAGES, found, strict=True):
                for (store, _), start, mine in zip(stores, starts, taken, strict=True):
                    started = time.perf_counter()
                    await store.list(page.filter, before=start if page.middle else None, limit=50)
                    if number:
                        mine.append(time.perf_counter() - started)
        return [[median(mine) for mine in taken] for taken in found]

    return asyncio.run(main())


def measure_listing(few: str, many: str, count: int, runs: int, report: Report) -> list[list[str]]:
    """Return the cells of each page, under `headers`; the addresses are those of empty databases."""
    stores = []
    engines = [own_engine(address) for address in (few, many)]
    for engine, number in zip(engines, (FEW, count), strict=True):
        database = Database(partial(_itself, engine))
        fill(database, number, report)
        stores.append((Store(database), number))
    try:
        found = seconds(stores, runs)
    finally:
        for store, _ in stores:
            store.database.close()
        for engine in engines:
            engine.dispose()
    return [
        [page.name, ms(one), ms(other), times(other / one)]
        for page, (one, other) in zip(PAGES, found, strict=True)
    ]


def headers(kind: str, many: int) -> tuple[str, ...]:
    """Return the headers of the table of a kind of database."""
    return (f"50 operations, {kind}", f"of {FEW:,} ms", f"of {many:,} ms", "as long")


@contextmanager
def empty_database(server: str) -> Iterator[str | None]:
    """Give a new database on a server, None where it cannot be reached; it is gone afterwards."""
    url = make_url(server)
    name = f"rest_api_bench_{secrets.token_hex(6)}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except SQLAlchemyError:
        engine.dispose()
        yield None
        return
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        engine.dispose()


def table(server: str, many: int, runs: int, report: Report) -> str | None:
    """Return the table of a server, None where it cannot be reached; without one that of SQLite."""
    if not server:
        with TemporaryDirectory(prefix="airflow-rest-api-bench-") as folder:
            files = [f"sqlite:///{Path(folder) / name}" for name in ("few.db", "many.db")]
            return render(headers("SQLite", many), measure_listing(files[0], files[1], many, runs, report))
    with empty_database(server) as few, empty_database(server) as address:
        if few is None or address is None:
            return None
        kind = {"postgresql": "PostgreSQL"}.get(make_url(server).get_backend_name(), "MariaDB or MySQL")
        return render(headers(kind, many), measure_listing(few, address, many, runs, report))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure alone: `python -m bench.listing`."""
    parser = argparse.ArgumentParser(prog="python -m bench.listing", description=__doc__)
    parser.add_argument("--server", default=SERVER, help="where a database is made; empty: a SQLite file")
    parser.add_argument("--stored", type=int, default=MANY, help="how many are many")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args(arguments)
    found = table(options.server, options.stored, options.runs, lambda said: print(said, file=sys.stderr))
    print(found or f"{make_url(options.server).host} cannot be reached")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
