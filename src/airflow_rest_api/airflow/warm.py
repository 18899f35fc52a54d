"""
The warm-up: what the warm parent and its spare children do ahead, so that no command has to do it again.

Commands are run as dry runs: with names that do not exist, or with a DAG that does, in transactions that are
rolled back. The first `dags trigger` of a process takes several times as long as the next: statements are
compiled, classes and properties made; with a name that does not exist it ends before most of that.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from airflow_rest_api.airflow import maskers
from airflow_rest_api.airflow.child import output, setup
from airflow_rest_api.airflow.queries import values
from airflow_rest_api.commands.discovery import leaves
from airflow_rest_api.engine.forkserver import PACKAGES
from airflow_rest_api.engine.job import Hooks

log = logging.getLogger(__name__)

NO_SUCH = "airflow-rest-api-dry-run"
"""The name of nothing."""

DAG_ID = "{dag_id}"
"""Stands for the DAG in `ROLLED_BACK`."""

LATE_IMPORTS = (
    "airflow.__main__",
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.operators.python",
    "airflow.sdk.execution_time.secrets_masker",
)
"""Modules that are imported when commands run and not with theirs; one that is not installed is left out."""

DRY_RUNS = (
    ("version",),
    ("config", "get-value", "core", "executor"),
    ("variables", "get", NO_SUCH),
    ("variables", "list", "--output=json"),
    ("connections", "list", "--output=json"),
    ("pools", "list", "--output=json"),
    ("pools", "list", "--output=table"),
    ("dags", "list", "--output=json"),
    ("dags", "details", NO_SUCH, "--output=json"),
    ("dags", "list-runs", NO_SUCH, "--output=json"),
    ("dags", "pause", NO_SUCH, "--output=json"),
    ("dags", "state", NO_SUCH, "2000-01-01"),
    ("dags", "trigger", NO_SUCH, "--output=json"),
    ("tasks", "state", NO_SUCH, "none", "2000-01-01"),
    ("jobs", "check"),
)
"""
Commands run once in the parent, with a name that does not exist where they need one.

They change nothing; they pull in what is imported late, fill SQLAlchemy's cache of compiled statements, which
the children inherit, and touch the code that most commands share. One that the installed Airflow lacks just
fails.
"""

ROLLED_BACK = (
    ("dags", "pause", DAG_ID, "--output=json"),
    ("dags", "unpause", DAG_ID, "--output=json"),
    ("dags", "trigger", DAG_ID, "--output=json"),
    ("dags", "details", DAG_ID, "--output=json"),
    ("dags", "next-execution", DAG_ID),
    ("variables", "set", NO_SUCH, "value"),
    ("pools", "set", NO_SUCH, "1", "dry run"),
)
"""Commands that write, run once in the parent with a DAG that exists, all rolled back."""

SPARE_DRY_RUNS = (
    ("variables", "get", NO_SUCH),
    ("dags", "pause", NO_SUCH, "--output=json"),
)
"""
Commands that a spare child runs while it waits: what they touch is then its own copy of the parent's memory.

That takes some six milliseconds off the command that the child is for, a third of a short one.
"""

PRIMED = (
    "airflow._shared.observability.metrics.stats:_get_registry",
    "airflow.models.crypto:get_fernet",
    "airflow.models:import_all_models",
    "sqlalchemy.orm:configure_mappers",
    "airflow.configuration:ensure_secrets_loaded",
)
"""Functions that do something once per process and keep it; one that is not there is left out."""

SHARED = ("airflow.api.client:get_current_api_client",)
"""
Functions whose result the children share: it holds no connection and no state, and is slow to build.

Airflow's local client builds an HTTP client, with all certificates of the machine, and never uses it.
"""

ONCE_PER_DATABASE = ("check_and_run_migrations", "synchronize_log_template")
"""
Functions of `airflow.utils.db` that Airflow calls before every command that needs the database.

