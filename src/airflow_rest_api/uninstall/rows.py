"""What is left in databases: our tables, and our rows in Airflow's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select

from airflow_rest_api.airflow import event_log, fab_permissions
from airflow_rest_api.commands.needs import DEPLOY, POWERS
from airflow_rest_api.dag_files import history_tables as of_dag_files
from airflow_rest_api.legacy import usage_store as of_legacy
from airflow_rest_api.operations import tables as of_operations
from airflow_rest_api.security.audit import PREFIX
from airflow_rest_api.services import tables as of_services
from airflow_rest_api.storage.migrations import MIGRATIONS, VERSIONS, applied
from airflow_rest_api.uninstall.leftover import Leftover

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Engine

TABLES: tuple[Table, ...] = (
    of_operations.OPERATION,
    of_operations.OUTPUT,
    of_operations.FILE,
    of_operations.CANCEL,
    of_operations.SERVER,
    of_services.SERVICE,
    of_dag_files.DEPLOYMENT,
    of_dag_files.FILE,
    of_dag_files.CONTENT,
    of_dag_files.DAG,
    of_legacy.USAGE,
    # The last one: as long as it is there, it says whose the others are.
    VERSIONS,
)


class NewerTables(Exception):
    """The tables are those of a newer version, of which this one does not know all."""


def in_our_database(engine: Engine) -> Iterable[Leftover]:
    """
    Return our tables, wherever they are.

    :raises NewerTables: a newer version has made some
    """
    with engine.connect() as connection:
        if newer := sorted(applied(connection) - set(MIGRATIONS)):
            raise NewerTables(
                f"The tables are those of a newer version of the plugin ({newer[-1]}): it can remove them."
            )
        there = set(inspect(connection).get_table_names())
        found = [table for table in TABLES if table.name in there]
        counts = [connection.execute(select(func.count()).select_from(table)).scalar() for table in found]
    where = engine.url.render_as_string(hide_password=True)
    for table, rows in zip(found, counts, strict=True):
        yield Leftover(f"the table {table.name} with {rows} rows, in {where}", _dropped(table, engine))


def in_airflows(engine: Engine) -> Iterable[Leftover]:
    """Return the rows of ours in the tables of Airflow and of Flask-AppBuilder."""
    if rows := event_log.count(engine, PREFIX):
        yield Leftover(
            f"{rows} rows of Airflow's event log (Audit Log) whose event begins with {PREFIX!r}",
            lambda: event_log.remove(engine, PREFIX),
        )
    if names := fab_permissions.existing(engine, POWERS, DEPLOY):
        yield Leftover(
            f"resources of Flask-AppBuilder, with what roles may do to them: {', '.join(names)}",
            lambda: fab_permissions.remove(engine, names),
        )


def _dropped(table: Table, engine: Engine) -> Callable[[], None]:
    return lambda: table.drop(engine, checkfirst=True)
