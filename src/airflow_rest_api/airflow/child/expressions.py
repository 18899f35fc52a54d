"""Regular expressions of clients in the child of their command, for so long and no longer."""

from __future__ import annotations

import functools
import re
import signal
from collections.abc import Iterable
from typing import Any, NoReturn

from airflow_rest_api.airflow import expressions

LONGEST = expressions.PATIENCE
"""Seconds that an expression may take for all names together."""


def matching(expression: str, names: Iterable[str]) -> set[str]:
    """
    Return the names in which a regular expression is found.

    :raises SystemExit: that takes longer than an expression that makes sense does
    """

    def stop(*_: Any) -> NoReturn:
        raise SystemExit(str(expressions.TooSlow()))

    # The engine behind `re` looks for signals while it works.
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        found = re.compile(expression)
        return {name for name in names if found.search(name)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tried() -> None:
    """
    Have `dags pause`, `dags unpause` and `tasks clear` try an expression on all DAGs before they use it.

    They apply it in this process (SQLite calls Python's), or in the database, for as long as it takes.
    """
    from airflow.cli.commands import dag_command, task_command

    for module, name, pattern_of in (
        (dag_command, "set_is_paused", _of_pause),
        (task_command, "get_dags", _of_clear),
    ):
        if (function := getattr(module, name, None)) is not None:
            setattr(module, name, _trying(function, pattern_of))


def _trying(function: Any, pattern_of: Any) -> Any:
    @functools.wraps(function)
    def after_a_try(*args: Any, **options: Any) -> Any:
        pattern = pattern_of(*args, **options)
        if pattern is not None:
            try:
                expressions.dags_matching(pattern)
            except (expressions.TooSlow, re.error) as error:
                raise SystemExit(str(error)) from None
        return function(*args, **options)

    return after_a_try


def _of_pause(is_paused: bool, args: Any, *more: Any, **options: Any) -> str | None:
    return args.dag_id if getattr(args, "treat_dag_id_as_regex", False) else None


def _of_clear(bundles: Any, dag_id: str, use_regex: bool = False, *more: Any, **options: Any) -> str | None:
    return dag_id if use_regex else None
