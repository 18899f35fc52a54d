"""What is done once in the warm parent so that no command has to do it again."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

LATE_IMPORTS = (
    "airflow.__main__",
    "airflow.api_fastapi.app",
    "airflow.cli.simple_table",
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.jobs.job",
    "airflow.models.serialized_dag",
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.operators.python",
    "airflow.sdk.definitions.dag",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.serialization.serialized_objects",
    "airflow.ti_deps.dep_context",
    "rich.pretty",
    "rich.syntax",
    "pygments.lexers.data",
    "pygments.lexers.configs",
    "tabulate",
    "yaml",
)
"""Modules that commands import only when they run; one that is not installed is left out."""

REHEARSALS = (
    ("version",),
    ("config", "get-value", "core", "executor"),
    ("variables", "get", "airflow-rest-api-rehearsal"),
    ("variables", "list", "--output=json"),
    ("connections", "list", "--output=json"),
    ("pools", "list", "--output=json"),
    ("pools", "list", "--output=table"),
    ("dags", "list", "--output=json"),
    ("dags", "details", "airflow-rest-api-rehearsal", "--output=json"),
    ("dags", "list-runs", "airflow-rest-api-rehearsal", "--output=json"),
    ("dags", "pause", "airflow-rest-api-rehearsal", "--output=json"),
    ("dags", "state", "airflow-rest-api-rehearsal", "2000-01-01"),
    ("dags", "trigger", "airflow-rest-api-rehearsal", "--output=json"),
    ("tasks", "state", "airflow-rest-api-rehearsal", "none", "2000-01-01"),
    ("jobs", "check"),
)
"""
Commands run once in the parent, with a name that does not exist where they need one.

They change nothing; they pull in what is imported late, fill SQLAlchemy's cache of compiled statements, which
the children inherit, and touch the code that most commands share. One that the installed Airflow lacks just
fails.
"""


IN_VAIN = (
    ("dags", "pause", "{dag_id}", "--output=json"),
    ("dags", "unpause", "{dag_id}", "--output=json"),
    ("dags", "trigger", "{dag_id}", "--output=json"),
    ("dags", "details", "{dag_id}", "--output=json"),
    ("dags", "next-execution", "{dag_id}"),
    ("variables", "set", "airflow-rest-api-rehearsal", "value"),
    ("pools", "set", "airflow-rest-api-rehearsal", "1", "rehearsal"),
)
"""Commands that write, run once in the parent with a DAG that exists, and all taken back: see `vain`."""

STRETCHES = (
    ("variables", "get", "airflow-rest-api-rehearsal"),
    ("dags", "pause", "airflow-rest-api-rehearsal", "--output=json"),
)
"""
Commands that a spare child runs while it waits: what they touch is then its own copy of the parent's memory.

That takes some six milliseconds off the command that the child is for, a third of a short one.
"""

PRIMED = (
    "airflow._shared.observability.metrics.stats:_get_registry",
    "airflow.models.crypto:get_fernet",
)
"""Functions that read something once per process and keep it; one that is not there is left out."""

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


DAG_ID = "{dag_id}"
"""Stands for the DAG in `rehearsals.IN_VAIN`."""


def rehearse_in_vain(lines: tuple[tuple[str, ...], ...], rehearse: Callable[[tuple[str, ...]], None]) -> None:
    """
    Rehearse commands with a DAG of the database, and let nothing of it be committed.

    Where listeners are registered nothing is rehearsed: they would hear of runs that never were.
    """
    from airflow.listeners.listener import get_listener_manager

    if get_listener_manager().has_listeners:
        return
    dag_id = _some_dag()
    if dag_id is None:
        return
    with _nothing_committed():
        for argv in lines:
            rehearse(tuple(dag_id if word == DAG_ID else word for word in argv))


def _some_dag() -> str | None:
    """Return the first DAG that runs can be made of."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found: str | None = session.scalar(
            select(SerializedDagModel.dag_id).order_by(SerializedDagModel.dag_id).limit(1)
        )
        return found


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


