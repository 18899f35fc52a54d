"""What still runs, and would make again what is removed, or lose it under its feet."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import inspect, select

from airflow_rest_api.operations import upkeep
from airflow_rest_api.operations.tables import SERVER
from airflow_rest_api.operations.upkeep import BEAT
from airflow_rest_api.services import processes
from airflow_rest_api.services.store import LIVE
from airflow_rest_api.services.tables import SERVICE

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

PATIENCE = 3 * BEAT
"""Seconds in which an API server that lives gives a sign of it."""
PAUSE = 0.2


def running(engine: Engine, say: Callable[[str], None], patience: float = PATIENCE) -> list[str]:
    """
    Return the API servers and components that run, in words; the database is looked at for a while.

    :param say: is told why it takes a while
    """
    with engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        found = _components(connection) if SERVICE.name in there else []
        first = _beats(connection) if SERVER.name in there else {}
    if first:
        say(f"Looking for {patience:.0f} seconds whether an API server runs ...")
    end = time.monotonic() + patience
    alive: set[str] = set()
    while first and not alive and time.monotonic() < end:
        time.sleep(PAUSE)
        with engine.connect() as connection:
            alive = {who for who, beat in _beats(connection).items() if first.get(who) != beat}
    return [*sorted(alive), *found]


def _beats(connection: Connection) -> dict[str, int]:
    return {
        f"the API server on {server.host}, process {server.pid}": server.beat
        for server in upkeep.known(connection)
    }


def _components(connection: Connection) -> list[str]:
    columns = SERVICE.c
    live = select(columns.kind, columns.id, columns.host, columns.place, columns.keeper, columns.keeper_start)
    return [
        f"the component {row.kind} {row.id} on {row.host}"
        for row in connection.execute(live.where(columns.state.in_(LIVE)).order_by(columns.id))
        # Only of this machine and this container can it be told here.
        if row.place != processes.place() or processes.is_alive(row.keeper, row.keeper_start)
    ]
