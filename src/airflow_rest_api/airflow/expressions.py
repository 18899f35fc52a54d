"""Regular expressions of clients over the ids of DAGs: in the database, or in a process that is killed."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from airflow_rest_api.airflow.queries import values
from airflow_rest_api.engine.patches import patch

MATCHING = "import json,re,sys;p,n=json.load(sys.stdin);print(json.dumps([i for i in n if re.search(p,i)]))"
TIME_LIMIT = 2.0
"""Seconds for a regular expression and all names together, which may take for ever."""


class TooSlow(Exception):
    """A regular expression takes longer than one that makes sense does."""

    def __init__(self) -> None:
        super().__init__(f"The regular expression takes longer than {TIME_LIMIT:g} seconds")


def dags_matching(pattern: str) -> list[str]:
    """
    Find DAGs as `airflow dags pause --treat-dag-id-as-regex` does: in the database, by its rules.

    SQLite has none and calls Python's, in this process, where one expression can hold up everything: that is
    left to a process of its own, which is killed after the time.

    :raises TooSlow: it takes too long
    :raises re.error: it is none, for Python
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    if not _database_has_expressions():
        return dags_found(pattern)
    with create_session() as session:
        return in_database(session, DagModel.dag_id, pattern)


def _database_has_expressions() -> bool:
    from airflow import settings

    engine: Any = settings.engine
    return bool(engine.dialect.name != "sqlite")


def dags_found(pattern: str) -> list[str]:
    """
    Find DAGs as `airflow tasks clear --dag-regex` does: by the expressions of Python.

    It looks among those of the files (airflow/utils/cli.py: `get_dags`), this among those of the database.

    :raises TooSlow: it takes too long
    :raises re.error: it is none
    """
    from airflow.models.dag import DagModel

    column: Any = DagModel.dag_id
    return _by_python(pattern, values(select(column)))


def dags_matching_somehow(pattern: str) -> list[str]:
    """
    Return the DAGs that one of the commands which take an expression finds.

    The databases and Python read some expressions differently, such as ``\\b`` and ``[[:digit:]]``.

    :raises TooSlow: it takes too long
    :raises re.error: no command takes it
    """
    found: set[str] = set()
    taken = False
    for find in (dags_matching, dags_found) if _database_has_expressions() else (dags_found,):
        # Who does not take it ends with that.
        with contextlib.suppress(re.error, DBAPIError):
            found.update(find(pattern))
            taken = True
    if not taken:
        raise re.error("not a regular expression")
    return sorted(found)


def in_database(session: Any, column: Any, pattern: str) -> list[str]:
    """
    Find the values of a column by the database's own expressions, in a transaction that has just begun.

    :raises TooSlow: it takes too long
    """
    milliseconds = int(TIME_LIMIT * 1000)
    # PostgreSQL gives up in time within this transaction, and MySQL by the hint; to MariaDB, whose
    # expressions have bounds of their own, that is a comment.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
    hint = f"/*+ MAX_EXECUTION_TIME({milliseconds}) */"
    query = select(column).where(column.regexp_match(pattern)).prefix_with(hint, dialect="mysql")
    try:
        return list(session.scalars(query))
    except DBAPIError as error:
        session.rollback()
        if _is_late(error):
            raise TooSlow from None
        raise


def _by_python(pattern: str, names: list[str]) -> list[str]:
    words = [sys.executable, "-I", "-S", "-c", MATCHING]
    asked = json.dumps([pattern, names])
    try:
        done = subprocess.run(
            words, input=asked, capture_output=True, text=True, timeout=TIME_LIMIT, check=True
        )
    except subprocess.TimeoutExpired:
        raise TooSlow from None
    except subprocess.CalledProcessError:
        raise re.error("not a regular expression") from None
    found: list[str] = json.loads(done.stdout)
    return found


def _is_late(error: Any) -> bool:
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    arguments: Any = getattr(error.orig, "args", ())
    # query_canceled of PostgreSQL; ER_QUERY_TIMEOUT and ER_REGEXP_TIME_OUT of MySQL.
    return code == "57014" or (bool(arguments) and arguments[0] in (3024, 3699))


def matching(expression: str, names: Iterable[str]) -> set[str]:
    """
    Return the names in which a regular expression is found.

    :raises SystemExit: that takes longer than an expression that makes sense does
    """

    def stop(*_: Any) -> NoReturn:
        raise SystemExit(str(TooSlow()))

    # The engine behind `re` looks for signals while it works.
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
    try:
        found = re.compile(expression)
        return {name for name in names if found.search(name)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def or_exit(find: Callable[[str], list[str]], pattern: str) -> list[str]:
    """
    Return what a function finds, for a command in whose process we are.

    :raises SystemExit: it takes too long, or is no regular expression
    """
    try:
        return find(pattern)
    except (TooSlow, re.error) as error:
        raise SystemExit(str(error)) from None


def try_first() -> None:
    """
    Have `dags pause` and `dags unpause` try an expression on all DAGs before they use it.

    They apply it in this process (SQLite calls Python's), or in the database, for as long as it takes.
    """
    from airflow.cli.commands import dag_command

    commands: Any = dag_command
    set_is_paused = commands.set_is_paused

    @functools.wraps(set_is_paused)
    def after_a_try(is_paused: bool, args: Any, *more: Any, **options: Any) -> Any:
        if getattr(args, "treat_dag_id_as_regex", False):
            or_exit(dags_matching, args.dag_id)
        return set_is_paused(is_paused, args, *more, **options)

    patch(commands, "set_is_paused", after_a_try)