They read all migration files, and the table of log templates with its columns. Both change with the
database's revision only, the second with the configuration too, for which the parent is renewed.
"""


OF_OTHER_PROCESSES = tuple(
    f"airflow.{name}"
    for name in (
        *("api_fastapi", "dag_processing", "executors", "jobs", "partition_mappers", "providers", "sdk"),
        *("ti_deps", "triggers"),
    )
)
"""What the API server, the scheduler, the DAG processor and workers run, and commands hardly do."""


def warm_up(watch: Callable[[Sequence[str]], None], preload: Iterable[str] = ()) -> None:
    """
    Import Airflow with all commands, check the database's migrations, do dry runs, leave no connection open.

    A database that is not there or not migrated is no error here: it is one of the commands themselves.

    :param watch: is given the files and folders whose change renews the warm parent
    :param preload: modules to import beside Airflow's commands
    """
    write_configuration()
    watch(watched())
    # Not before: what changes during an import has to be seen as changed.
    from airflow.cli.cli_parser import get_parser

    with _silence():
        parser = get_parser()
        _import_commands(parser)
        _quietly(setup.answer_for_the_user)
        for name in (*LATE_IMPORTS, *preload):
            _quietly(importlib.import_module, name)
        _quietly(begin_before_savepoints)
        for name in PRIMED:
            _quietly(_prime, name)
        for name in SHARED:
            _quietly(_share, name)
        _quietly(_build_execution_api)
        for name in ONCE_PER_DATABASE:
            _quietly(_once_per_database, name)
        # Some load all connections, or all variables, of which no command has loaded any by that.
        with _no_action_log(), maskers.learning_nothing():
            for argv in DRY_RUNS:
                _dry_run(parser, argv)
            _quietly(_dry_runs_rolled_back, parser)
        _quietly(_close_connections)
    # Some of what was imported puts the working folder on the path; a command's own is no place for modules.
    sys.path[:] = [path for path in sys.path if path not in ("", ".")]


def write_configuration() -> None:
    """
    Write the configuration file that a fresh AIRFLOW_HOME lacks, as the first command of it would.

    Airflow does so at the start of a command (``airflow.__main__.main``), and not where it is only imported:
    of an API server that no `airflow` command started, the first command's child would change what the warm
    parent was made from, and with that renew it.
    """
    from airflow import configuration

    # Airflow 3.0 does it on import.
    write = getattr(configuration, "write_default_airflow_configuration_if_needed", None)
    if write is not None:
        with _silence():
            _quietly(write)


def watched() -> list[str]:
    """
    Return the files and folders whose change renews the warm parent.

    Airflow's configuration file and local settings, the plugins folder, and the folders that installed
    packages lie in (a package that is installed, upgraded or removed changes its folder's own time).
    """
    from airflow.configuration import AIRFLOW_CONFIG, AIRFLOW_HOME, conf

    paths = [
        AIRFLOW_CONFIG,
        os.path.join(AIRFLOW_HOME, "config", "airflow_local_settings.py"),
        conf.get("core", "plugins_folder"),
        *(path for path in sys.path if path.endswith(PACKAGES)),
    ]
    return list(dict.fromkeys(paths))


def prepare_spare() -> None:
    """
    Use in a spare child what most commands use, and keep a connection to the database open for its command.

    Only where Airflow looks at a connection before it uses it, as it does by default: the database may be
    restarted while the child waits.
    """
    from airflow import settings
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    with _silence(), _no_action_log():
        for argv in SPARE_DRY_RUNS:
            _dry_run(parser, argv)
    if setup.keeps_connections(settings):
        _quietly(settings.Session.remove)  # type: ignore[union-attr]
    else:
        rest()


def rest() -> None:
    """Close the connection that `prepare_spare` keeps."""
    _quietly(_close_connections)


HOOKS = Hooks(
    warm=f"{__name__}:{warm_up.__name__}",
    spare=f"{__name__}:{prepare_spare.__name__}",
    rest=f"{__name__}:{rest.__name__}",
    masker=f"{maskers.__name__}:{maskers.pass_on.__name__}",
    main=f"{setup.__name__}:{setup.run_airflow.__name__}",
    tidy=f"{setup.__name__}:{setup.remember.__name__}",
    package="airflow",
    elsewhere=OF_OTHER_PROCESSES,
)
"""What the engine's processes do so that their commands are Airflow's."""


def _import_commands(parser: argparse.ArgumentParser) -> None:
    """Import the modules behind the parser's functions, which Airflow loads only when a command runs."""
    for _, leaf, _ in leaves(parser):
        function = leaf.get_default("func")
        if function is None:
            continue
        path = inspect.getclosurevars(inspect.unwrap(function)).nonlocals.get("import_path")
        if isinstance(path, str):
            _quietly(importlib.import_module, path.rpartition(".")[0])


def _prime(name: str) -> None:
    module, _, function = name.partition(":")
    getattr(importlib.import_module(module), function)()


def _share(name: str) -> None:
    """Replace a function, in every module that has it, by one that returns the same object each time."""
    home, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(home), attribute)
    shared = functools.cache(function)
    shared()
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(attribute) is function:
            setattr(module, attribute, shared)


