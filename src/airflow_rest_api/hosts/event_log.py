"""Airflow's own event log: the table behind the Audit Log page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

LONGEST_EVENT = 60
LONGEST_ID = 250
LONGEST_NAME = 500
"""The columns of `airflow.models.log.Log`."""

BATCH = 1000
"""Rows that are deleted in one transaction."""


@dataclass(frozen=True)
class Event:
    """One row: what was done, by whom, to what."""

    name: str
    owner: str
    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def write(events: Sequence[Event]) -> None:
    """Add rows to the event log; raise what the database raises. Blocks: not for an event loop."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    rows = []
    for event in events:
        row: Any = Log(
            event=_text(event.name, LONGEST_EVENT),
            owner=_text(event.owner, LONGEST_NAME),
            owner_display_name=_text(event.owner, LONGEST_NAME),
            extra=_text(json.dumps(event.extra, default=str)),
            dag_id=_text(event.dag_id, LONGEST_ID),
            task_id=_text(event.task_id, LONGEST_ID),
            run_id=_text(event.run_id, LONGEST_ID),
        )
        row.dttm = event.at
        rows.append(row)
    with create_session() as session:
        session.add_all(rows)


def count(engine: Engine, prefix: str) -> int:
    """Return how many rows have an event that begins with a text; 0 where there is no event log."""
    from airflow.models.log import Log
    from sqlalchemy import func, inspect, select

    with engine.connect() as connection:
        if not inspect(connection).has_table(Log.__tablename__):
            return 0
        ours = Log.event.startswith(prefix, autoescape=True)
        return connection.execute(select(func.count()).select_from(Log).where(ours)).scalar() or 0


def remove(engine: Engine, prefix: str) -> None:
    """Delete the rows whose event begins with a text, a few in each transaction."""
    from airflow.models.log import Log
    from sqlalchemy import delete, select

    ours = select(Log.id).where(Log.event.startswith(prefix, autoescape=True)).order_by(Log.id).limit(BATCH)
    while True:
        with engine.begin() as connection:
            # In two statements: MySQL takes no LIMIT in a subquery.
            found = list(connection.execute(ours).scalars())
            connection.execute(delete(Log).where(Log.id.in_(found)))
        if len(found) < BATCH:
            return


def _text(text: str | None, longest: int | None = None) -> str | None:
    """Return a text as every database takes it."""
    if text is None:
        return None
    return text.replace("\0", "").encode(errors="replace").decode()[:longest]
