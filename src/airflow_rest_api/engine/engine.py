"""The engine: takes jobs, keeps to the limits, and renews the warm parent when it is lost or outdated."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import shutil
import time
from collections import deque

from airflow_rest_api import private_folders
from airflow_rest_api.disk_full import of_disk
from airflow_rest_api.engine.children import Child, ParentLost
from airflow_rest_api.engine.job import Ending, Hooks, Job, Limits, Outcome
from airflow_rest_api.engine.parent import CannotFork, WarmParent, fresh_child
from airflow_rest_api.engine.process import Listener, Process, first
from airflow_rest_api.errors import Busy
from airflow_rest_api.loop_share import LoopShare

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Children that a job is offered to before it is given up; each before was lost without having begun it."""

REFILL_DELAY = 0.01
"""Seconds in which the answer of a command leaves, before new spare children take the processor."""

NO_ROOM_PAUSE = 0.5
"""Seconds until it is tried again where the machine had no room for one more process."""

WARM_WITHIN = 180.0
"""Seconds in which the warm parent has to be ready: it asks the database, which may not answer."""

WARMING_UP = "The engine is warming up; the command begins when it is ready."

PAUSE_AFTER_FAILURE = 60.0
"""Seconds in which commands run in new interpreters after the warm parent could not be started."""


