"""What waits to be written: many operations in one transaction, nothing lost while the database is away."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations import rows

if TYPE_CHECKING:
    from airflow_rest_api.operations.rows import Write
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

BUFFER = 64 * 1024 * 1024
"""Bytes of output that may wait; beyond it the middle of the longest is dropped."""
LEAST = 16 * 1024
"""Bytes of output that an operation may have waiting in any case."""
TOGETHER = 200
TOGETHER_BYTES = 4 * 1024 * 1024
"""How much goes into one transaction."""
BEHIND = 0.05
"""Seconds that what nobody waits for may gather before it is written."""
PAUSE = 0.2
LONGEST_PAUSE = 2.0
"""Seconds between two attempts to reach a database that is away: the first pause, and the longest."""
REFUSED = "The database refused what the command printed or returned; the server's log says more."

Written = Future[None]


class Recorder:
    """
    Writes to a store in the background, in one thread, in the order of the calls for each operation.

    `put` returns at once, with what `done` waits for. While the database is away everything waits, within a
    bound: results and files stay whole, of the output that is not written yet the middle is dropped.

    :param buffer: bytes of output that may wait
    """

    def __init__(self, store: Store, *, buffer: int = BUFFER) -> None:
        self._store = store
        self._buffer = buffer
        self._waiting: dict[str, Write] = {}
        self._at_hand: list[Write] = []
        self._size = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due = 0.0
        """When the next transaction begins, by the monotonic clock, unless it is full before."""
        self._deadline: float | None = None
        self._over = False
        self.given_up: set[str] = set()
        """Operations whose end could not be written at all: their rows still say that they wait, or run."""

    def put(self, write: Write, *, behind: bool = False) -> Written:
        """
        Write all this, after what is to be written before about the same operation.

        :param behind: nobody waits for it: it may gather for `BEHIND` seconds with what else is to be written
        """
        with self._changed:
            first = not self._waiting
            if self._over:
                _give_up([write])
                return write.done
            if waiting := self._waiting.get(write.identifier):
                self._size -= waiting.size
                waiting.add(write)
                write = waiting
            else:
                self._waiting[write.identifier] = write
            self._size += write.size
            if self._size > self._buffer:
                self._shorten()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rest-api-recorder", daemon=True)
                self._thread.start()
            due = time.monotonic() + BEHIND if behind else 0.0
            sooner = first or due < self._due
            if sooner:
                self._due = due
            if sooner or len(self._waiting) == TOGETHER:
                self._changed.notify_all()
            return write.done

    async def flush(self, seconds: float) -> None:
        """Write now what waits; return once it is written, or after so many seconds."""
        with self._changed:
            waiting = [
                write.done for write in (*self._at_hand, *self._waiting.values()) if not write.done.done()
            ]
            self._due = 0.0
            self._changed.notify_all()
        if waiting:
            await asyncio.wait([_retrieved(done) for done in waiting], timeout=seconds)

    async def done(self, written: Written) -> None:
        """
        Return once it is written, however long the database is away.

        :raises Unavailable: the recorder was closed before
        :raises sqlalchemy.exc.SQLAlchemyError: the database refused it
        """
        await asyncio.shield(_retrieved(written))

    async def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for no longer than that; nothing can be written afterwards."""
        with self._changed:
            self._deadline = time.monotonic() + seconds
            self._changed.notify_all()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, seconds + 1)
        with self._changed:
            self._over = True
            # A thread that is still at work waits for a network that swallows everything.
            left = [write for write in (*self._at_hand, *self._waiting.values()) if not write.done.done()]
            self._waiting.clear()
        _give_up(left)

    def _shorten(self) -> None:
        """Drop output, of the longest first, until half of the room is free: not at each line anew."""
        for write in sorted(self._waiting.values(), key=lambda write: write.size, reverse=True):
            if self._size <= self._buffer // 2:
                return
            before = write.size
            write.shorten(max(LEAST, before // 4))
            self._size -= before - write.size

    def _run(self) -> None:
        while batch := self._take():
            self._write(batch)

    def _take(self) -> list[Write]:
        """Wait for something to write and take what goes into one transaction; nothing means the end."""
        with self._changed:
            while (left := self._left()) is None or left > 0:
                if self._deadline is not None and not self._waiting:
                    self._over = True
                    return []
                self._changed.wait(left)
            batch: list[Write] = []
            size = 0
            for write in list(self._waiting.values())[:TOGETHER]:
                if batch and size + write.size > TOGETHER_BYTES:
                    break
                del self._waiting[write.identifier]
                size += write.size
                batch.append(write)
            self._size -= size
            self._at_hand = batch
            self._due = 0.0
            return batch

    def _left(self) -> float | None:
        """Return the seconds until what waits is written, None where nothing does."""
        if not self._waiting:
            return None
        if self._deadline is not None or len(self._waiting) >= TOGETHER:
            return 0.0
        return self._due - time.monotonic()

    def _write(self, batch: list[Write]) -> None:
        """Write a batch; one by one where the database refuses something in it."""
        try:
            self._until_reached(batch)
            return
        except Exception as error:
            # What is refused by itself is logged below.
            log.debug("Operations are written one by one: %s", type(error).__name__)
        for write in batch:
            try:
                self._until_reached([write], again=True)
            except Exception as error:
                self._refused(write, error)

    def _refused(self, write: Write, error: Exception) -> None:
        """Write at least that the operation ended, and how."""
        # The words of SQLAlchemy hold the values; those of the driver may.
        log.error("Operation %s could not be written: %s", write.identifier, type(error).__name__)
        try:
            self._until_reached([rows.skeleton(write, REFUSED)], again=True)
        except Exception as another:
            log.error("Nor could its end (operation %s): %s", write.identifier, type(another).__name__)
            if write.ended:
                # Before it is told: the row must not pass for one that never began.
                self.given_up.add(write.identifier)
        if not write.done.done():
            write.done.set_exception(error)

    def _until_reached(self, batch: list[Write], *, again: bool = False) -> None:
        """Write, again and again while the database is away; at the end of the server, give up in time."""
        work = partial(rows.execute, writes=batch, cipher=self._store.cipher, again=again)
        pause = PAUSE
        since = time.monotonic()
        warned = False
        while True:
            try:
                self._store.database.call(work)
            except Unavailable as unavailable:
                if not warned:
                    log.warning("Operations wait to be written: %s", unavailable)
                    warned = True
            else:
                if warned:
                    away = time.monotonic() - since
                    log.warning("The database is back after %.0f s: operations are written", away)
                for write in batch:
                    if not write.done.done():
                        write.done.set_result(None)
                return
            with self._changed:
                if self._deadline is not None and time.monotonic() + pause > self._deadline:
                    break
                # Left early at the close, to try for the last time.
                self._changed.wait_for(lambda: self._deadline is not None, pause)
            if self._deadline is not None:
                time.sleep(min(pause, PAUSE))
            pause = min(pause * 2, LONGEST_PAUSE)
        _give_up(batch)


def _retrieved(written: Written) -> asyncio.Future[None]:
    """Return what ends with it, and counts as retrieved: asyncio logs the error of one that nobody asks."""
    future = asyncio.wrap_future(written)
    future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return future


def _give_up(batch: list[Write]) -> None:
    if batch:
        log.error("%d operations could not be written before the end of the server", len(batch))
    for write in batch:
        if not write.done.done():
            write.done.set_exception(Unavailable("The server ended before the database came back."))
