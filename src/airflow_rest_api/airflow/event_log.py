"""Airflow's own event log: the table behind the Audit Log page."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, inspect, select

from airflow_rest_api.engine.patches import patch

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

LONGEST_EVENT = 60
LONGEST_ID = 250
LONGEST_NAME = 500
"""The columns of `airflow.models.log.Log`, in characters."""

LONGEST_ROW = 4096
"""Bytes of all texts of a row together: no request can fill the table."""
ID_ROOM = 500
OWNER_ROOM = 256
"""Bytes of one id, and of one of the two columns for the user."""
SPARE = 64
"""Bytes of what Airflow fills in, such as the time."""
LINE_ROOM = 1200
"""Bytes, as JSON, of the command line in the row that Airflow itself writes: see `shorten_command_rows`."""

MARK = "…"
"""Stands where something was cut."""
SCALES = ((1000, 200), (300, 50), (100, 25), (40, 12), (20, 6))
"""Characters of a text and items of a list that are kept, ever fewer until it fits."""

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
    extra: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def fitted(event: Event) -> Event:
    """Return an event whose texts together have at most `LONGEST_ROW` bytes, marked where they were cut."""
    cut = replace(
        event,
        name=id_text(event.name, LONGEST_EVENT, ID_ROOM),
        owner=id_text(event.owner, LONGEST_NAME, OWNER_ROOM),
        dag_id=event.dag_id and id_text(event.dag_id, LONGEST_ID, ID_ROOM),
        task_id=event.task_id and id_text(event.task_id, LONGEST_ID, ID_ROOM),
        run_id=event.run_id and id_text(event.run_id, LONGEST_ID, ID_ROOM),
    )
    # The user is in two columns.
    others = (cut.name, cut.owner, cut.owner, cut.dag_id, cut.task_id, cut.run_id)
    room = LONGEST_ROW - SPARE - sum(len((text or "").encode()) for text in others)
    for longest, most in SCALES:
        extra = _shortened(event.extra, longest, most)
        # Counted first: of a long text, JSON may be many times as long.
        if _characters(extra) <= room and len(_as_json(extra)) <= room:
            return replace(cut, extra=extra)
    # What is no text and no list is short, and tells more than nothing.
    short = {name: one for name, one in event.extra.items() if isinstance(one, (int, float))}
    return replace(cut, extra={**dict(list(short.items())[:10]), "cut": MARK})


def short_text(text: str, room: int) -> str:
    """Return a text of at most so many bytes as JSON, marked where it was cut."""
    short, longest = text, room
    while longest and (len(short) > room or len(_as_json(short)) > room):
        short = text[:longest] + MARK
        longest = longest * 2 // 3
    return short


def write(events: Sequence[Event]) -> None:
    """Add rows to the event log; raise what the database raises. Blocks: not for an event loop."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    with create_session() as session:
        for event in map(fitted, events):
            row: Any = Log(
                event=event.name,
                owner=event.owner,
                owner_display_name=event.owner,
                extra=_as_json(event.extra),
                dag_id=event.dag_id,
                task_id=event.task_id,
                run_id=event.run_id,
            )
            row.dttm = event.at
            session.add(row)


def count(engine: Engine, prefix: str) -> int:
    """Return how many rows have an event that begins with a text; 0 where there is no event log."""
    from airflow.models.log import Log

    with engine.connect() as connection:
        if not inspect(connection).has_table(Log.__tablename__, schema=Log.metadata.schema):
            return 0
        ours = Log.event.startswith(prefix, autoescape=True)
        return connection.execute(select(func.count()).select_from(Log).where(ours)).scalar() or 0


def remove(engine: Engine, prefix: str) -> None:
    """Delete the rows whose event begins with a text, a few in each transaction."""
    from airflow.models.log import Log

    ours = select(Log.id).where(Log.event.startswith(prefix, autoescape=True)).order_by(Log.id).limit(BATCH)
    while True:
        with engine.begin() as connection:
            # In two statements: MySQL takes no LIMIT in a subquery.
            found = list(connection.execute(ours).scalars())
            connection.execute(delete(Log).where(Log.id.in_(found)))
        if len(found) < BATCH:
            return


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + _characters(one) for key, one in value.items())
    return sum(map(_characters, value)) if isinstance(value, list) else 1


def _as_json(value: Any) -> str:
    """Return JSON in ASCII: as many bytes as characters, and every database takes it."""
    return json.dumps(value, default=str)


def id_text(text: str, longest: int, room: int) -> str:
    """Return a text as every database takes it, of so many characters and so many bytes at most."""
    whole = text[: longest + 1].replace("\0", "").encode(errors="replace").decode()
    if len(whole) <= longest and len(whole.encode()) <= room:
        return whole
    kept = whole[: longest - len(MARK)].encode()[: room - len(MARK.encode())]
    return kept.decode(errors="ignore") + MARK


def _shortened(value: Any, longest: int, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else value[:longest] + MARK
    if isinstance(value, Mapping):
        items = list(value.items())[: 4 * most]
        return {_shortened(str(key), longest, most): _shortened(one, longest, most) for key, one in items}
    if isinstance(value, (list, tuple)):
        kept = [_shortened(one, longest, most) for one in value[:most]]
        return [*kept, MARK] if len(value) > most else kept
    return value


def shorten_command_rows() -> None:
    """
    Have what Airflow writes down of a command cut to what a row takes, until that is taken back.

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

    patch(cli, "_build_metrics", build_short)
