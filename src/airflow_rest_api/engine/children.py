"""A child as the API server sees it, and the children that take one job after another."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from functools import partial

from airflow_rest_api.engine import wire

log = logging.getLogger(__name__)

FREE_WITHIN = 0.25
"""Seconds in which no resident child has become free, after which a job gets one that ends with it."""
MOST_JOBS = 1000
"""Jobs after which a resident child ends."""
IDLE_FOR = 300.0
"""Seconds without a job after which it does."""
CALM = 0.05
"""Seconds since a resident child was last given a job or ended one, after which the next has no hurry."""
LINGERS = 0.005
"""Seconds for which one without hurry leaves the processors to the answer, before it puts itself back."""


class ParentLost(Exception):
    """The warm parent is gone, and with it how its children end."""


class Child:
    """
    A process that waits for its job.

    :ivar exited: becomes its wait status (`os.waitstatus_to_exitcode`), or raises `ParentLost`
    """

    def __init__(
        self, pid: int, control: socket.socket, stdout: int, stderr: int, send_signal: Callable[[int], None]
    ) -> None:
        self.pid = pid
        self.control = control
        self.stdout = stdout
        self.stderr = stderr
        self.send_signal = send_signal
        self.inbox = wire.Inbox()
        self.take_back: Callable[[], None] | None = None
        """Called when it has run a job and may take another; None for one that ends with its first."""
        self.jobs = 0
        self.lingers = 0.0
        """Seconds that it waits after its next job before it makes itself ready for another."""
        self._leaving: asyncio.TimerHandle | None = None
        self.outputs: list[int] = []
        """The ends of its pipes that it gets with its next job; with the first, it has those of the fork."""
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Nothing may be waiting for it when the parent is lost.
        self.exited.add_done_callback(lambda future: future.cancelled() or future.exception())
        control.setblocking(False)
        for descriptor in (stdout, stderr):
            os.set_blocking(descriptor, False)

    def has_exited(self, code: int) -> None:
        """Note the end: its exit code, or its signal as a negative number."""
        if not self.exited.done():
            self.exited.set_result(code)

    def close(self) -> None:
        """Close the descriptors; a child that still waits for its job ends by that."""
        self.control.close()
        self.close_outputs()

    def end_unless_it_leaves(self, seconds: float) -> None:
        """Kill it after so many seconds unless it has exited, or waits for another job."""
        self._leaving = asyncio.get_running_loop().call_later(seconds, self._kill)
        self.exited.add_done_callback(lambda _: self.stays())

    def stays(self) -> None:
        """Take back `end_unless_it_leaves`."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _kill(self) -> None:
        if not self.exited.done():
            self.send_signal(signal.SIGKILL)

    def listen(self, ready: Callable[[bool], None]) -> None:
        """Call `ready` once: with True when it waits for another job, with False when it never will."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                data = self.control.recv(4096)
                self.inbox.feed(data)
                found = self._says_again() if data else False
            except BlockingIOError:
                return
            except OSError:
                found = False
            if found is not None:
                loop.remove_reader(self.control)
                ready(found)

        # It may have been read with the report before it.
        found = self._says_again()
        if found is None:
            loop.add_reader(self.control, read)
        else:
            ready(found)

    def _says_again(self) -> bool | None:
        """Return whether it has said that it takes another job, None while it says nothing."""
        try:
            taken = self.inbox.take()
        except wire.Malformed:
            return False
        if taken is None:
            return None
        message = wire.read(taken[0])
        if isinstance(message, wire.Leaves):
            log.debug("The resident child %d ends after %d jobs: %s", self.pid, self.jobs, message.why)
        return message == "again"

    def open_outputs(self) -> None:
        """
        Make the pipes of the next job: no byte of another can come out of them.

        :raises OSError: there is no room for them
        """
        self.stdout, out_write = os.pipe()
        try:
            self.stderr, err_write = os.pipe()
        except OSError:
            os.close(out_write)
            raise
        self.outputs = [out_write, err_write]
        for descriptor in (self.stdout, self.stderr):
            os.set_blocking(descriptor, False)

    def close_outputs(self) -> None:
        """Close the pipes of the job before: what comes late is dropped."""
        for name in ("stdout", "stderr"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)
        self.outputs_given()

    def outputs_given(self) -> None:
        """Close the ends that the child has by now."""
        while self.outputs:
            os.close(self.outputs.pop())


class Residents:
    """
    Children that take one job after another, each for a while.

    :param most: how many there may be
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[Child] = set()
        self._idle: list[Child] = []
        """Those without a job; the one that had the last is taken first."""
        self._wanted: deque[asyncio.Future[Child | None]] = deque()
        self._freed_at = 0.0
        self._busy_at = 0.0
        self._timers: dict[Child, asyncio.TimerHandle] = {}
        self._closed = False

    async def take(self) -> Child | None:
        """
        Return one that waits for a job; None where there may be one more, or none becomes free.

        It has to be given its job, or closed.
        """
        if (child := self.take_idle()) is not None:
            return child
        if len(self._all) < self._most or self._closed:
            return None
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Child | None] = loop.create_future()
        self._wanted.append(waiter)
        began = loop.time()
        try:
            # On a machine that is busy a fork would make all others wait: one is made where nothing moves.
            while not waiter.done() and (left := max(began, self._freed_at) + FREE_WITHIN - loop.time()) > 0:
                await asyncio.wait({waiter}, timeout=left)
        except asyncio.CancelledError:
            # `asyncio.wait` leaves it as it is: one that still waits would be given a child.
            if not waiter.done():
                waiter.cancel()
            elif (given := waiter.result()) is not None:
                self._wait(given)
            raise
        if not waiter.done():
            waiter.set_result(None)
        return waiter.result()

    def take_idle(self) -> Child | None:
        """Return one that waits for a job, None where there is none now."""
        if not self._idle:
            return None
        child = self._taken(self._idle.pop())
        calm = asyncio.get_running_loop().time() - self._busy_at > CALM
        child.lingers = LINGERS if calm else 0.0
        self._note_busy()
        return child

    def add(self, child: Child) -> None:
        """Have a new child take more than its first job, where there may be one more."""
        if len(self._all) < self._most and not self._closed:
            child.take_back = partial(self._take_back, child)
            self._all.add(child)
        self._note_busy()

    def _take_back(self, child: Child) -> None:
        self._note_busy()
        child.jobs += 1
        child.close_outputs()

        def ready(again: bool) -> None:
            if again and child.jobs < MOST_JOBS and child in self._all:
                child.stays()
                self._wait(child)
            else:
                self._end(child)

        child.listen(ready)

    def discard(self, child: Child) -> None:
        """Forget one that has ended."""
        self._all.discard(child)
        # One that has a job is closed by who follows that.
        if child in self._idle:
            self._end(child)

    def close(self) -> None:
        """End those that wait, and the others as soon as they are taken back."""
        self._closed = True
        for child in self._idle[:]:
            self._end(child)
        self._all.clear()
        while self._wanted:
            waiter = self._wanted.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _note_busy(self) -> None:
        self._busy_at = asyncio.get_running_loop().time()

    def _taken(self, child: Child) -> Child:
        self._timers.pop(child).cancel()
        return child

    def _wait(self, child: Child) -> None:
        if self._closed:
            self._end(child)
            return
        self._freed_at = asyncio.get_running_loop().time()
        while self._wanted:
            waiter = self._wanted.popleft()
            if not waiter.done():
                child.lingers = 0.0
                self._note_busy()
                waiter.set_result(child)
                return
        self._idle.append(child)
        self._timers[child] = asyncio.get_running_loop().call_later(IDLE_FOR, self._end, child)

    def _end(self, child: Child) -> None:
        self._all.discard(child)
        if child in self._idle:
            self._idle.remove(child)
            self._taken(child)
        child.close()
