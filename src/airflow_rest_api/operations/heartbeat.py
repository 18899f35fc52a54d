"""What API servers do beside their requests: heartbeats, operations of dead servers, old operations."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations.model import Server, State
from airflow_rest_api.operations.tables import CANCEL, LONGEST_HOST, OPERATION, SERVER
from airflow_rest_api.periodic import Periodic
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two heartbeats, and between two looks at those of the others."""
DEAD_AFTER = 30.0
"""Seconds without a heartbeat, of our own clock, after which a server is taken for dead."""
CANCELS = 0.5
"""Seconds between two looks at what other servers were asked to end here, while something runs here."""
LEAVE_WITHIN = 5.0
"""Seconds for which the end of a server waits for its row to be deleted."""
UNBEGUN_EVERY = 12
"""Heartbeats between two looks for rows that nothing belongs to."""
SWEEP_EVERY = 60.0
"""Seconds between two removals of old operations, by each API server."""
LOST = "The API server that ran the command is gone."
RUNNER_LOST = "The runner that ran the command is gone."
UNWRITTEN = "How the command ended could not be recorded; the server's log says more."
UNKNOWN = "The database did not answer as the command was to begin: whether it ran is not known."

_UNFINISHED = tuple(state.value for state in State if not state.ended)


def beat(connection: Connection, server: Server, running: Iterable[tuple[str, datetime | None]] = ()) -> None:
    """
    Write a server's heartbeat; it becomes known by its first one.

    :param running: what runs or waits there, each with its start: where the server was taken for dead, and
        these for `lost`, they are what they were
    """
    this = update(SERVER).where(SERVER.c.id == server.id)
    if not connection.execute(this.values(beat=server.beat)).rowcount:
        values = {**asdict(server), "host": storable(server.host, LONGEST_HOST)}
        values["runner"] = storable(server.runner, LONGEST_HOST)
        connection.execute(insert(SERVER).values(values))
        for identifier, started_at in running:
            state = State.QUEUED if started_at is None else State.RUNNING
            # Not one that has ended as `lost` by itself since.
            taken_away = (OPERATION.c.state == State.LOST.value, OPERATION.c.message.in_((LOST, RUNNER_LOST)))
            this = update(OPERATION).where(
                OPERATION.c.id == identifier, OPERATION.c.server == server.id, *taken_away
            )
            again = {"state": state.value, "started_at": started_at, "finished_at": None, "message": None}
            connection.execute(this.values(again))


def known(connection: Connection) -> list[Server]:
    """Return all servers that have a row."""
    found = connection.execute(select(SERVER).order_by(SERVER.c.id)).mappings()
    names = {field.name for field in fields(Server)}
    return [Server(**{name: row[name] for name in names}) for row in found]


def orphans(connection: Connection) -> set[str]:
    """Return the ids of servers without a row that have operations which have not ended."""
    # Without a server: it waits for a runner.
    theirs = (OPERATION.c.state.in_(_UNFINISHED), OPERATION.c.server != "")
    unfinished = select(OPERATION.c.server).where(*theirs).distinct()
    alive = select(SERVER.c.id)
    # Two queries in this order: a server that comes in between has its row first.
    named = set(connection.execute(unfinished).scalars())
    return named - set(connection.execute(alive).scalars())


def unfinished(connection: Connection, server: str) -> list[tuple[str, bool, datetime]]:
    """Return a server's operations that have not ended: the id, whether it has begun, when it came there."""
    theirs = (OPERATION.c.server == server, OPERATION.c.state.in_(_UNFINISHED))
    # A runner has it from its claim on, which sets the start; it may have waited in the queue for long.
    came = func.coalesce(OPERATION.c.started_at, OPERATION.c.created_at)
    found = connection.execute(select(OPERATION.c.id, OPERATION.c.state, came).where(*theirs))
    return [(identifier, state != State.QUEUED.value, at) for identifier, state, at in found]


def lose(connection: Connection, identifier: str, server: str, message: str) -> bool:
    """Make an operation of a server `lost` that has not ended; return whether it was one."""
    this = (OPERATION.c.id == identifier, OPERATION.c.server == server, OPERATION.c.state.in_(_UNFINISHED))
    values = {"state": State.LOST.value, "finished_at": datetime.now(timezone.utc), "message": message}
    lost = bool(connection.execute(update(OPERATION).where(*this).values(values)).rowcount)
    connection.execute(delete(CANCEL).where(CANCEL.c.operation_id == identifier))
    return lost


def leave(connection: Connection, server: str) -> None:
    """Delete the row of a server, which ends in order or is dead."""
    connection.execute(delete(SERVER).where(SERVER.c.id == server))


