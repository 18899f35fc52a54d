"""Operations that can be followed: those that run here or have just ended, and those of other servers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import anyio

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import Unavailable, UnknownOperation
from airflow_rest_api.operations import rows
from airflow_rest_api.operations.model import Operation, State
from airflow_rest_api.operations.transcript import Transcript

if TYPE_CHECKING:
    from airflow_rest_api.operations.recorder import Recorder, Written
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

RECORDED_AFTER = 0.5
"""Seconds from which an operation is in the database while it runs; a shorter one costs a single INSERT."""
FIRST_FLUSH = 0.02
"""Seconds in which the first output gathers before it goes to the database, and every output after it."""
FLUSH_EVERY = 0.1
STORED_WITHIN = 2.0
"""Seconds that an answer waits for the record of a command that has ended; a slow database costs no more."""
KEPT_FOR = 60.0
"""Seconds after its end in which the output of an operation can be had that is not kept in the database."""
ROOM = 64 * 1024 * 1024
"""Bytes of all of them together; beyond it the oldest are dropped."""
FIRST_LOOK = 0.004
LOOK_EVERY = 0.1
"""Seconds between two looks at an operation of another server: the first of them, and at most."""
SLOWER = 1.05
"""How many times as long each pause is as the one before: an end is seen soon, for the time it took."""
LOOK_EVERY_WITHOUT_DATABASE = 1.0
AT_ONCE = 1000
"""Blocks of output in one look."""


class Live:
    """
    An operation from its start to the moment when its end is in the database.

    :ivar operation: as it is now, but for its output
    :ivar transcript: what it printed
    :ivar asked: set once it is to end, with ``reason``
    :ivar ended: set once the operation has its final state
    :ivar stored: set once the database has that as well
    """

    def __init__(self, operation: Operation, recorder: Recorder, limit: int, *, recorded: bool) -> None:
        self.operation = operation
        self.transcript = Transcript(limit)
        self.asked = asyncio.Event()
        self.reason: str | None = None
        self.ended = asyncio.Event()
        self.stored = asyncio.Event()
        self.stop: Callable[[str], object] | None = None
        """Called with the reason when the operation is to end."""
        self.task: asyncio.Task[None] | None = None
        self.files: Mapping[str, bytes] = {}
        self._recorder = recorder
        self._recorded = recorded
        self._behind = False
        """Whether its record comes after the answer: it has only read, and ended within its wait."""
        self._inserted = asyncio.Event()
        self._flushed = 0
        self._recording: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to record what becomes of the operation."""
        seconds = 0 if self._recorded else RECORDED_AFTER
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin_to_record)

    @property
    def queued(self) -> bool:
        """Whether the operation waits to run."""
        return self.operation.state is State.QUEUED

    def wait_for(self, what: str) -> None:
        """Set what the operation waits for beside a free place, until it begins."""
        if self.queued:
            self.operation.message = what
            self.transcript.touch()

    def begin(self, at: datetime | None = None) -> None:
        """Set that the operation has begun to run."""
        if self.operation.started_at is not None:
            return
        self.operation.state = State.RUNNING
        self.operation.message = None
        self.operation.started_at = at or datetime.now(timezone.utc)
        if self._recorded:
            self._recorder.put(rows.started(self.operation))
        self.transcript.touch()

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
        found.stdout, found.stderr = self.transcript.text("stdout"), self.transcript.text("stderr")
        found.truncated = self.transcript.truncated
        return found

    def finish(self, files: Mapping[str, bytes]) -> Written:
        """Have the end of the operation written; return what `finished` waits for."""
        if self._timer is not None:
            self._timer.cancel()
        if self._recording is not None:
            self._recording.cancel()
        self.files = files
        self.transcript.settle()
        self.operation.truncated = self.transcript.truncated
        blocks = self.transcript.since(self._flushed)
        if self._recorded:
            last = rows.ended(self.operation, blocks, files, self.transcript.take_dropped())
        else:
            last = rows.inserted(self.operation, blocks, files)
        # A file is fetched by another request, maybe from another server.
        self._behind = not (self._recorded or files) and self.operation.effect == Effect.READ.value
        storing = self._recorder.put(last, behind=self._behind)
        self.ended.set()
        if self._behind:
            self.transcript.end()
        return storing

    async def finished(self, storing: Written) -> None:
        """Return once the end of the operation is stored, or when everything was done for it."""
        await self._done(storing)
        self.stored.set()
        # Who waits for its first record has a better one: `finish` has ended what would have told.
        self._inserted.set()

    async def until_ended(self, seconds: float) -> None:
        """
        Return once the operation has ended, or after ``seconds``.

        In both cases it is in the database by then, unless that is too slow for an answer to wait; one that
        has only read comes there behind the answer.
        """
        await _within(seconds, self.ended)
        if self.ended.is_set():
            if not self._behind:
                await _within(STORED_WITHIN, self.stored)
        else:
            self._begin_to_record()
            await _within(STORED_WITHIN, self._inserted)

    def _begin_to_record(self) -> None:
        if self._recording is None:
            self._recording = asyncio.ensure_future(self._record())

    async def _record(self) -> None:
        """Hand the output to the database as it comes, the next only once it has taken the one before."""
        if not self._recorded:
            self._recorded = True
            await self._done(self._recorder.put(rows.inserted(self.operation)))
        self._inserted.set()
        while True:
            version = self.transcript.version
            if self.transcript.last == self._flushed:
                await self.transcript.changed(version, 3600)
                continue
            await asyncio.sleep(FIRST_FLUSH)
            blocks, dropped = self.transcript.since(self._flushed), self.transcript.take_dropped()
            self._flushed = self.transcript.last
            storing = self._recorder.put(
                rows.appended(self.operation.id, blocks, dropped, reveals=self.operation.reveals)
            )
            await asyncio.gather(self._done(storing), asyncio.sleep(FLUSH_EVERY - FIRST_FLUSH))

    async def _done(self, written: Written) -> None:
        """Return once something is written, or never will be: the recorder has logged why."""
        with contextlib.suppress(Exception):
            await self._recorder.done(written)


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Return once an event is set, or after ``seconds``."""
    if not event.is_set() and seconds > 0:
        # In this task: `asyncio.wait_for` makes one of its own before Python 3.12.
        with anyio.move_on_after(seconds):
            await event.wait()


def snapshot(operation: Operation) -> Operation:
    """Return a copy that does not change with the original."""
    return replace(operation, warnings=list(operation.warnings), files=list(operation.files))


class Recent:
    """Keeps operations in memory that have just ended and whose output is kept nowhere else."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Live, int]] = {}

    def get(self, identifier: str) -> Live | None:
        """Return an operation; None where it is not, or no longer, kept."""
        found = self._kept.get(identifier)
        return found[0] if found is not None else None

    def put(self, live: Live) -> None:
        """Keep an operation that has ended, for `KEPT_FOR` seconds."""
        size = live.transcript.size + sum(map(len, live.files.values()))
        identifier = live.operation.id
        self._kept[identifier] = (live, size)
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > ROOM:
            del self._kept[next(iter(self._kept))]
        asyncio.get_running_loop().call_later(KEPT_FOR, self._kept.pop, identifier, None)


