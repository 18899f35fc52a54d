"""
DAG files and bags of DAGs: found, parsed, stored, and what is in them.

Imported in children and threads only: most of it takes a while to import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.compat.version_compat import (
    AIRFLOW_V_3_1_PLUS,
    AIRFLOW_V_3_2_PLUS,
    AIRFLOW_V_3_3_PLUS,
)
from airflow_rest_api.engine.patches import replaced

if TYPE_CHECKING or AIRFLOW_V_3_2_PLUS:
    from airflow._shared.module_loading.file_discovery import find_path_from_directory
    from airflow.dag_processing import dagbag
    from airflow.serialization.definitions.dag import SerializedDAG
else:
    from airflow.models import dagbag
    from airflow.serialization.serialized_objects import SerializedDAG
    from airflow.utils.file import find_path_from_directory

__all__ = ["dagbag", "find_path_from_directory"]

LISTS_ALL_VERSIONS = AIRFLOW_V_3_1_PLUS
"""Whether `dags list` may read all versions of each DAG."""

ListFiles = Callable[..., list[str]]
"""Lists the DAG files of a folder, with `safe_mode`."""

_module: Any = dagbag

if AIRFLOW_V_3_1_PLUS:
    CLEARS: tuple[Any, Any] = (SerializedDAG, SerializedDAG)
else:
    from airflow.models.dag import DAG as SCHEDULER_DAG
    from airflow.sdk.definitions.dag import DAG

    CLEARS = (DAG, SCHEDULER_DAG)
"""The classes with `partial_subset` and `clear_dags`, of which `tasks clear` makes use."""


CLEARS_BY_FILE = None if AIRFLOW_V_3_2_PLUS else "get_dag_by_file_location"
"""The function by which `tasks clear` takes the DAG that it was given from its file."""

LISTS_FILES = "get_importer_registry" if AIRFLOW_V_3_2_PLUS else "list_py_file_paths"
"""What of the module `dagbag` a bag gets its files from."""

WRITES_PARSED: Callable[..., Any] | None = _module.sync_bag_to_db if AIRFLOW_V_3_1_PLUS else None
"""What of that module writes all that was parsed in the search for a DAG, which 3.0 does not."""


def empty_bag(file: str, bundle_path: Path, bundle_name: str) -> Any:
    """Return a `DagBag` that has parsed nothing yet."""
    return _module.DagBag(file, collect_dags=False, bundle_path=bundle_path, **_of_bundle(bundle_name))


def bag_of_file(path: str, bundle_path: Path, bundle_name: str) -> Any:
    """Return a bag of what a file of a bundle defines, or of its import error, as the DAG processor does."""
    error, _ = instability(path, bundle_path)
    if error is None:
        # Without safe mode, which passes over files that do not look like DAG files, broken ones among them.
        return filled_bag(path, bundle_path, bundle_name, safe_mode=False)
    bag = empty_bag(path, bundle_path, bundle_name)
    bag.import_errors[str(Path(path).relative_to(bundle_path))] = error
    return bag


def filled_bag(path: str, bundle_path: Path, bundle_name: str, **more: Any) -> Any:
    """Return a bag of what the files of a bundle at a path define, made with `more`."""
    more |= {"bundle_path": bundle_path, **_of_bundle(bundle_name)}
    if _has_bundle_bag():
        return _module.BundleDagBag(path, **more)
    let_import(bundle_path)
    return _module.DagBag(path, include_examples=False, **more)


def instability(file: str, bundle_path: Path) -> tuple[str | None, str | None]:
    """
    Return what Airflow has against a file whose DAGs are others at each parse: an import error, or a warning.

    Since 3.2 the DAG processor looks before it parses (``[dag_processor] dag_version_inflation_check_level``,
    `airflow.dag_processing.processor._parse_file`); what fills a bag does not.
    """
    if not AIRFLOW_V_3_2_PLUS:
        return None, None
    from airflow.utils.dag_version_inflation_checker import check_dag_file_stability

    found: Any = check_dag_file_stability(file)
    [error] = (found.get_error_format_dict(file, bundle_path) or {"": None}).values()
    # Airflow has it once for each DAG of the file.
    [warning] = found.get_formatted_warnings([""]) or [{"message": None}]
    return error, warning["message"]


def let_import(folder: str | Path) -> None:
    """Have DAG files import what lies in a folder, as Airflow does since 3.1.7 with that of a bundle."""
    if not _has_bundle_bag() and str(folder) not in sys.path:
        sys.path.append(str(folder))


def _has_bundle_bag() -> bool:
    """Return whether Airflow has a bag of its own for bundles, which came in the middle of 3.1."""
    return hasattr(_module, "BundleDagBag")


@contextmanager
def stored_at_once() -> Iterator[None]:
    """
    Have DAGs stored that Airflow would leave as they are, as it has stored them only just now.

    Since 3.2 Airflow asks its configuration each time it stores one; before, a module has asked once.
    """
    from airflow import settings

    option = "MIN_SERIALIZED_DAG_UPDATE_INTERVAL"
    held: Any = os.environ if AIRFLOW_V_3_2_PLUS else vars(settings)
    name, value = (f"AIRFLOW__CORE__{option}", "0") if AIRFLOW_V_3_2_PLUS else (option, 0)
    before = held.get(name)
    held[name] = value
    try:
        yield
    finally:
        held.pop(name)
        held.update({} if before is None else {name: before})


@contextmanager
def database_read() -> Iterator[None]:
    """
    Have DAG files read variables and connections that are in the database, as in the DAG processor.

    There, a supervisor answers (`airflow.dag_processing.processor`). Without one, Airflow's SDK since 3.2
    looks into the database where the process says that it is a server's (`ensure_secrets_backend_loaded` of
    `airflow.sdk.execution_time.supervisor`); 3.0 and the first of 3.1 ask a supervisor whatever it says.
    """
    from airflow.sdk.execution_time import task_runner

    held: Any = os.environ if AIRFLOW_V_3_2_PLUS else vars(task_runner)
    name = "_AIRFLOW_PROCESS_CONTEXT" if AIRFLOW_V_3_2_PLUS else "SUPERVISOR_COMMS"
    before = held.get(name)
    held[name] = "server" if AIRFLOW_V_3_2_PLUS else DatabaseComms()
    try:
        yield
    finally:
        held.pop(name)
        held.update({} if before is None else {name: before})


class DatabaseComms:
    """Answers in the place of a supervisor, from what an API server reads variables and connections from."""

    def send(self, asked: Any) -> Any:
        """Return the answer to a message of Airflow's SDK; None for all but these two kinds."""
        from airflow.sdk.execution_time.comms import GetConnection, GetVariable
        from airflow.sdk.execution_time.supervisor import set_supervisor_comms

        # What is asked would ask this one again.
        with set_supervisor_comms(None):
            if isinstance(asked, GetVariable):
                return self._variable(asked.key)
            if isinstance(asked, GetConnection):
                return self._connection(asked.conn_id)
        return None

    def _variable(self, key: str) -> Any:
        from airflow.models import Variable
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse, VariableResult

        value = Variable.get_variable_from_secrets(key)
        if value is None:
            return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": key})
        return VariableResult(key=key, value=value)

    def _connection(self, conn_id: str) -> Any:
        from airflow import exceptions
        from airflow.models import Connection
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import ConnectionResult, ErrorResponse

        module: Any = exceptions
        try:
            found = Connection.get_connection_from_secrets(conn_id)
        except module.AirflowNotFoundException:
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": conn_id})
        names = ("conn_id", "conn_type", "host", "schema", "login", "password", "port", "extra")
        return ConnectionResult(**{name: getattr(found, name) for name in names})