class Engine:
    """
    Runs commands in warm children, at most `limits.parallelism` at once.

    Everything happens on the event loop that calls `start` or `submit`; one engine serves one loop.

    :param share: what commands have of this loop; no bound where the loop is ours alone
    """

    def __init__(self, limits: Limits, hooks: Hooks | None = None, share: LoopShare | None = None) -> None:
        self.limits = limits
        self._hooks = hooks or Hooks()
        self._loop_share = share or LoopShare(math.inf)
        self._queue: deque[Process] = deque()
        self._running: set[Process] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._parent: WarmParent | None = None
        self._retired: list[WarmParent] = []
        self._cold_until = 0.0
        self._typical_seconds = 1.0
        self._folder: str | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to warm up, in the background; where there is no room for that, the first command does."""
        if self.limits.fork:
            try:
                self._current_parent()
            except CannotFork as error:
                # Airflow's API server, which waits for us at its start, is to answer all the same.
                log.error("The warm parent could not be started: %s", error.__cause__)

    async def warm(self, seconds: float) -> None:
        """Return when the next command has nothing to wait for, or after so many seconds."""
        parent = self._parent
        if self.limits.fork and parent is not None:
            with contextlib.suppress(ParentLost, asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(parent.ready), seconds)

    async def stop(self, reason: str = "The API server was stopped.") -> None:
        """End every command and every process of the engine."""
        self._stopping = True
        for process in [*self._queue, *self._running]:
            process.cancel(reason)
        self._advance()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.limits.grace + 5)
        for parent in [self._parent, *self._retired]:
            if parent is not None:
                parent.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def submit(self, job: Job, on_output: Listener | None = None) -> Process:
        """
        Run a job as soon as there is room.

        :param on_output: is given the stream's name and each piece of output as it comes
        :raises Busy: when as many are waiting as may wait
        """
        self.check_room()
        process = Process(job, on_output)
        process.loop_share = self._loop_share
        if (what := self.waits_for) is not None:
            process.wait_for(what)
        self._queue.append(process)
        process.stopping.add_done_callback(lambda _: self._forget(process))
        self._advance()
        return process

    def check_room(self) -> None:
        """Raise Busy where a job would be refused now."""
        # Not where there is room beside what waits for its owner's share: that keeps nobody else out.
        if self._stopping or (self._full and len(self._queue) >= self.limits.queue):
            seconds = (len(self._queue) + 1) * self._typical_seconds / self.limits.parallelism
            raise Busy(retry_after=max(1, min(60, math.ceil(seconds))))

    @property
    def waits_for(self) -> str | None:
        """What the next command has to wait for beside its place in the queue, in one sentence."""
        if self._cold:
            return None
        warm = self._parent is not None and not self._parent.lost and self._parent.ready.done()
        return None if warm else WARMING_UP

    @property
    def _cold(self) -> bool:
        """Whether commands run in new interpreters."""
        return not self.limits.fork or time.monotonic() < self._cold_until

    def _may_share(self, job: Job) -> bool:
        return job.resident and self.limits.residents > 0

    @property
    def _full(self) -> bool:
        return len(self._running) >= self.limits.parallelism

    def _has_share(self, owner: str | None) -> bool:
        """Return whether a command of an owner may run beside those that run."""
        if owner is None or self.limits.share is None:
            return True
        return sum(process.job.owner == owner for process in self._running) < self.limits.share

    def _next(self) -> Process | None:
        """Take the first command from the queue whose owner has not got their share; None for none."""
        found = next((process for process in self._queue if self._has_share(process.job.owner)), None)
        if found is not None:
            self._queue.remove(found)
        return found

    def _advance(self) -> None:
        while not self._full and (process := self._next()) is not None:
            self._running.add(process)
            task = asyncio.ensure_future(self._loop_share.run(self._drive(process)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _forget(self, process: Process) -> None:
        """End a command that was cancelled while it was queued."""
        if process in self._queue and not process.stopping.cancelled():
            self._queue.remove(process)
            process.end(_stopped(process))

    async def _drive(self, process: Process) -> None:
        outcome = Outcome(Ending.LOST, message="The command could not be started.")
        try:
            outcome = await self._attempt(process)
        except Exception as error:
            log.exception("A command could not be run")
            found = of_disk(error)
            why = found.message if found else f"{type(error).__name__}."
            outcome = Outcome(Ending.LOST, message=f"The command could not be run: {why}")
        finally:
            self._running.discard(process)
            process.end(outcome)
            if process.started_at is not None:
                self._typical_seconds += 0.1 * (time.time() - process.started_at - self._typical_seconds)
            asyncio.get_running_loop().call_later(REFILL_DELAY, self._refill)
            self._advance()

    def _refill(self) -> None:
        if self._parent is not None and not self._stopping:
            self._parent.refill()

    async def _attempt(self, process: Process) -> Outcome:
        outcome = Outcome(Ending.LOST, message="The process that runs commands was lost.")
        for _ in range(ATTEMPTS):
            child = await self._child(process)
            if child is None:
                return _stopped(process)
            outcome = await process.run(child, self.limits, self._hooks)
            if process.begun or outcome.ending in (Ending.CANCELLED, Ending.TIMED_OUT):
                break
        return outcome

    async def _child(self, process: Process) -> Child | None:
        """Return a child for a command, None when the command is cancelled before there is one."""
        if self._parent is not None and not self._cold and self.waits_for is None:
            looking = self._parent.look()
            if looking is not None:
                await first(looking, process.stopping)
        if process.stopping.done():
            return None
        if (child := self._idle_child(process)) is not None:
            return child
        getting = asyncio.ensure_future(self._loop_share.run(self._any_child(process)))
        await first(getting, process.stopping)
        if process.stopping.done():
            getting.add_done_callback(_let_go)
            getting.cancel()
            return None
        return getting.result()

    def _idle_child(self, process: Process) -> Child | None:
        """Return a resident child that waits for a job, where this may be its next."""
        if not self._may_share(process.job) or self._cold or self.waits_for is not None:
            return None
        # One that could not be had is waited for with all others.
        with contextlib.suppress(CannotFork):
            return self._current_parent().idle_resident()
        return None

    async def _any_child(self, process: Process) -> Child:
        for _ in range(ATTEMPTS):
            if self._cold:
                break
            try:
                parent = self._current_parent()
                if not parent.ready.done():
                    # A renewed parent, which was not there yet when it was submitted.
                    process.wait_for(WARMING_UP)
                    await asyncio.wait_for(asyncio.shield(parent.ready), WARM_WITHIN)
                if threads := parent.ready.result():
                    self._go_cold(f"forking it is not safe beside its threads {', '.join(threads)}")
                    break
                if self._may_share(process.job):
                    return await parent.resident()
                return await parent.child()
            except ParentLost:
                if not parent.warmed:
                    self._go_cold("it ended while warming up")
            except asyncio.TimeoutError:
                self._go_cold(f"it was not warm after {WARM_WITHIN:g} seconds")
            except CannotFork:
                await asyncio.sleep(NO_ROOM_PAUSE)
        if self._folder is None or not private_folders.is_there(self._folder):
            self._folder = str(private_folders.make())
        return await fresh_child(self.limits, self._folder)

    def _current_parent(self) -> WarmParent:
        """Return the warm parent, a new one where it is needed; raise CannotFork."""
        parent = self._parent
        if parent is not None and not parent.lost and not parent.outdated:
            return parent
        # First the new one: where there is no room for it, the old one is looked at again.
        self._parent = WarmParent(self.limits, self._hooks)
        if parent is not None and not parent.lost:
            log.info("What the warm parent %d was made from has changed; it is renewed", parent.pid)
            self._retired = [old for old in self._retired if not old.lost] + [parent]
            parent.retire()
        return self._parent

    def _go_cold(self, why: str) -> None:
        log.warning("The warm parent cannot be used: %s. Commands run in new interpreters, slower.", why)
        self._cold_until = time.monotonic() + PAUSE_AFTER_FAILURE
        if self._parent is not None:
            self._parent.close()


def _stopped(process: Process) -> Outcome:
    ending, reason = process.stopping.result()
    return Outcome(ending, message=reason)


def _let_go(getting: asyncio.Future[Child]) -> None:
    with contextlib.suppress(asyncio.CancelledError, Exception):
        getting.result().close()
