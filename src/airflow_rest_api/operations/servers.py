"""The API servers that run operations, and what becomes of those of a dead one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from airflow_rest_api.operations.model import Server, State
from airflow_rest_api.operations.tables import CANCEL, LONGEST_HOST, OPERATION, SERVER
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

UNFINISHED = tuple(state.value for state in State if not state.ended)
LOST = "The API server that ran the command is gone."


def beat(connection: Connection, server: Server) -> None:
    """Write a server's counter."""
    this = update(SERVER).where(SERVER.c.id == server.id)
    if not connection.execute(this.values(beat=server.beat)).rowcount:
        values = {
            "id": server.id,
            "host": storable(server.host, LONGEST_HOST),
            "pid": server.pid,
            "started_at": server.started_at,
            "beat": server.beat,
        }
        connection.execute(insert(SERVER).values(values))


def known(connection: Connection) -> list[Server]:
    """Return all servers that have a row."""
    found = connection.execute(select(SERVER).order_by(SERVER.c.id)).mappings()
    return [Server(**dict(row)) for row in found]


def missing(connection: Connection) -> set[str]:
    """Return the servers without a row that unfinished operations name."""
    unfinished = select(OPERATION.c.server).where(OPERATION.c.state.in_(UNFINISHED)).distinct()
    alive = select(SERVER.c.id)
    # Two queries in this order: a server that comes in between has its row first.
    named = set(connection.execute(unfinished).scalars())
    return named - set(connection.execute(alive).scalars())


def unfinished(connection: Connection, server: str, before: datetime) -> list[str]:
    """Return the ids of a server's operations that were asked for before then and have not ended."""
    theirs = (OPERATION.c.server == server, OPERATION.c.state.in_(UNFINISHED))
    return list(
        connection.execute(select(OPERATION.c.id).where(*theirs, OPERATION.c.created_at < before)).scalars()
    )


def remove(connection: Connection, server: str) -> None:
    """Delete the row of a server."""
    connection.execute(delete(SERVER).where(SERVER.c.id == server))


def bury(connection: Connection, server: str, now: datetime) -> list[str]:
    """Make a server's unfinished operations lost; return their ids. Only one of several callers gets each."""
    theirs = (OPERATION.c.server == server, OPERATION.c.state.in_(UNFINISHED))
    found = select(OPERATION.c.id).where(*theirs).order_by(OPERATION.c.id).with_for_update()
    identifiers = [row.id for row in connection.execute(found)]
    lost = [
        identifier
        for identifier in identifiers
        if connection.execute(
            update(OPERATION)
            .where(OPERATION.c.id == identifier, *theirs)
            .values(state=State.LOST.value, finished_at=now, message=LOST)
        ).rowcount
    ]
    connection.execute(delete(CANCEL).where(CANCEL.c.server == server))
    remove(connection, server)
    return lost
