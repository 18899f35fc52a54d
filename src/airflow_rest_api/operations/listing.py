"""Pages of operations, the newest first: each by one index, however many there are."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_rest_api.operations import rows
from airflow_rest_api.operations.model import Filter, Operation
from airflow_rest_api.operations.tables import LIGHT, OPERATION
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.operations.sealing import Seal

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SLACK = timedelta(minutes=1)
"""An operation is created a moment after its id; a clock that is set back makes it more."""


def newest(
    connection: Connection, wanted: Filter, before: str | None, limit: int, summary: bool, seal: Seal
) -> list[Operation]:
    """Return the newest operations that match; see `Store.list`."""
    query = select(*LIGHT) if summary else select(*LIGHT, OPERATION.c.result)
    for name in ("command", "user", "dag_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(OPERATION.c[name] == storable(value))
    query = _within(query, wanted.since, wanted.until)
    if before is not None:
        query = query.where(OPERATION.c.id < before)
    query = query.order_by(OPERATION.c.id.desc()).limit(limit)
    # A page for each endpoint, state or effect: of several at once, no index gives the newest first.
    several: dict[str, list[str | None]] = {
        "endpoint": list(dict.fromkeys(wanted.endpoints)),
        "state": [state.value for state in dict.fromkeys(wanted.states)],
        "effect": list(dict.fromkeys(wanted.effects)),
    }
    (apart, values), *rest = [(name, found) for name, found in several.items() if found] or [("", [])]
    for name, found in rest:
        query = query.where(OPERATION.c[name].in_(found))
    pages = [query.where(OPERATION.c[apart] == value) for value in values] or [query]
    merged: list[Any] = []
    for page in pages:
        if merged and len(merged) == limit:
            page = page.where(OPERATION.c.id > merged[-1]["id"])  # older ones are of no use any more
        merged += connection.execute(page).mappings()
        merged = sorted(merged, key=lambda row: str(row["id"]), reverse=True)[:limit]
    return [rows.from_row(dict(row), seal) for row in merged]


def _within(query: Any, since: datetime | None, until: datetime | None) -> Any:
    """Narrow by time. The ids begin with it: their index is the way to the rows, the column has the say."""
    if since is not None:
        query = query.where(OPERATION.c.created_at >= since, OPERATION.c.id >= _first_id(since, -SLACK))
    if until is not None:
        query = query.where(OPERATION.c.created_at < until, OPERATION.c.id < _first_id(until, SLACK))
    return query


def _first_id(moment: datetime, shift: timedelta) -> str:
    """Return what sorts before every id of the shifted moment or later; see `model.new_id`."""
    milliseconds = max(0, (moment - _EPOCH + shift) // timedelta(milliseconds=1))
    return f"{min(milliseconds, 2**48 - 1):012x}"