def store(bag: Any, bundle_name: str, version: Any, session: Any) -> None:
    """
    Write what a bag holds to Airflow's database, as the DAG processor does.

    :param version: the one that the bundle says it has: since 3.3 it can say more of it than a name
    """
    bundle_version = getattr(version, "version", version)
    if (data := getattr(version, "data", None)) is not None:
        _module.sync_bag_to_db(bag, bundle_name, bundle_version, version_data=data, session=session)
    elif AIRFLOW_V_3_1_PLUS:
        _module.sync_bag_to_db(bag, bundle_name, bundle_version, session=session)
    else:
        bag.sync_to_db(bundle_name, bundle_version, session=session)


def schedule_of(dag: Any) -> str:
    """
    Return in words when a DAG runs, as Airflow's page shows it.

    The DAG is serialized for that; an error of it is one that the DAG processor would show.
    """
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    lazy: Any = LazyDeserializedDAG
    if AIRFLOW_V_3_1_PLUS:
        return str(lazy.from_dag(dag).timetable.summary)
    serialized: Any = SerializedDAG
    return str(serialized.from_dict(serialized.to_dict(dag)).timetable.summary)


def parsed_dag(dag_id: str) -> Any:
    """Return a DAG from its file, as the commands have it that run code of it."""
    return lookup()(None, dag_id)


