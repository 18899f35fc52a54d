"""Work that is repeated in the background, from the start of an API server to its end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from airflow_rest_api.errors import Unavailable

log = logging.getLogger(__name__)

MOST_CAUSES = 10
"""Causes of one outage that are logged: what drivers say may hold a number that differs each time."""


class Periodic:
    """
    Repeat some work until it is stopped, whether or not a round of it fails.

    Of failures of one kind in a row, the first is logged; where the database is away, the first of each
    cause: it may be up at last, and its user lack a right.

    :param name: what is done, for the log: "The heartbeat"
    :param every: seconds from the end of a round to the next one, also after a failure
    :param work: one round
    :param jitter: the part of `every` by which a pause may differ: several servers do not work at once then
    :param at_once: whether to begin with a round, and not with a pause
    """

    def __init__(
        self,
        name: str,
        every: float,
        work: Callable[[], Awaitable[object]],
        *,
        jitter: float = 0.0,
        at_once: bool = True,
    ) -> None:
        self._name = name
        self._every = every
        self._work = work
        self._jitter = jitter
        self._at_once = at_once
        self._task: asyncio.Task[None] | None = None
        self._failure: type[Exception] | None = None
        self._causes: set[str] = set()
        """Why the database was away, of failures in a row."""

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._rounds())

    async def stop(self) -> None:
        """Cancel a round that is under way, and return once it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _rounds(self) -> None:
        if not self._at_once:
            await self._pause()
        while True:
            await self._round()
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._every * random.uniform(1 - self._jitter, 1 + self._jitter))

    async def _round(self) -> None:
        try:
            await self._work()
            self._failure = None
            self._causes.clear()
        except Exception as error:
            if self._is_new(error) or type(error) is not self._failure:
                # An outage needs no traceback.
                text = "%s failed; retrying every %g s: %s"
                log.warning(text, self._name, self._every, error, exc_info=not isinstance(error, Unavailable))
            self._failure = type(error)

    def _is_new(self, error: Exception) -> bool:
        """Return whether the database is away for a cause that was not logged yet."""
        cause = str(error)
        if not isinstance(error, Unavailable) or cause in self._causes or len(self._causes) >= MOST_CAUSES:
            return False
        self._causes.add(cause)
        return True
