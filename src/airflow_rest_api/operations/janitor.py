"""Operations are not kept for ever: the old ones go, in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

from airflow_rest_api.errors import Unavailable

if TYPE_CHECKING:
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two rounds; each API server makes its own, at times of its own."""


class Janitor:
    """
    Removes ended operations: all but the newest ``count``, and those older than ``age`` seconds.

    What has not ended stays.
    """

    def __init__(self, store: Store, *, count: int, age: float, every: float = EVERY) -> None:
        self._store = store
        self._count = count
        self._age = age
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._rounds())

    async def stop(self) -> None:
        """Stop in the middle of a round: the next one, of whichever server, goes on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> int:
        """Remove what is not kept any longer; return how many operations that were."""
        return await self._store.sweep(self._count, self._age)

    async def _rounds(self) -> None:
        while True:
            await asyncio.sleep(self._every * random.uniform(0.5, 1.5))
            try:
                gone = await self.round()
                log.debug("%d operations are no longer kept", gone)
            except Unavailable:
                log.debug("The database is away; old operations are removed later")
            except Exception:
                log.exception("Old operations could not be removed")
