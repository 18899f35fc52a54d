"""Who still calls what: each call of a 1.x endpoint is counted, and written in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.legacy import usage_store
from airflow_rest_api.legacy.usage_store import (
    LONGEST_ADDRESS,
    LONGEST_ARGUMENT,
    OTHER,
    CallerUsage,
    Calls,
    Sort,
    UsageKey,
)
from airflow_rest_api.storage.schema import LONGEST_NAME, storable

if TYPE_CHECKING:
    from airflow_rest_api.legacy.model import Endpoint
    from airflow_rest_api.storage.database import Database

log = logging.getLogger(__name__)

UNKNOWN = "(unknown)"
"""Counts the requests to an endpoint that there is not; what the client called it is not kept."""

EVERY = 2.0
"""Seconds that a call waits for others before it is written."""
ROOM = 10_000
"""Rows that wait while the database is away; what would be one more is counted more coarsely."""
TOGETHER = 400
"""Rows in one transaction."""
MOST_ARGUMENTS = 20
"""Arguments without effect that are counted of one call; those beyond it are one: `(other)`."""
KEPT = timedelta(days=365)
"""For so long a row is kept after its last call."""
FORGET_EVERY = 3600.0

_NAME = re.compile(rf"[^\W\d][\w.-]{{0,{LONGEST_ARGUMENT - 1}}}")
"""A text that can be meant as a name. Others are not kept: a body sent as the wrong type is one long name."""


class Usage:
    """
    Counts in memory, and adds that to the rows in the database every few seconds.

    While the database is away the counts wait. An outage in the middle of a commit can count a call twice; an
    API server that is killed loses those of the last seconds.

    :param room: rows that may wait
    """

    def __init__(self, database: Database, *, room: int = ROOM) -> None:
        self._database = database
        self._room = room
        self._waiting: dict[UsageKey, Calls] = {}
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # A moment after the start, and not by all API servers in the same one.
        self._forget_at = time.monotonic() + random.uniform(60, 120)

    def count(
        self,
        endpoint: Endpoint | None,
        user: str,
        address: str | None,
        at: datetime,
        ignored: Iterable[str] = (),
    ) -> None:
        """
        Count a call; returns at once.

        :param endpoint: None where the client named none that there is
        :param ignored: the names of the arguments that had no effect
        """
        name = UNKNOWN if endpoint is None else endpoint.name
        key = UsageKey(name, storable(user, LONGEST_NAME) or "", storable(address, LONGEST_ADDRESS))
        self._add(key, Calls(1, at, at))
        if endpoint is not None:
            for argument, known in _named(endpoint, ignored).items():
                self._add(key._replace(argument=argument, known=known), Calls(1, at, at))

    async def read(
        self, endpoint: str | None, user: str | None, sort: Sort, limit: int
    ) -> tuple[list[CallerUsage], int]:
        """Return who has called, the first `limit` in an order, and how many they are; raise Unavailable."""
        user = storable(user, LONGEST_NAME)
        return await self._database.run(
            lambda connection: usage_store.read(connection, endpoint, user, sort, limit)
        )

    def start(self) -> None:
        """Begin to write, in the background."""
        self._task = asyncio.create_task(self._rounds())

    async def stop(self, seconds: float = 5.0) -> None:
        """Write what waits, for no longer than that."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._waiting:
            log.warning("%d rows of the use of the 1.x endpoints could not be written", len(self._waiting))

    async def flush(self) -> None:
        """Write what waits; raise Unavailable, and go on to keep it, where the database is away."""
        while self._waiting:
            batch = dict(islice(self._waiting.items(), TOGETHER))
            for key in batch:
                del self._waiting[key]
            try:
                # Without the patience of `run`: what comes of it has to be known.
                await asyncio.to_thread(self._database.call, partial(usage_store.add, counted=batch))
            except (Unavailable, asyncio.CancelledError):
                for key, calls in batch.items():
                    self._add(key, calls)
                raise

    def _add(self, key: UsageKey, calls: Calls) -> None:
        if key not in self._waiting and len(self._waiting) >= self._room:
            key = self._coarse(key)
        if key in self._waiting:
            self._waiting[key].add(calls)
        else:
            self._waiting[key] = calls

    def _coarse(self, key: UsageKey) -> UsageKey:
        """Return a key without what clients choose freely, in the row of its calls."""
        if key.of_calls not in self._waiting:
            key = key._replace(address=OTHER)
        return key if key.known else key._replace(argument=OTHER)

    async def _rounds(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), EVERY)
            try:
                await self.flush()
                await self._forget()
            except Unavailable:
                log.debug("The database is away; the use of the 1.x endpoints is written later")
            except Exception as error:
                # The words of SQLAlchemy hold the values.
                log.error("The use of the 1.x endpoints could not be written: %s", type(error).__name__)

    async def _forget(self) -> None:
        if time.monotonic() < self._forget_at or self._closing.is_set():
            return
        self._forget_at = time.monotonic() + FORGET_EVERY
        before = datetime.now(timezone.utc) - KEPT
        await self._database.run(lambda connection: usage_store.forget(connection, before))


def _named(endpoint: Endpoint, names: Iterable[str]) -> dict[str, bool]:
    """Return the names under which arguments are counted, and whether the endpoint has each."""
    found: dict[str, bool] = {}
    for name in names:
        known = endpoint.argument(name) is not None
        if len(found) < MOST_ARGUMENTS and (known or _NAME.fullmatch(name)):
            found[name] = known
        elif name not in found:
            found[OTHER] = False
        if len(found) > MOST_ARGUMENTS:
            break
    return found
