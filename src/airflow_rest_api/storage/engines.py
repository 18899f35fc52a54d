"""An engine for a database of our own, from the address in the configuration."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

KINDS = ("postgresql", "mysql", "mariadb", "sqlite")
CONNECT_SECONDS = 10
READ_SECONDS = 60

# A network that swallows packets must not hold a thread for ever. By driver:
# https://www.postgresql.org/docs/current/libpq-connect.html,
# https://pymysql.readthedocs.io/en/latest/modules/connections.html, https://mysqlclient.readthedocs.io.
_LIBPQ: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": READ_SECONDS * 1000,
}
_MYSQL: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    "charset": "utf8mb4",
}
CONNECT: dict[str, dict[str, Any]] = {
    "psycopg2": _LIBPQ,
    "psycopg": _LIBPQ,
    "pymysql": _MYSQL,
    "mysqldb": _MYSQL,
    "pysqlite": {"timeout": 30, "check_same_thread": False},
}


class BadDatabase(ValueError):
    """The address of a database cannot be used; the message does not hold its password."""


def own_engine(address: str) -> Engine:
    """
    Return an engine for an address in SQLAlchemy's form; nothing is connected to yet.

    :raises BadDatabase: it cannot be used; the message does not repeat it
    """
    from sqlalchemy import create_engine, event

    url = _read(address)
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": 1800, "future": True}
    if not _is_sqlite(url):
        options |= {
            "pool_size": 5,
            "max_overflow": 5,
            "pool_timeout": 10,
            "isolation_level": "READ COMMITTED",
        }
    driver = url.get_driver_name()
    arguments = {name: value for name, value in CONNECT.get(driver, {}).items() if name not in url.query}
    try:
        engine = create_engine(url, connect_args=arguments, **options)
    except ImportError as error:
        raise BadDatabase(f"needs the Python package of its driver: {error.name or driver}") from None
    except Exception as error:
        raise BadDatabase(f"is not understood by SQLAlchemy ({type(error).__name__})") from None
    if _is_sqlite(url):
        event.listen(engine, "connect", _write_ahead)
    return engine


def _read(address: str) -> URL:
    from sqlalchemy.engine import make_url

    try:
        url = make_url(address)
        kind = url.get_backend_name()
    except Exception:
        raise BadDatabase("must be an address in SQLAlchemy's form, dialect+driver://…") from None
    if kind not in KINDS:
        raise BadDatabase(f"must be a PostgreSQL, MySQL, MariaDB or SQLite database, not {kind!r}")
    if kind == "sqlite" and not (url.database or "").startswith("/"):
        raise BadDatabase("must be a SQLite file with an absolute path: sqlite:////…")
    return url


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _write_ahead(connection: Any, record: object) -> None:
    # Readers do not wait for the writer then; as Airflow sets it for its own.
    cursor = connection.cursor()
    # SQLite waits for nobody here: who is kept from it finds the database as others make it, now or soon.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
