"""What waits for runners, in the database: put there, claimed by one of them, published again, given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from airflow_rest_api.commands.model import PLAIN
from airflow_rest_api.errors import Busy, TooManyWaiting
from airflow_rest_api.operations.heartbeat import known
from airflow_rest_api.operations.model import Operation, Server, State
from airflow_rest_api.operations.tables import LONGEST_HOST, OPERATION, SERVER, WORK, WORK_PART
from airflow_rest_api.storage.schema import LONGEST_NAME, PART, storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import ColumnElement

RETRY_AFTER = 5
_PLAIN = tuple(effect.value for effect in PLAIN)


@dataclass(frozen=True)
class Waiting:
    """
    One operation that no runner has claimed.

    :ivar published: how often a message with its id was sent
    """

    id: str
    queue: str
    created_at: datetime
    published_at: datetime
    published: int


def runners(connection: Connection) -> list[Server]:
    """Return all runners that have a row: none of them is known to be dead."""
    return [server for server in known(connection) if server.runner is not None]


def served(found: Iterable[Server]) -> dict[str, list[Server]]:
    """Return the runners by the queues that they serve."""
    queues: dict[str, list[Server]] = {}
    for runner in found:
        for queue in (runner.queues or "").split():
            queues.setdefault(queue, []).append(runner)
    return queues


def put(connection: Connection, operation: Operation, data: bytes, *, per_queue: int, per_user: int) -> None:
    """
    Have an operation wait, of which the row is inserted in the same transaction.

    :param data: what is to be run, encrypted
    :param per_queue: operations that may wait in one queue
    :param per_user: those of one user
    :raises Busy: too many wait in its queue, or TooManyWaiting: of its user
    """
    user = storable(operation.user, LONGEST_NAME)
    for column, value, most, error in (
        (WORK.c.user, user, per_user, TooManyWaiting(RETRY_AFTER, option="queue_per_user")),
        (WORK.c.queue, operation.queue, per_queue, Busy(RETRY_AFTER)),
    ):
        waiting = connection.execute(select(func.count()).select_from(WORK).where(column == value)).scalar()
        if (waiting or 0) >= most:
            raise error
    row = {"operation_id": operation.id, "queue": operation.queue, "user": user, "published": 1}
    moment = operation.created_at
    connection.execute(insert(WORK).values(**row, created_at=moment, published_at=moment))
    for part, start in enumerate(range(0, len(data), PART)):
        values = {"operation_id": operation.id, "part": part, "data": data[start : start + PART]}
        connection.execute(insert(WORK_PART).values(values))


class ShareUsedUp(Exception):
    """
    The user of an operation has their share of a runner.

    :ivar queue: where the operation waits
    """

    def __init__(self, queue: str) -> None:
        super().__init__(queue)
        self.queue = queue


def claim(connection: Connection, identifier: str, server: Server, share: int) -> bytes | None:
    """
    Take an operation for a runner, of all that try the only one; return what is to be run, encrypted.

    None where another has it, it has ended, or there is none: so a message may come late, twice or forged.
    Empty where this runner claimed it before, and does not know it.

    :param share: commands of one user, of those that run no code of DAG authors, that the runner may run
    :raises ShareUsedUp: these are as many
    """
    found = select(OPERATION.c.user, OPERATION.c.effect, OPERATION.c.queue)
    row = connection.execute(found.where(*_unclaimed(identifier))).first()
    if row is not None and row.effect in _PLAIN:
        same = (OPERATION.c.user == row.user, OPERATION.c.effect.in_(_PLAIN))
        running = (OPERATION.c.state == State.RUNNING.value, OPERATION.c.server == server.id)
        count = select(func.count()).select_from(OPERATION).where(*same, *running)
        if (connection.execute(count).scalar() or 0) >= share:
            raise ShareUsedUp(row.queue)
    values = {
        "state": State.RUNNING.value,
        "server": server.id,
        # As its own row has them.
        "host": storable(server.host, LONGEST_HOST),
        "runner": storable(server.runner, LONGEST_HOST),
        "started_at": datetime.now(timezone.utc),
        "message": None,
    }
    if connection.execute(update(OPERATION).where(*_unclaimed(identifier)).values(values)).rowcount:
        return _take(connection, identifier)
    ours = (
        OPERATION.c.id == identifier,
        OPERATION.c.state == State.RUNNING.value,
        OPERATION.c.server == server.id,
    )
    return None if connection.execute(select(OPERATION.c.id).where(*ours)).first() is None else b""


def running(connection: Connection) -> dict[str, list[str]]:
    """Return the ids of the operations that run on runners, by the ids of these."""
    query = select(OPERATION.c.server, OPERATION.c.id).where(
        OPERATION.c.state == State.RUNNING.value, OPERATION.c.runner.is_not(None)
    )
    found: dict[str, list[str]] = {}
    for server, identifier in connection.execute(query.order_by(OPERATION.c.id)):
        found.setdefault(server, []).append(identifier)
    return found


def retire(connection: Connection, server: str) -> None:
    """Note that a runner serves no queue any more."""
    connection.execute(update(SERVER).where(SERVER.c.id == server).values(queues=""))


def _unclaimed(identifier: str) -> tuple[ColumnElement[bool], ...]:
    """Return what holds of an operation as long as no runner has it."""
    return (
        OPERATION.c.id == identifier,
        OPERATION.c.state == State.QUEUED.value,
        OPERATION.c.server == "",
    )


def _take(connection: Connection, identifier: str) -> bytes:
    parts = select(WORK_PART.c.data).where(WORK_PART.c.operation_id == identifier).order_by(WORK_PART.c.part)
    data = b"".join(bytes(part) for part in connection.execute(parts).scalars())
    drop(connection, [identifier])
    return data


def drop(connection: Connection, identifiers: Iterable[str]) -> None:
    """Remove what was to be run."""
    gone = list(identifiers)
    for table in (WORK, WORK_PART):
        connection.execute(delete(table).where(table.c.operation_id.in_(gone)))


def end_waiting(connection: Connection, identifier: str, state: State, message: str) -> bytes | None:
    """
    Give an operation its end that no runner has claimed.

    :return: what was to be run, encrypted; None where somebody else was faster
    """
    values: Mapping[str, Any] = {
        "state": state.value,
        "message": message,
        "finished_at": datetime.now(timezone.utc),
    }
    if not connection.execute(update(OPERATION).where(*_unclaimed(identifier)).values(values)).rowcount:
        return None
    return _take(connection, identifier)


def waiting(connection: Connection) -> list[Waiting]:
    """Return what waits, the oldest first."""
    columns = (WORK.c.operation_id, WORK.c.queue, WORK.c.created_at, WORK.c.published_at, WORK.c.published)
    return [Waiting(*row) for row in connection.execute(select(*columns).order_by(WORK.c.operation_id))]


def publish_again(connection: Connection, one: Waiting, before: timedelta) -> bool:
    """
    Note that a message is sent again; return whether this caller is to send it, of several.

    :param before: how long ago the last one must have been sent
    """
    now = datetime.now(timezone.utc)
    this = (
        WORK.c.operation_id == one.id,
        WORK.c.published == one.published,
        WORK.c.published_at <= now - before,
    )
    values = {"published": one.published + 1, "published_at": now}
    return bool(connection.execute(update(WORK).where(*this).values(values)).rowcount)


def note_sent(connection: Connection, identifier: str, before: timedelta) -> None:
    """
    Note that the message of an operation was sent just now.

    :param before: how long ago the last one must have been sent; else the note of that one will do
    """
    now = datetime.now(timezone.utc)
    this = (WORK.c.operation_id == identifier, WORK.c.published_at <= now - before)
    connection.execute(update(WORK).where(*this).values(published_at=now))


def ended_meanwhile(connection: Connection) -> list[str]:
    """Return what was to be run for operations that have ended or are gone."""
    query = select(WORK.c.operation_id).outerjoin(OPERATION, OPERATION.c.id == WORK.c.operation_id)
    found = query.where((OPERATION.c.id.is_(None)) | (OPERATION.c.state != State.QUEUED.value))
    return list(connection.execute(found).scalars())
