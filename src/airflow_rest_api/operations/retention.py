"""Forgetting operations, and all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, or_, select

from airflow_rest_api.operations.tables import CANCEL, FILE, OPERATION, OUTPUT

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

BATCH = 200
"""Operations that go in one transaction."""


def remove(connection: Connection, identifiers: Sequence[str]) -> None:
    """Delete operations with everything that belongs to them."""
    for table in (OUTPUT, FILE, CANCEL):
        connection.execute(delete(table).where(table.c.operation_id.in_(identifiers)))
    connection.execute(delete(OPERATION).where(OPERATION.c.id.in_(identifiers)))


class Sweep:
    """
    One batch of ended operations that are beyond what is kept, at each call.

    :param count: how many are kept at most
    :param age: seconds that one is kept after its end
    """

    def __init__(self, count: int, age: float, now: datetime) -> None:
        self._count = count
        self._until = now - timedelta(seconds=age)

    def __call__(self, connection: Connection) -> int:
        """Delete the oldest; return how many."""
        ended = select(OPERATION.c.finished_at, OPERATION.c.id).where(OPERATION.c.finished_at.is_not(None))
        newest_first = ended.order_by(OPERATION.c.finished_at.desc(), OPERATION.c.id.desc())
        beyond = OPERATION.c.finished_at < self._until
        # Each time anew: other servers sweep as well, and operations end.
        edge = connection.execute(newest_first.offset(self._count).limit(1)).first()
        if edge is not None and edge.finished_at >= self._until:
            before = or_(OPERATION.c.finished_at < edge.finished_at, OPERATION.c.id <= edge.id)
            # The first half is what an index is good for.
            beyond = and_(OPERATION.c.finished_at <= edge.finished_at, before)
        oldest_first = ended.where(beyond).order_by(OPERATION.c.finished_at, OPERATION.c.id).limit(BATCH)
        identifiers = [row.id for row in connection.execute(oldest_first)]
        if identifiers:
            remove(connection, identifiers)
        return len(identifiers)
