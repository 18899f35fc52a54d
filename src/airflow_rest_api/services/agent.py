"""What looks after the services of a machine, in each API server of it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from airflow_rest_api.errors import Unavailable

if TYPE_CHECKING:
    from airflow_rest_api.services.local import Local

log = logging.getLogger(__name__)

PAUSE = 1.5
"""Seconds between two rounds."""
PRUNE_EVERY = 600
"""Rounds."""


class Agent:
    """
    Goes its rounds until it is stopped. Several on one machine do no harm, and nothing twice.

    :param pause: seconds between two rounds
    """

    def __init__(self, local: Local, *, pause: float = PAUSE) -> None:
        self._local = local
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End; the components go on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        trouble = None
        rounds = 0
        while True:
            try:
                await self._local.round()
                if rounds % PRUNE_EVERY == 0:
                    await self._local.prune()
                rounds += 1
                trouble = None
            except Unavailable as error:
                if trouble is None:
                    log.warning("Nobody looks after the services of this machine for now: %s", error)
                trouble = "away"
            except Exception as error:
                if trouble != type(error).__name__:
                    log.exception("The services of this machine could not be looked after")
                trouble = type(error).__name__
            await asyncio.sleep(self._pause)
