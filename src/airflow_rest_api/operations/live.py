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
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from airflow_rest_api.operations.errors import NoSuchOperation
from airflow_rest_api.storage.errors import Unavailable

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.store import Store
from typing import TYPE_CHECKING

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1
"""Seconds between two looks at an operation."""
EVERY_WITHOUT_DATABASE = 1.0
AT_ONCE = 1000
"""Chunks of output in one look."""


class Followed:
    """
    An operation that runs elsewhere, or has ended.

    :ivar operation: as it was when its state last changed
    :ivar feed: what it printed; ends with the operation, and when nobody can say any more how that goes on
    """

    def __init__(self, operation: Operation, limit: int) -> None:
        self.operation = operation
        self.feed = Feed(limit)
        self.followers = 0
        self.task: asyncio.Task[None] | None = None

    async def until_ended(self, seconds: float) -> None:
        """Return once the operation has ended, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.feed.ended and (left := deadline - time.monotonic()) > 0:
            await self.feed.changed(self.feed.version, left)


class Watcher:
    """
    Follows operations in the database, each with one task however many want to know.

    :param limit: bytes kept of each stream
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._followed: dict[str, Followed] = {}
        self._stopped = False

    @asynccontextmanager
    async def follow(self, identifier: str) -> AsyncIterator[Followed]:
        """Give an operation that is kept up to date; raise NoSuchOperation or Unavailable."""
        followed = self._followed.get(identifier)
        if followed is None:
            operation = await self._store.get(identifier)
            # Somebody else may have been faster while we asked.
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
        """End every feed: this API server stops."""
        self._stopped = True
        for followed in self._followed.values():
            if followed.task is not None:
                followed.task.cancel()
            followed.feed.end()

    async def _watch(self, followed: Followed) -> None:
        try:
            while not followed.feed.ended and not self._stopped:
                try:
                    more = await self._look(followed)
                except Unavailable:
                    await asyncio.sleep(EVERY_WITHOUT_DATABASE)
                    continue
                if not more:
                    await asyncio.sleep(LOOK_EVERY)
        except NoSuchOperation:
            log.info("Operation %s is no longer kept", followed.operation.id)
        except Exception:
            log.exception("Operation %s could not be followed", followed.operation.id)
        finally:
            followed.feed.end()

    async def _look(self, followed: Followed) -> bool:
        """Take what is new; return whether there is more."""
        identifier, feed = followed.operation.id, followed.feed
        chunks, state = await self._store.chunks(identifier, feed.position.offsets(), AT_ONCE)
        for chunk in chunks:
            feed.take(chunk)
        more = len(chunks) >= AT_ONCE
        if state is not followed.operation.state or (state.ended and not more):
            followed.operation = await self._store.get(identifier)
            feed.touch()
        if state.ended and not more:
            feed.end()
        return more


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


KEPT_FOR = 60.0
"""Seconds after its end in which the output of an operation can be had."""
ROOM = 64 * 1024 * 1024
"""Bytes of all of them together; beyond it the oldest go."""


class Lately:
    """Keeps operations in memory for a while; belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Live, int]] = {}

    def get(self, identifier: str) -> Live | None:
        """Return an operation, None where there is none, or no longer."""
        found = self._kept.get(identifier)
        return found[0] if found is not None else None

    def put(self, live: Live) -> None:
        """Keep an operation that has ended."""
        position = live.feed.position
        size = position.stdout + position.stderr + sum(map(len, live.files.values()))
        identifier = live.operation.id
        self._kept[identifier] = (live, size)
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > ROOM:
            del self._kept[next(iter(self._kept))]
        asyncio.get_running_loop().call_later(KEPT_FOR, self._kept.pop, identifier, None)