def lookup() -> Callable[..., Any]:
    """Return the function by which commands look for the file of a DAG, and parse it."""
    from airflow.utils import cli

    found: Callable[..., Any] = getattr(cli, "get_bagged_dag" if AIRFLOW_V_3_1_PLUS else "get_dag")
    return found


def stored_dag(bundle_name: str, dag_id: str) -> Any:
    """Return a DAG of a bundle as the database has it, with methods to clear it and a part of it there."""
    from airflow.utils import cli

    module: Any = cli
    if AIRFLOW_V_3_1_PLUS:
        return module.get_db_dag(bundle_names=[bundle_name], dag_id=dag_id)
    return module.get_dag(bundle_names=[bundle_name], dag_id=dag_id, from_db=True)


def has_no_run(dag_id: str, start: datetime, end: datetime) -> bool:
    """
    Return whether a backfill of a range would have no run.

    Since 3.3 Airflow refuses it; before, it is stored, and keeps others of the DAG off for minutes.
    """
    from airflow.models import backfill
    from airflow.models.serialized_dag import SerializedDagModel

    dag = None if AIRFLOW_V_3_3_PLUS else SerializedDagModel.get_dag(dag_id)
    module: Any = backfill
    return dag is not None and not list(
        module._get_info_list(from_date=start, to_date=end, reverse=False, dag=dag)
    )


@contextmanager
def newest_listed() -> Iterator[None]:
    """
    Have `dags list` read each DAG once.

    From 3.1 on Airflow reads all versions, and fails where one cannot be. 3.3.2 no longer does, and has no
    such statement that would be another one here; 3.3.0 does.
    """
    from airflow.cli.commands import dag_command
    from airflow.models.dag_version import DagVersion
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import func, select

    def of_newest(*entities: Any) -> Any:
        statement: Any = select(*entities)
        if entities[0] is not SerializedDagModel:
            return statement
        number = func.max(DagVersion.version_number).label("number")
        stored = SerializedDagModel.dag_version_id == DagVersion.id
        newest = (
            select(DagVersion.dag_id, number)
            .join(SerializedDagModel, stored)
            .group_by(DagVersion.dag_id)
            .subquery()
        )
        same = (newest.c.dag_id == DagVersion.dag_id) & (newest.c.number == DagVersion.version_number)
        return statement.join(DagVersion, stored).join(newest, same)

    if LISTS_ALL_VERSIONS:
        with replaced(dag_command, "select", of_newest):
            yield
    else:
        yield


def list_files() -> ListFiles:
    """Return what lists the DAG files of a folder."""
    found: ListFiles
    found = (
        _module.get_importer_registry().list_dag_files if AIRFLOW_V_3_2_PLUS else _module.list_py_file_paths
    )
    return found


@contextmanager
def listed_once_by(files: Callable[..., Iterator[str]]) -> Iterator[None]:
    """
    Have the next bag that is filled take its files from a function, while that is being done.

    :param files: called with Airflow's own function, the folder, and `safe_mode`
    """
    airflows = getattr(_module, LISTS_FILES)

    def registry_once() -> Any:
        # What is asked for later is the importer of a file.
        setattr(_module, LISTS_FILES, airflows)
        of_all = airflows().list_dag_files
        return SimpleNamespace(list_dag_files=lambda folder, **options: files(of_all, folder, **options))

    def list_once(folder: Any, **options: Any) -> Iterator[str]:
        setattr(_module, LISTS_FILES, airflows)
        return files(airflows, folder, **options)

    setattr(_module, LISTS_FILES, registry_once if AIRFLOW_V_3_2_PLUS else list_once)
    try:
        yield
    finally:
        setattr(_module, LISTS_FILES, airflows)


def is_of_bundle(bag: Any, bundle: Any) -> bool:
    """Return whether a bag is one of a bundle, which it knows by name since 3.2."""
    if AIRFLOW_V_3_2_PLUS:
        return bool(bag.bundle_name == bundle.name)
    return str(bag.bundle_path) == str(bundle.path)


def _of_bundle(name: str) -> dict[str, Any]:
    return {"bundle_name": name} if AIRFLOW_V_3_2_PLUS else {}
