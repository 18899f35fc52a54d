"""What a command prints: nothing of what DAG files print beside it, and the state that a DAG has now."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def dag_files_to_stderr() -> None:
    """
    Have everything that a DAG file prints while Airflow parses it go to standard error.

    The answer of a command is its standard output: the ids of tasks, a state, JSON. Whatever a file runs
    while it is parsed, a shell command included, prints beside that.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag: Any = DagBag
    process_file = bag.process_file

    @functools.wraps(process_file)
    def process_quietly(*args: Any, **options: Any) -> Any:
        with _stdout_to_stderr():
            return process_file(*args, **options)

    bag.process_file = process_quietly


def paused_as(paused: bool) -> None:
    """
    Have a DAG's row say whether it is paused after the command.

    Airflow 3.3.2 prints the value from before (`dag_command.set_is_paused`: `old_values`).

    :param paused: what the command makes of each DAG whose row it prints
    """
    from airflow.cli.simple_table import AirflowConsole

    console: Any = AirflowConsole
    print_as = console.print_as

    def print_after(
        self: Any, data: Sequence[Any], output: str, mapper: Callable[[Any], Any] | None = None
    ) -> None:
        rows = [mapper(row) if mapper else row for row in data]
        print_as(self, data=[{**row, "is_paused": paused} for row in rows], output=output)

    console.print_as = print_after


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Send descriptor 1, and so also what other programs print, where descriptor 2 leads."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
    finally:
        os.close(kept)
