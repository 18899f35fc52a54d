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

from airflow_rest_api.engine.dry_runs import rehearse_in_vain
from airflow_rest_api.engine.rehearsals import (
    IN_VAIN,
    LATE_IMPORTS,
    ONCE_PER_DATABASE,
    PRIMED,
    REHEARSALS,
    SHARED,
    STRETCHES,
)

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
