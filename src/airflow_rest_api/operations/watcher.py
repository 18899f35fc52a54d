"""Operations that another API server runs: one look at the database for all who follow one from here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from airflow_rest_api.errors import Unavailable, UnknownOperation
from airflow_rest_api.operations.feed import Feed

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

EVERY = 0.1
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
        """Give an operation that is kept up to date; raise UnknownOperation or Unavailable."""
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
                    await asyncio.sleep(EVERY)
        except UnknownOperation:
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