def mark_lost(connection: Connection, server: str) -> list[str]:
    """
    Make the unfinished operations of a dead server `lost`, and delete its row; return their ids.

    Only one of several callers gets each.
    """
    theirs = (OPERATION.c.server == server, OPERATION.c.state.in_(_UNFINISHED))
    wanted = select(OPERATION.c.id, OPERATION.c.runner).where(*theirs)
    found = list(connection.execute(wanted.order_by(OPERATION.c.id).with_for_update()))
    lost = [
        row.id
        for row in found
        if lose(connection, row.id, server, LOST if row.runner is None else RUNNER_LOST)
    ]
    connection.execute(delete(CANCEL).where(CANCEL.c.server == server))
    leave(connection, server)
    return lost


@dataclass
class _Pulse:
    """What we saw of another server: its counter, and the seconds for which we saw that not move."""

    beat: int
    still: float = 0.0


class Heartbeat:
    """
    Writes this server's heartbeat and marks the operations of dead servers `lost`.

    A server counts as dead when its counter has not moved for `DEAD_AFTER` seconds of our own clock in
    which we could read the database, look after look: neither clock skew nor an outage of the database makes
    one dead.

    :param every: seconds between two heartbeats
    """

    def __init__(
        self,
        operations: Operations,
        store: Store,
        *,
        every: float = BEAT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operations = operations
        self._store = store
        self._run = store.database.run
        self._every = every
        self._clock = clock
        self._beat = 0
        self._known = False
        """Whether this server has had a row: one that is gone then was taken away by another server."""
        self._pulses: dict[str, _Pulse] = {}
        self._last_look: float | None = None
        self._periodic = (
            Periodic("The heartbeat", every, self.look),
            Periodic("The look at what other servers were asked to end", CANCELS, self.apply_cancels),
        )

    def start(self) -> None:
        """Begin, in the background."""
        for periodic in self._periodic:
            periodic.start()

    async def stop(self) -> None:
        """Stop, after what ran here was recorded as ended, and delete the row of this server."""
        for periodic in self._periodic:
            await periodic.stop()
        with contextlib.suppress(Unavailable, asyncio.TimeoutError):
            await asyncio.wait_for(self._run(partial(leave, server=self._operations.server.id)), LEAVE_WITHIN)

    async def look(self) -> None:
        """Write one heartbeat, look at those of the others, and mark what the dead ones ran as lost."""
        self._beat += 1
        # The time up to a look that fails does not count.
        last, self._last_look = self._last_look, None
        running = self._operations.unfinished() if self._known else []
        this = partial(beat, server=replace(self._operations.server, beat=self._beat), running=running)
        try:
            await self._run(this)
        except IntegrityError:  # an attempt of which we do not know the end has inserted the row
            await self._run(this)
        self._known = True
        without_row = await self._run(orphans)
        servers = await self._run(known)
        if self._beat % UNBEGUN_EVERY == 0 or self._operations.withdrawn:
            await self._operations.forget_unbegun()
        for identifier in self._dead(servers, without_row, last):
            lost = await self._run(partial(mark_lost, server=identifier))
            log.warning(
                "The server %s has no heartbeat any more; its unfinished operations are lost: %s",
                identifier,
                ", ".join(lost) or "it had none",
            )
            self._pulses.pop(identifier, None)

    def still(self, identifier: str) -> float | None:
        """Return the seconds for which we saw another server's counter not move; None: not seen yet."""
        pulse = self._pulses.get(identifier)
        return None if pulse is None else pulse.still

    async def apply_cancels(self) -> None:
        """End what another server was asked to end here."""
        if self._operations.running:
            self._operations.cancel_here(await self._store.cancels(self._operations.server.id))

    def _dead(self, servers: list[Server], without_row: set[str], last: float | None) -> list[str]:
        now = self._clock()
        # After a time in which we saw nothing, or were not running ourselves, that time does not count.
        seen = 0.0 if last is None else now - last
        if seen > 3 * self._every:
            seen = 0.0
        self._last_look = now
        numbers = {server.id: server.beat for server in servers} | dict.fromkeys(without_row, -1)
        numbers.pop(self._operations.server.id, None)
        self._pulses = {
            identifier: _Pulse(beat, old.still + seen if old and old.beat == beat else 0.0)
            for identifier, beat in numbers.items()
            for old in [self._pulses.get(identifier)]
        }
        return [identifier for identifier, pulse in self._pulses.items() if pulse.still >= DEAD_AFTER]


def sweeper(store: Store, count: int, age: float, every: float = SWEEP_EVERY) -> Periodic:
    """
    Return what removes ended operations: all but the newest ``count``, and those older than ``age`` seconds.

    Each API server does, at times of its own; stopped in the middle, the next one of any server goes on.
    """
    name = "The removal of old operations"
    return Periodic(name, every, lambda: store.sweep(count, age), jitter=0.5, at_once=False)
