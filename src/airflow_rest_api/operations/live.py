"""An operation that runs in this process: its output, and when what of it goes to the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_rest_api.operations.feed import Feed, Position
from airflow_rest_api.operations.model import State

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Chunk, Operation
    from airflow_rest_api.operations.recorder import Recorder, Written

RECORDED_AFTER = 0.5
"""Seconds from which an operation is in the database while it runs; a shorter one costs a single INSERT."""
FIRST_FLUSH = 0.02
"""Seconds in which the first output gathers before it goes to the database, and every output after it."""
FLUSH_EVERY = 0.1
STORED_WITHIN = 2.0
"""Seconds that an answer waits for the record of a command that has ended; a slow database costs no more."""


class Live:
    """
    An operation from its start to the moment when its end is in the database.

    :ivar operation: as it is now, but for its output, which is in the feed
    :ivar feed: what it printed
    :ivar asked: set once somebody wants it to end, with ``reason``
    :ivar ended: set once the operation has its final state
    :ivar stored: set once the database has that as well
    """

    def __init__(self, operation: Operation, recorder: Recorder, limit: int, *, recorded: bool) -> None:
        self.operation = operation
        self.feed = Feed(limit)
        self.asked = asyncio.Event()
        self.reason: str | None = None
        self.ended = asyncio.Event()
        self.stored = asyncio.Event()
        self.stop: Callable[[str], object] | None = None
        """Told the reason when the operation is to end, beside ``asked``."""
        self.task: asyncio.Task[None] | None = None
        self.files: Mapping[str, bytes] = {}
        self._recorder = recorder
        self._recorded = recorded
        self._inserted = asyncio.Event()
        self._kept = Position()
        self._keeper: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to record what becomes of the operation."""
        seconds = 0 if self._recorded else RECORDED_AFTER
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin_to_keep)

    @property
    def queued(self) -> bool:
        """Whether the operation waits for its turn."""
        return self.operation.state is State.QUEUED

    def wait_for(self, what: str) -> None:
        """Say what the operation waits for beside its turn, until it begins."""
        if self.queued:
            self.operation.message = what
            self.feed.touch()

    def begin(self, at: datetime | None = None) -> None:
        """The operation has begun to run."""
        if self.operation.started_at is not None:
            return
        self.operation.state = State.RUNNING
        self.operation.message = None
        self.operation.started_at = at or datetime.now(timezone.utc)
        if self._recorded:
            self._recorder.started(snapshot(self.operation))
        self.feed.touch()

    def ask(self, reason: str) -> bool:
        """Ask the operation to end; return whether it was still alive and not asked before."""
        if self.asked.is_set() or self.operation.state.ended:
            return False
        self.reason = reason
        self.asked.set()
        if self.stop is not None:
            self.stop(reason)
        return True

    def look(self) -> Operation:
        """Return the operation as it is now, with its output."""
        found = snapshot(self.operation)
        found.stdout, found.stderr = self.feed.text("stdout"), self.feed.text("stderr")
        found.truncated = self.feed.truncated
        return found

    async def finish(self, files: Mapping[str, bytes]) -> None:
        """Have the end of the operation stored; return once it is, or when everything was done for it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._keeper is not None:
            self._keeper.cancel()
        self.files = files
        self.feed.settle()
        self.operation.truncated = self.feed.truncated
        last = snapshot(self.operation)
        rest = self._rest()
        if self._recorded:
            storing = self._recorder.end(last, rest, files)
        else:
            storing = self._recorder.insert(last, rest, files)
        self.ended.set()
        await self._done(storing)
        self.stored.set()

    async def until_ended(self, seconds: float) -> None:
        """
        Return once the operation has ended, or after ``seconds``.

        In both cases it is in the database by then, unless that is too slow for an answer to wait.
        """
        await _within(seconds, self.ended)
        if self.ended.is_set():
            await _within(STORED_WITHIN, self.stored)
        else:
            self._begin_to_keep()
            await _within(STORED_WITHIN, self._inserted)

    def _begin_to_keep(self) -> None:
        if self._keeper is None:
            self._keeper = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        """Hand the output to the database as it comes, the next only once it has taken the one before."""
        if not self._recorded:
            self._recorded = True
            await self._done(self._recorder.insert(snapshot(self.operation)))
        self._inserted.set()
        while True:
            version = self.feed.version
            if not self.feed.since(self._kept, 1):
                await self.feed.changed(version, 3600)
                continue
            await asyncio.sleep(FIRST_FLUSH)
            storing = self._recorder.append(self.operation.id, self._rest(), reveals=self.operation.reveals)
            await asyncio.gather(self._done(storing), asyncio.sleep(FLUSH_EVERY - FIRST_FLUSH))

    async def _done(self, written: Written) -> None:
        """Return once something is written, or never will be: the recorder has logged why."""
        with contextlib.suppress(Exception):
            await self._recorder.done(written)

    def _rest(self) -> list[Chunk]:
        chunks = self.feed.since(self._kept)
        self._kept = self.feed.position
        return chunks


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Return once an event is set, or after ``seconds``."""
    if not event.is_set() and seconds > 0:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)


def snapshot(operation: Operation) -> Operation:
    """Return a copy that does not change with the original."""
    return replace(operation, warnings=list(operation.warnings), files=list(operation.files))
