"""This API server's sign of life, and what becomes of the operations of those that give none any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_rest_api.errors import Unavailable

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Server
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two beats, and between two looks at those of the others."""
DEAD_AFTER = 30.0
"""Seconds without a beat, of our own clock, after which a server is taken for dead."""
CANCELS = 0.5
"""Seconds between two looks at what others asked us to end, while something runs here."""
LEAVE_WITHIN = 5.0
LOOK_EVERY = 12
"""Beats between two looks for rows that nothing belongs to."""


@dataclass
class _Pulse:
    """What we saw of another server: its counter, and for how long that has stood still before our eyes."""

    beat: int
    still: float = 0.0


class Heart:
    """
    Beats for this process, and buries other servers: what they ran is `lost` then.

    A server is dead when its counter stood still for ``DEAD_AFTER`` seconds in which we ourselves could read
    the database, look after look: neither clocks that differ nor a database that was away kill anybody.

    :param every: seconds between two beats, and :param dead_after: see above; for tests
    """

    def __init__(
        self,
        operations: Operations,
        store: Store,
        *,
        every: float = BEAT,
        dead_after: float = DEAD_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operations = operations
        self._store = store
        self._every = every
        self._dead_after = dead_after
        self._clock = clock
        self._beat = 0
        self._pulses: dict[str, _Pulse] = {}
        self._last_look: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to beat, in the background."""
        self._tasks = [
            asyncio.create_task(self._again(self.look, self._every)),
            asyncio.create_task(self._again(self.hear_cancels, CANCELS)),
        ]

    async def stop(self) -> None:
        """Stop beating; what ran here has been recorded as ended, so there is nothing to bury."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Unavailable, asyncio.TimeoutError):
            await asyncio.wait_for(self._store.leave(self._operations.server.id), LEAVE_WITHIN)

    async def look(self) -> None:
        """Beat once, look at the others, and bury the dead."""
        self._beat += 1
        await self._store.beat(replace(self._operations.server, beat=self._beat))
        orphans = await self._store.orphans()
        servers = await self._store.servers()
        if self._beat % LOOK_EVERY == 0:
            await self._operations.forget_unbegun()
        for identifier in self._dead(servers, orphans):
            lost = await self._store.bury(identifier)
            log.warning(
                "The API server %s gives no sign of life; its unfinished operations are lost: %s",
                identifier,
                ", ".join(lost) or "it had none",
            )
            self._pulses.pop(identifier, None)

    async def hear_cancels(self) -> None:
        """End what somebody asked another server to end."""
        if self._operations.running:
            self._operations.cancel_here(await self._store.cancels(self._operations.server.id))

    def _dead(self, servers: list[Server], orphans: set[str]) -> list[str]:
        now = self._clock()
        # After a time in which we saw nothing, or were not running ourselves, that time does not count.
        seen = 0.0 if self._last_look is None else now - self._last_look
        if seen > 3 * self._every:
            seen = 0.0
        self._last_look = now
        beats = {server.id: server.beat for server in servers} | dict.fromkeys(orphans, -1)
        beats.pop(self._operations.server.id, None)
        self._pulses = {
            identifier: _Pulse(beat, old.still + seen if old and old.beat == beat else 0.0)
            for identifier, beat in beats.items()
            for old in [self._pulses.get(identifier)]
        }
        return [identifier for identifier, pulse in self._pulses.items() if pulse.still >= self._dead_after]

    async def _again(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await work()
            except Unavailable as error:
                log.debug("%s", error)
                self._last_look = None
            except Exception:
                log.exception("The heart missed a beat")
            await asyncio.sleep(seconds)
