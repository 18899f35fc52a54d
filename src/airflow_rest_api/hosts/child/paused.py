"""What `dags pause` and `dags unpause` print: the state that a DAG has now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def shown_as(paused: bool) -> None:
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
