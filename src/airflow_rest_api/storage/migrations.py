"""
Make our tables, and bring those of an older version up to date.

The tables are declared once, beside the code that reads them; what is missing of them in the database is
added. That may be repeated after an interruption (MySQL commits every DDL statement), and older API servers
may go on meanwhile: so a new column is nullable, and nothing is renamed.
"""

from __future__ import annotations

import importlib
import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from math import ceil
from typing import TYPE_CHECKING

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, Table, inspect, select, text
from sqlalchemy.exc import DBAPIError

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.storage.connection import connected
from airflow_rest_api.storage.schema import TABLE_OPTIONS, Utc, metadata
from airflow_rest_api.storage.transient import Trouble, trouble_of

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.engine import Connection, Engine

log = logging.getLogger(__name__)

SCHEMA = 7
"""The version of the tables, to be raised with every change of a declaration: one that has it is ready."""

DECLARED_IN = (
    "airflow_rest_api.operations.tables",
    "airflow_rest_api.services.store",
    "airflow_rest_api.dag_files.history_tables",
    "airflow_rest_api.legacy.usage",
)
"""The modules that declare tables, loaded at the first use."""

REMADE = "rest_api_output"
"""The table that is made anew where its primary key has changed: what commands printed is lost then."""

VERSIONS = Table(
    "rest_api_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", Utc, nullable=False),
    **TABLE_OPTIONS,
)

LOCK = "airflow_rest_api_schema"
LOCK_SECONDS = 300
ROUND_SECONDS = 5.0
"""For so long MySQL is asked for the lock at a time."""


def migrate(engine: Engine, tables: MetaData | None = None, *, missing: bool = False) -> None:
    """
    Make the tables, or bring them up to date; safe when several processes do so at the same time.

    :param tables: in place of all of ours
    :param missing: whether one was found missing, whatever their version says
    :raises Unavailable: another process has been at it for too long
    :raises NotConnected: there is no connection, for a reason that is not one of the database
    :raises sqlalchemy.exc.SQLAlchemyError: what the database said
    """
    wanted = all_tables() if tables is None else tables
    with connected(engine) as connection, connection.begin():
        newest = applied(connection)
    if newest > SCHEMA:
        log.warning("The tables of the REST API plugin are those of a newer version (%s)", newest)
    if newest >= SCHEMA and not missing:
        return
    with connected(engine) as connection, _locked(connection):
        VERSIONS.create(connection, checkfirst=True)
        newest = applied(connection)
        if newest >= SCHEMA and not missing:
            return  # Another process was faster.
        if missing:
            log.warning("Tables of the REST API plugin were dropped: they are made again")
        else:
            log.info("The tables of the REST API plugin are brought to version %s", SCHEMA)
        for table in wanted.sorted_tables:
            _complete(connection, table)
        if newest >= SCHEMA:
            return
        connection.execute(VERSIONS.delete())
        connection.execute(VERSIONS.insert().values(version=SCHEMA, applied_at=datetime.now(timezone.utc)))


def all_tables() -> MetaData:
    """Return the declarations of all our tables."""
    for module in DECLARED_IN:
        importlib.import_module(module)
    return metadata


def applied(connection: Connection) -> int:
    """Return the version that the tables have come to, 0 where there are none."""
    if not inspect(connection).has_table(VERSIONS.name):
        return 0
    return max(connection.execute(select(VERSIONS.c.version)).scalars(), default=0)


def _complete(connection: Connection, table: Table) -> None:
    """Add what is missing of a table: itself, columns, indexes."""
    if table.name == REMADE and inspect(connection).has_table(table.name):
        key = inspect(connection).get_pk_constraint(table.name)["constrained_columns"]
        if key != [column.name for column in table.primary_key]:
            table.drop(connection)
            if inspect(connection).has_table("rest_api_operation"):
                # A former version, which packed the output otherwise.
                connection.execute(text("UPDATE rest_api_operation SET output = NULL"))
    table.create(connection, checkfirst=True)
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in there:
            operations = Operations(MigrationContext.configure(connection))
            operations.add_column(table.name, Column(column.name, column.type, nullable=column.nullable))
    there = {str(index["name"]) for index in inspect(connection).get_indexes(table.name)}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in there:
            index.create(connection)


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """Hold a lock that every migrating process takes, and a transaction where DDL has one."""
    name = connection.dialect.name
    if name in ("mysql", "mariadb"):
        with _named_lock(connection), connection.begin():
            yield
        return
    with connection.begin():
        if name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif name == "postgresql":
            # For what it changes as well: who waits for a table has all others wait behind.
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            key = {"key": zlib.crc32(LOCK.encode())}
            try:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
            except DBAPIError as error:
                if trouble_of(error) is not Trouble.AGAIN:
                    raise
                raise _waited() from error
        yield


def _waited() -> Unavailable:
    words = f"Another process migrates our tables since more than {LOCK_SECONDS} s"
    # Who asked for the database has long been told that it is away.
    log.warning(words)
    return Unavailable(words)


def _get_lock(connection: Connection, name: str, seconds: float) -> int | None:
    """Return 1 where the lock is ours, 0 where it was not free in time, None where something went wrong."""
    given = {"name": name, "seconds": ceil(max(0.0, min(seconds, ROUND_SECONDS)))}
    with connection.begin():
        got: int | None = connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), given).scalar()
    return got


@contextmanager
def _named_lock(connection: Connection) -> Iterator[None]:
    # The name counts for the whole server, and may have 64 characters.
    database = f"{zlib.crc32(str(connection.engine.url.database).encode()):08x}"
    name = f"{LOCK}_{database}"
    end = time.monotonic() + LOCK_SECONDS
    # Not all of it at once: a connection that is silent for so long passes for a lost one (`read_timeout`).
    while (got := _get_lock(connection, name, end - time.monotonic())) != 1:
        if got is None or time.monotonic() >= end:
            raise _waited()
    try:
        yield
    finally:
        with connection.begin():
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