class Followed:
    """
    An operation that runs elsewhere, or has ended.

    :ivar operation: as it was when its state last changed
    :ivar transcript: what it printed; ends with the operation, and when it can be followed no further
    """

    def __init__(self, operation: Operation, limit: int) -> None:
        self.operation = operation
        self.transcript = Transcript(limit)
        self.followers = 0
        self.task: asyncio.Task[None] | None = None

    async def until_ended(self, seconds: float) -> None:
        """Return once the operation has ended, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.transcript.ended and (left := deadline - time.monotonic()) > 0:
            await self.transcript.changed(self.transcript.version, left)


class Watcher:
    """
    Follows operations in the database, each with one task however many readers there are.

    :param limit: bytes kept of each stream
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._followed: dict[str, Followed] = {}
        self._stopped = False

    @asynccontextmanager
    async def follow(self, identifier: str) -> AsyncIterator[Followed]:
        """Give an operation that is kept up to date; raise UnknownOperation or Unavailable."""
        followed = self._followed.get(identifier)
        if followed is None:
            operation = await self._store.get(identifier)
            # Another reader may have been faster while we asked.
            followed = self._followed.setdefault(identifier, Followed(operation, self._limit))
        followed.followers += 1
        if followed.task is None:
            followed.task = asyncio.create_task(self._watch(followed))
        try:
            yield followed
        finally:
            followed.followers -= 1
            if not followed.followers:
                self._followed.pop(identifier, None)
                followed.task.cancel()

    def stop(self) -> None:
        """End every transcript: this API server stops."""
        self._stopped = True
        for followed in self._followed.values():
            if followed.task is not None:
                followed.task.cancel()
            followed.transcript.end()

    async def _watch(self, followed: Followed) -> None:
        pause = FIRST_LOOK
        try:
            while not followed.transcript.ended and not self._stopped:
                try:
                    more = await self._look(followed)
                except Unavailable:
                    await asyncio.sleep(LOOK_EVERY_WITHOUT_DATABASE)
                    continue
                if not more:
                    await asyncio.sleep(pause)
                    pause = min(LOOK_EVERY, pause * SLOWER)
        except UnknownOperation:
            log.info("Operation %s is no longer kept", followed.operation.id)
        except Exception:
            log.exception("Operation %s could not be followed", followed.operation.id)
        finally:
            followed.transcript.end()

    async def _look(self, followed: Followed) -> bool:
        """Take what is new; return whether there is more."""
        identifier, transcript = followed.operation.id, followed.transcript
        blocks, state = await self._store.blocks(identifier, transcript.last, AT_ONCE)
        for block in blocks:
            transcript.take(block)
        more = len(blocks) >= AT_ONCE
        if state is not followed.operation.state or (state.ended and not more):
            followed.operation = await self._store.get(identifier)
            transcript.touch()
        if state.ended and not more:
            transcript.end()
        return more