def _build_execution_api() -> None:
    """
    Build ahead the API that a task run by `tasks test` or `dags test` talks to inside its own process.

    To generate its routes takes most of such a command.
    """
    from airflow_rest_api.airflow.compat import tasks

    tasks.build_execution_api()


def begin_before_savepoints() -> None:
    """
    Have a command on SQLite wait for its turn before it sets a savepoint outside of a transaction.

    Such a one begins a transaction that only reads. Where another process writes before it does, SQLite
    says at once that the database is locked, however long it may wait (https://sqlite.org/isolation.html):
    `backfill create` reads and writes so, and what it prints is recorded beside it, in the same file.
    """
    from airflow import settings
    from sqlalchemy import event

    engine = settings.engine
    if engine is None or engine.dialect.name != "sqlite":
        return

    def begin(connection: Any, name: str) -> None:
        if not connection.connection.dbapi_connection.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "savepoint", begin)


def _once_per_database(name: str) -> None:
    """
    Let the children compare one row instead of doing what was done here for the database as it is.

    Airflow's own function runs again whenever the database's revision is not the one that it last ran for.
    """
    from airflow.utils import db

    function = getattr(db, name)
    done_for: list[Any] = []

    @functools.wraps(function)
    def unless_done(*args: Any, **kwargs: Any) -> Any:
        if done_for and _database_revision() == done_for[0]:
            return None
        result = function(*args, **kwargs)
        done_for[:] = [_database_revision()]
        return result

    setattr(db, name, unless_done)
    unless_done()


def _database_revision() -> Any:
    from airflow import settings
    from sqlalchemy import text

    if settings.engine is None:
        return None
    with settings.engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()


def _dry_run(parser: argparse.ArgumentParser, argv: Iterable[str]) -> None:
    try:
        args = parser.parse_args(list(argv))
        args.func(args)
    except (Exception, SystemExit):
        log.debug("The dry run of %s ended early", argv, exc_info=True)


def _dry_runs_rolled_back(parser: argparse.ArgumentParser) -> None:
    """Run commands with a DAG of the database; none where listeners would get to see runs that never were."""
    from airflow.listeners.listener import get_listener_manager

    if get_listener_manager().has_listeners or (dag_id := _some_dag()) is None:
        return
    with _nothing_committed():
        for argv in ROLLED_BACK:
            _dry_run(parser, [dag_id if word == DAG_ID else word for word in argv])


def _some_dag() -> str | None:
    """Return the first DAG that runs can be made of."""
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    dags = select(SerializedDagModel.dag_id).order_by(SerializedDagModel.dag_id)
    return next(iter(values(dags.limit(1))), None)


@contextlib.contextmanager
def _nothing_committed() -> Iterator[None]:
    """Flush where a commit is asked for: the session's end, which Airflow never leaves out, rolls it back."""
    from airflow import settings
    from sqlalchemy.orm import Session

    commit = Session.commit
    Session.commit = Session.flush  # type: ignore[method-assign]
    try:
        yield
    finally:
        Session.commit = commit  # type: ignore[method-assign]
        if settings.Session is not None:
            settings.Session.rollback()


def _close_connections() -> None:
    from airflow import settings

    if settings.Session is not None and settings.engine is not None:
        settings.Session.remove()
        settings.engine.dispose()


@contextlib.contextmanager
def _no_action_log() -> Iterator[None]:
    """Keep dry runs out of Airflow's audit log."""
    from airflow.utils import cli_action_loggers

    before = cli_action_loggers.__dict__["__pre_exec_callbacks"]
    kept = list(before)
    before.clear()
    try:
        yield
    finally:
        before[:] = kept


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what is printed or logged to nowhere."""
    with open(os.devnull, "wb") as nowhere, output.led_to(nowhere.fileno(), 1, 2):
        yield


def _quietly(step: Callable[..., object], *args: object) -> None:
    """Do a step that only saves time later: without it the commands still work."""
    try:
        step(*args)
    except (Exception, SystemExit):
        log.debug("Left out while warming up: %s%s", step, args, exc_info=True)
