"""Databases of a test's own: made with a random name, gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from tests.servers import require_mariadb, require_postgresql

KINDS = ("sqlite", "postgresql", "mariadb")


@contextmanager
def database_of_our_own(kind: str, folder: Path) -> Iterator[str]:
    """Give the address of an empty database of a kind; the test is skipped where there is no server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / f'{secrets.token_hex(6)}.db'}"
        return
    server = require_postgresql() if kind == "postgresql" else require_mariadb()
    name = f"rest_api_test_{secrets.token_hex(6)}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP DATABASE {name}{' WITH (FORCE)' if kind == 'postgresql' else ''}")


def _execute(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
