"""Databases of a test's own: made with a random name, gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from tests.servers import POSTGRESQL, require_mariadb, require_postgresql
from tests.timing import SHARED

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


def template(name: str) -> str:
    """Return the name of a database of this run on PostgreSQL, of which others are copies."""
    return f"{PREFIX}{SHARED.name.rpartition('-')[2].lower()}_{name}"


def drop_templates() -> None:
    """Remove the databases that are there to be copied, at the end of the run."""
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
