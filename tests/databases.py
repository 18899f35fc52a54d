"""Databases of a test's own: made with a random name, gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from tests.servers import MARIADB, POSTGRESQL, require_mariadb, require_mysqlclient, require_postgresql
from tests.timing import SHARED

MADE = SHARED / "databases"
"""A file for each database that is there until the end of the run, named after its kind and itself."""

KINDS = ("sqlite", "postgresql", "mariadb")
PREFIX = "rest_api_test_"


@contextmanager
def database_of_our_own(kind: str, folder: Path) -> Iterator[str]:
    """Give the address of an empty database of a kind; the test is skipped where there is no server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / f'{secrets.token_hex(6)}.db'}"
        return
    server = require_postgresql() if kind == "postgresql" else require_mariadb()
    name = f"{PREFIX}{secrets.token_hex(6)}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        execute(server, f"DROP DATABASE {name}{' WITH (FORCE)' if kind == 'postgresql' else ''}")


def database_of_this_run(kind: str) -> str:
    """Make an empty database on a server, gone at the end of the run; return its address, for Airflow."""
    name = f"{PREFIX}{secrets.token_hex(6)}"
    MADE.mkdir(exist_ok=True)
    if kind == "postgresql":
        server = require_postgresql()
        execute(server, f"CREATE DATABASE {name}")
    else:
        require_mysqlclient()
        server = require_mariadb()
        execute(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        server = server.set(drivername="mysql+mysqldb", query={"charset": "utf8mb4"})
    (MADE / f"{kind}.{name}").touch()
    return server.set(database=name).render_as_string(hide_password=False)


def template(name: str) -> str:
    """Return the name of a database of this run on PostgreSQL, of which others are copies."""
    return f"{PREFIX}{SHARED.name.rpartition('-')[2].lower()}_{name}"


def drop_databases() -> None:
    """Remove the databases that are there until the end of the run, and those to be copied."""
    for made in MADE.glob("*.*"):
        kind, _, name = made.name.partition(".")
        server, end = (POSTGRESQL, " WITH (FORCE)") if kind == "postgresql" else (MARIADB, "")
        execute(make_url(server), f"DROP DATABASE IF EXISTS {name}{end}")
    for made in SHARED.glob(f"{template('')}*"):
        if not made.suffix:
            execute(make_url(POSTGRESQL), f"DROP DATABASE IF EXISTS {made.name} WITH (FORCE)")


def execute(server: URL, statement: str) -> None:
    """Run a statement that a transaction must not hold."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
