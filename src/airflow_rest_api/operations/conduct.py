"""Operations that are a coroutine of ours: what it has of its operation, and what becomes of its end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow_rest_api.airflow.child import setup
from airflow_rest_api.errors import Busy
from airflow_rest_api.operations.model import State
from airflow_rest_api.room import NO_ROOM, no_room

if TYPE_CHECKING:
    from airflow_rest_api.engine.engine import Engine
    from airflow_rest_api.engine.job import Job, Outcome
    from airflow_rest_api.operations.live import Live

log = logging.getLogger(__name__)

PAUSE = 0.2
"""Seconds between the attempts to find a place in the engine's queue."""


class Failed(Exception):
    """
    Ends a conducted operation in the state `failed`.

    :param message: one sentence, for the client
    :param result: what the operation has to show all the same
    """

    def __init__(self, message: str, exit_code: int = 1, result: Any = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.result = result


@dataclass(frozen=True)
class Finished:
    """A child that has ended, with what of its output was kept; secrets are masked in it."""

    outcome: Outcome
    stdout: bytes
    stderr: bytes


class Conductor:
    """
    What a coroutine of ours has of its operation.

    :ivar id: the id of the operation
    """

    def __init__(self, live: Live, engine: Engine) -> None:
        self._live = live
        self._engine = engine
        self.id = live.operation.id

    def say(self, text: str, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        """Add to what the operation prints; a line ends with a newline of its own."""
        self._live.feed.add(stream, text.encode(errors="replace"))

    def progress(self, step: str, **details: Any) -> None:
        """Tell all who follow the operation how far it is; the details must be good for JSON."""
        said = {"step": step, "at": datetime.now(timezone.utc).isoformat(), **details}
        self._live.feed.add("progress", json.dumps(said).encode())

    def warn(self, text: str) -> None:
        """Put a warning on the operation."""
        self._live.operation.warnings.append(text)

    async def run(self, job: Job) -> Finished:
        """
        Run an engine child to its end; one that finds no room in the queue tries again until there is some.

        What Airflow writes down of it carries the user of the operation.
        The child is cancelled with the operation, and has ended when this is left.
        """
        user = self._live.operation.user
        job = replace(job, setup={**job.setup, setup.PREPARE: setup.order(user, ())})
        while True:
            try:
                process = self._engine.submit(job)
                break
            except Busy:
                await asyncio.sleep(PAUSE)
        try:
            outcome = await process.wait()
        except asyncio.CancelledError:
            process.cancel(self._live.reason or "The operation was ended.")
            await process.wait()
            raise
        return Finished(outcome, process.stdout.data, process.stderr.data)


Work = Callable[[Conductor], Awaitable[Any]]
"""Returns the operation's result; raises `Failed`; is cancelled on cancel and timeout."""


async def perform(live: Live, engine: Engine, work: Work, timeout: float | None) -> dict[str, bytes]:
    """Do the work of an operation, and set on the operation how it ended, its state last; it has no files."""
    operation = live.operation
    live.begin(datetime.now(timezone.utc))
    task = asyncio.ensure_future(work(Conductor(live, engine)))
    asked = asyncio.ensure_future(live.asked.wait())
    try:
        await asyncio.wait({task, asked}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        # What came to its end in the same moment has come to its end.
        stopped = None if task.done() else State.CANCELLED if live.asked.is_set() else State.TIMED_OUT
        if stopped is not None:
            task.cancel()
        state = State.SUCCEEDED
        exit_code: int | None = 0
        try:
            operation.result = await task
        except asyncio.CancelledError:
            state, exit_code = stopped or State.CANCELLED, None
            operation.message = live.reason
            if stopped is State.TIMED_OUT:
                operation.message = f"The operation was ended after {timeout:g} seconds."
        except Failed as failed:
            state, exit_code = State.FAILED, failed.exit_code
            operation.message, operation.result = str(failed), failed.result
        except Exception as error:
            state, exit_code = State.FAILED, 1
            operation.message = NO_ROOM
            if not no_room(error):
                log.exception("Operation %s (%s) failed", operation.id, operation.command)
                operation.message = (
                    f"Something went wrong in the server; its log says more under {operation.id}."
                )
        operation.exit_code, operation.state = exit_code, state
        return {}
    finally:
        asked.cancel()
