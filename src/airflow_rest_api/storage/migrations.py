"""From no tables, or those of an older version, to the tables of this one."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, Table, inspect, select, text

from airflow_rest_api.storage.schema import TABLE_OPTIONS, Utc, metadata
from airflow_rest_api.storage.steps import Steps
from airflow_rest_api.storage.versions import (
    v1_operations,
    v2_services,
    v3_dag_files,
    v4_legacy_usage,
    v5_deployed_dags,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

log = logging.getLogger(__name__)

MIGRATIONS: dict[int, Callable[[Steps], None]] = {
    1: v1_operations.upgrade,
    2: v2_services.upgrade,
    3: v3_dag_files.upgrade,
    4: v4_legacy_usage.upgrade,
    5: v5_deployed_dags.upgrade,
}
"""
What leads from each version to the next, by its number; in the order of the numbers.

A migration may run again after it was interrupted (MySQL commits every DDL statement), and while API servers
of the version before it still run: it only adds. What has been released is never changed.
"""

VERSIONS = Table(
    "rest_api_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", Utc, nullable=False),
    **TABLE_OPTIONS,
)

LOCK = "airflow_rest_api_schema"
LOCK_SECONDS = 300


def migrate(engine: Engine, migrations: dict[int, Callable[[Steps], None]] | None = None) -> None:
    """
    Make the tables, or bring them up to date; safe when several processes do so at the same time.

    :param migrations: in place of all of them
    :raises sqlalchemy.exc.SQLAlchemyError: what the database said
    """
    wanted = MIGRATIONS if migrations is None else migrations
    with engine.connect() as connection, connection.begin():
        done = applied(connection)
    if newer := sorted(done - set(MIGRATIONS)):
        log.warning("The tables of the REST API plugin are those of a newer version (%s)", newer[-1])
    if done.issuperset(wanted):
        return
    with engine.connect() as connection, _locked(connection):
        done = applied(connection)
        if not inspect(connection).has_table(VERSIONS.name):
            VERSIONS.create(connection)
        for version in sorted(set(wanted) - done):
            log.info("The tables of the REST API plugin are brought to version %s", version)
            wanted[version](Steps(connection))
            connection.execute(
                VERSIONS.insert().values(version=version, applied_at=datetime.now(timezone.utc))
            )


def applied(connection: Connection) -> set[int]:
    """Return the versions that the tables have come to."""
    if not inspect(connection).has_table(VERSIONS.name):
        return set()
    return set(connection.execute(select(VERSIONS.c.version)).scalars())


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
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(LOCK.encode())})
        yield


@contextmanager
def _named_lock(connection: Connection) -> Iterator[None]:
    # The name counts for the whole server, and may have 64 characters.
    database = f"{zlib.crc32(str(connection.engine.url.database).encode()):08x}"
    name = {"name": f"{LOCK}_{database}", "seconds": LOCK_SECONDS}
    with connection.begin():
        got = connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), name).scalar()
    if got != 1:
        raise RuntimeError(f"Another process migrates our tables since more than {LOCK_SECONDS} s")
    try:
        yield
    finally:
        with connection.begin():
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)
