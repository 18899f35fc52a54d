"""An engine for a database of our own, from the address in the configuration."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_rest_api.settings import database

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

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


def own_engine(address: str) -> Engine:
    """
    Return an engine for an address in SQLAlchemy's form; nothing is connected to yet.

    :raises BadDatabase: it cannot be used; the message does not repeat it
    """
    from sqlalchemy import create_engine, event

    url = database(address)
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
    engine = create_engine(url, connect_args=arguments, **options)
    if _is_sqlite(url):
        event.listen(engine, "connect", _write_ahead)
    return engine


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _write_ahead(connection: Any, record: object) -> None:
    # Readers do not wait for the writer then; as Airflow sets it for its own.
    cursor = connection.cursor()
    # SQLite does not wait here: another connection sets the same, now or soon.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
