"""What DAG files print while they are parsed, kept out of what a command prints."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from typing import Any


def to_stderr() -> None:
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
