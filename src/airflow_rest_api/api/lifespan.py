"""What goes on beside the requests, from the start of the API server to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from airflow_rest_api.operations.upkeep import Heartbeat, sweeper

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context

log = logging.getLogger(__name__)

STOPPED = "The API server was stopped."
LOOK = 0.25
"""Seconds between two looks at whether the server stops."""
GRACE = 5.0
"""Seconds in which the commands that clients wait for may come to an end of their own, when it does."""


class Upkeep:
    """
    Beats, cleans up, and ends everything when the server stops.

    A server that stops waits for the answers it still owes before it tells us (uvicorn's graceful shutdown).
    A stream of events, or the answer to a long command, would hold it up until its patience ends, which
    Airflow sets to two minutes. So we look ourselves.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._heartbeat = Heartbeat(context.operations, context.store)
        settings = context.settings
        self._sweeper = sweeper(context.store, settings.operations_kept, settings.operations_kept_for)
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, in the background."""
        self._heartbeat.start()
        self._sweeper.start()
        self._context.services.local.upkeep.start()
        self._context.usage.start()
        self._watch = asyncio.create_task(self._until_stopping())

    async def stop(self) -> None:
        """End every command, and return once that is in the database, or that has taken too long."""
        context = self._context
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        context.streams.close()
        await self._sweeper.stop()
        await context.services.local.upkeep.stop()
        context.operations.stop(STOPPED)
        await context.engine.stop(STOPPED)
        await context.operations.settle()
        await context.services.local.close()
        await context.usage.stop()
        await self._heartbeat.stop()

    async def _until_stopping(self) -> None:
        while not stopping():  # noqa: ASYNC110 - a handler of signals that is not ours wakes nobody
            await asyncio.sleep(LOOK)
        log.info("The API server stops: streams of events end, and commands after %g seconds", GRACE)
        self._context.streams.close()
        self._context.operations.let_go()
        await asyncio.sleep(GRACE)
        self._context.operations.stop(STOPPED)


def stopping() -> bool:
    """
    Return whether this process was told to end.

    uvicorn's handler of signals is a method of its server (``uvicorn.server.Server.capture_signals``), which
    says so; another server tells us at the end of the lifespan.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True
