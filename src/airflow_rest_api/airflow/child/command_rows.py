"""The row that Airflow itself writes into its event log for each command: as short as ours."""

from __future__ import annotations

import functools
from typing import Any

from airflow_rest_api.airflow.event_log import (
    ID_ROOM,
    LINE_ROOM,
    LONGEST_ID,
    LONGEST_NAME,
    OWNER_ROOM,
    id_text,
    short_text,
)


def shorten() -> None:
    """
    Have what Airflow writes down of a command cut to what a row takes, for the rest of this process.

    `airflow.utils.cli.action_cli` writes the whole command line, and ids as they were given: too long for
    the column, the row is lost on PostgreSQL and MySQL.
    """
    import airflow.utils.cli

    cli: Any = airflow.utils.cli
    build = cli._build_metrics

    @functools.wraps(build)
    def build_short(*args: Any, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = build(*args, **options)
        if isinstance(line := found.get("full_command"), str):
            found["full_command"] = short_text(line, LINE_ROOM)
        columns = ("dag_id", LONGEST_ID, ID_ROOM), ("task_id", LONGEST_ID, ID_ROOM)
        for name, longest, room in (*columns, ("user", LONGEST_NAME, OWNER_ROOM)):
            if isinstance(text := found.get(name), str):
                found[name] = id_text(text, longest, room)
        return found

    cli._build_metrics = build_short