log = logging.getLogger(__name__)


def warm_up(preload: Sequence[str] = ()) -> None:
    """
    Import Airflow with all commands, check the database's migrations, rehearse, leave no connection open.

    A database that is not there or not migrated is no error here: the commands themselves will say so.
    """
    from airflow.cli.cli_parser import get_parser

    with _silence():
        parser = get_parser()
        _import_commands(parser)
        for name in (*LATE_IMPORTS, *preload):
            _quietly(importlib.import_module, name)
        for name in PRIMED:
            _quietly(_prime, name)
        for name in SHARED:
            _quietly(_share, name)
        _quietly(_configure_models)
        _quietly(_load_secrets_backends)
        _quietly(_build_execution_api)
        for name in ONCE_PER_DATABASE:
            _quietly(_once_per_database, name)
        with _no_action_log():
            for argv in REHEARSALS:
                _rehearse(parser, argv)
            _quietly(rehearse_in_vain, IN_VAIN, functools.partial(_rehearse, parser))
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


def stretch() -> None:
    """
    Use in a spare child what most commands use, and keep a connection to the database open for its command.

    Only where Airflow looks at a connection before it uses it, as it does by default: the database may be
    restarted while the child waits.
    """
    from airflow import settings
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    with _silence(), _no_action_log():
        for argv in STRETCHES:
            _rehearse(parser, argv)
    # The pool is asked, not the configuration: local settings can make the engine in their own way.
    pool = getattr(settings.engine, "pool", None)
    if settings.Session is not None and getattr(pool, "_pre_ping", False):
        _quietly(settings.Session.remove)
    else:
        rest()


def rest() -> None:
    """Let go of the connection that `stretch` keeps."""
    _quietly(_close_connections)


def _import_commands(parser: argparse.ArgumentParser) -> None:
    """Import the modules behind the parser's functions, which Airflow loads only when a command runs."""
    for leaf in _leaves(parser):
        function = leaf.get_default("func")
        if function is None:
            continue
        path = inspect.getclosurevars(inspect.unwrap(function)).nonlocals.get("import_path")
        if isinstance(path, str):
            _quietly(importlib.import_module, path.rpartition(".")[0])


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for below in group.choices.values():
            yield from _leaves(below)


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


def _configure_models() -> None:
    import airflow.models
    from sqlalchemy.orm import configure_mappers

    airflow.models.import_all_models()  # type: ignore[no-untyped-call]
    configure_mappers()


def _load_secrets_backends() -> None:
    from airflow.configuration import ensure_secrets_loaded

    ensure_secrets_loaded()


def _build_execution_api() -> None:
    """
    Build ahead the API that a task run by `tasks test` or `dags test` talks to inside its own process.

    Airflow keeps it for the life of the process; to generate its routes takes most of such a command.
    """
    from airflow.sdk.execution_time import supervisor

    supervisor.in_process_api_server().app._cadwyn_initialize()


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


def _rehearse(parser: argparse.ArgumentParser, argv: tuple[str, ...]) -> None:
    try:
        args = parser.parse_args(argv)
        args.func(args)
    except (Exception, SystemExit):
        log.debug("The rehearsal of %s ended early", argv, exc_info=True)


def _close_connections() -> None:
    from airflow import settings

    if settings.Session is not None and settings.engine is not None:
        settings.Session.remove()
        settings.engine.dispose()


@contextlib.contextmanager
def _no_action_log() -> Iterator[None]:
    """Keep rehearsals out of Airflow's audit log."""
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
    """
    Send what is printed or logged to nowhere.

    By descriptor and not by stream: some of Airflow's loggers keep the stream that they found first.
    """
    _flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        # What is still in the buffers must not come out of a child.
        _flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _quietly(step: Callable[..., object], *args: object) -> None:
    """Do a step that only saves time later: without it the commands still work."""
    try:
        step(*args)
    except (Exception, SystemExit):
        log.debug("Left out while warming up: %s%s", step, args, exc_info=True)
