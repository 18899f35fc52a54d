"""One command on its way through the engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from airflow_rest_api.engine import wire
from airflow_rest_api.engine.children import Child, ParentLost
from airflow_rest_api.engine.job import Ending, Hooks, Job, Limits, Outcome
from airflow_rest_api.engine.redaction import Redactor, Secrets
from airflow_rest_api.loop_share import LoopShare
from airflow_rest_api.processes import signal_name

log = logging.getLogger(__name__)

SUCCEEDED_BEFORE = "The command was asked to end and succeeded all the same."
ENDED_ITSELF = "The process ended before the command had: what it ran has ended it (os._exit)."

DISTURBED = "The process was ended: what it ran has written to the socket on which it reports (descriptor 3)."

LEAVING = 30.0
"""Seconds that the exit handlers of a command may take after it has reported its end."""

LONG_JOB = 8 * 1024
"""Characters of a job that are made ready in less time than a thread takes to begin."""
CHUNK = 64 * 1024
CHUNK_WITH_SECRETS = 16 * 1024
"""Bytes of output that are taken at once, fewer where secrets are looked for: others wait meanwhile."""
SHORT_OUTPUT = 64 * 1024
"""Bytes for which a command waits for no turn of the event loop: nearly all print less."""
DRAIN_READS = 8
"""Reads that empty any pipe: it holds 64 KiB, and each read takes all that is there. A socket holds more."""
LARGEST_OUTPUT = 1024 * 1024
"""Bytes of output after which a resident child takes no more jobs."""
MOST_SENT = 32 * 1024 * 1024
"""Bytes that a child may send: all secrets that can be masked, each character written as six."""
Listener = Callable[[str, bytes], None]
Report = asyncio.Future["wire.ExitReport | None"]
"""Becomes the last message of a child, None when it ends without one."""


class Process:
    """
    One command: queued, running, or ended.

    :param listener: is given the name of a stream and each piece of what is printed on it, as it comes
    """

    def __init__(self, job: Job, listener: Listener | None = None) -> None:
        self.job = job
        self.pid: int | None = None
        self.started_at: float | None = None
        self.begun = False
        """Whether the child took the job: until then it can be given to another without being done twice."""
        self._disturbed = False
        """Whether what came from the child was none of its messages: it is ended then."""
        self._becomes = False
        """Whether the child became another program, whose end is that of the command."""
        self.on_start: Callable[[], None] | None = None
        """Called once, when it is no longer queued."""
        self.waits_for: str | None = None
        """What it waits for beside its place in the queue, in one sentence."""
        self.on_wait: Callable[[str], None] | None = None
        """Called when that becomes known later than it was submitted."""
        self.loop_share = LoopShare(math.inf)
        """What its output has of the event loop; the engine sets its own."""
        self._printed = 0
        self._secrets = Secrets()
        self._listener = listener
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.stopping: asyncio.Future[tuple[Ending, str]] = asyncio.get_running_loop().create_future()
        """Becomes the reason once the command was asked to stop."""

    async def wait(self) -> Outcome:
        """Return how the command ended, once it has."""
        return await asyncio.shield(self._outcome)

    def cancel(self, reason: str = "The command was cancelled.") -> bool:
        """Ask the command to stop; return whether it was still alive and not asked before."""
        if self.stopping.done() or self._outcome.done():
            return False
        self.stopping.set_result((Ending.CANCELLED, reason))
        return True

    def wait_for(self, what: str) -> None:
        """Record what it waits for beside its place in the queue, until it begins."""
        if self.waits_for != what and self.started_at is None and not self._outcome.done():
            self.waits_for = what
            if self.on_wait is not None:
                self.on_wait(what)

    def end(self, outcome: Outcome) -> None:
        """Record the end."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def run(self, child: Child, limits: Limits, hooks: Hooks) -> Outcome:
        """Give the job to a child and follow it to its end."""
        self.pid = child.pid
        if self.started_at is None:
            self.started_at = time.time()
            if self.on_start is not None:
                self.on_start()
        loop = asyncio.get_running_loop()
        try:
            long = sum(map(len, (*self.job.argv, *self.job.secrets))) > LONG_JOB
            prepare = partial(self._prepare, limits, hooks, child)
            message = await asyncio.to_thread(prepare) if long else prepare()
        except BaseException:
            child.close()
            raise
        report: Report = loop.create_future()
        read_messages = self._reader(loop, child, report)
        drains = [
            self._pump(loop, child.stdout, "stdout", read_messages),
            self._pump(loop, child.stderr, "stderr", read_messages),
        ]
        left = _give(child, message)
        order = loop.create_task(self._give_rest(loop, child, left)) if left else None
        timer = loop.call_later(self.job.timeout, self._time_out) if self.job.timeout else None
        try:
            return await self._follow(child, report, limits.grace)
        finally:
            if timer is not None:
                timer.cancel()
            if order is not None:
                order.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await order
            for drain in drains:
                drain()
            loop.remove_reader(child.control)
            if child.take_back is not None and self._may_go_on(child, report):
                child.take_back()
            else:
                child.close()

    def _may_go_on(self, child: Child, report: Report) -> bool:
        """Return whether the child may take another job, as far as this one's end and output say."""
        return (
            report.done()
            and report.result() is not None
            and not (self.stopping.done() or self._disturbed or self._becomes or child.exited.done())
            and self._printed <= LARGEST_OUTPUT
        )

    def _prepare(self, limits: Limits, hooks: Hooks, child: Child) -> bytes:
        """Learn the secrets of the job, and return it as the child gets it."""
        job = self.job
        self._secrets.add(job.secrets)
        memory = limits.memory * 2**20 if limits.memory and job.limited else None
        given = {**vars(job), "env": dict(job.env), "setup": dict(job.setup)}
        hooked = {"main": hooks.main, "masker": hooks.masker, "tidy": hooks.tidy}
        after = {"again": child.take_back is not None, "lingers": child.lingers}
        return wire.pack({"job": given, **hooked, "memory": memory, **after})

    def _time_out(self) -> None:
        if not self.stopping.done():
            self.stopping.set_result(
                (Ending.TIMED_OUT, f"The command was ended after {self.job.timeout:g} seconds.")
            )

    async def _follow(self, child: Child, report: Report, grace: float) -> Outcome:
        # Without a report it was killed, or became another program that we then wait for.
        for ends in ({report, child.exited}, {child.exited}):
            await first(*ends, self.stopping)
            # It may end in the moment in which it is asked to.
            if child.exited.done():
                # Its report may still lie in the socket, unless what it started keeps the other end open.
                await asyncio.wait({report}, timeout=1)
            if report.done() and (last := report.result()) is not None:
                child.end_unless_it_leaves(LEAVING)
                if last.usage is not None:
                    return Outcome(Ending.USAGE, last.exit_code, None, self._secrets.mask(last.usage))
                return Outcome(Ending.EXITED, last.exit_code)
            if child.exited.done():
                break
        if child.exited.done():
            how = _outcome(child.exited)
            if self._disturbed and how.ending is not Ending.LOST:
                return Outcome(Ending.KILLED, how.exit_code, how.signal, DISTURBED)
            if how.ending is Ending.EXITED and how.exit_code == 0 and not self._becomes:
                return replace(how, ending=Ending.KILLED, message=ENDED_ITSELF)
            return how
        return await self._end_by_force(child, report, grace)

    async def _end_by_force(self, child: Child, report: Report, grace: float) -> Outcome:
        # As at a terminal: Airflow's commands end in order at INT, and some of its code ignores TERM.
        for number in (signal.SIGINT, signal.SIGTERM):
            child.send_signal(number)
            await asyncio.wait({child.exited}, timeout=grace / 2)
            if child.exited.done():
                break
        else:
            child.send_signal(signal.SIGKILL)
            await asyncio.wait({child.exited})
        # Its report may still lie in the socket.
        await asyncio.wait({report}, timeout=1)
        last = report.result() if report.done() else None
        if last is not None and last.exit_code == 0 and last.usage is None:
            return Outcome(Ending.EXITED, 0, None, SUCCEEDED_BEFORE)
        how = _outcome(child.exited)
        ending, reason = self.stopping.result()
        return Outcome(ending, how.exit_code, how.signal, reason)

    async def _give_rest(self, loop: asyncio.AbstractEventLoop, child: Child, message: bytes) -> None:
        with contextlib.suppress(OSError):
            await loop.sock_sendall(child.control, message)

    def _reader(self, loop: asyncio.AbstractEventLoop, child: Child, report: Report) -> Callable[[], None]:
        """Read the messages of a child; return what reads at once all that it has sent so far."""
        inbox = child.inbox
        received = 0

        def read_messages() -> None:
            nonlocal received
            # What the socket holds, and not what a child goes on to write: others wait meanwhile.
            for _ in range(DRAIN_READS):
                if report.done():
                    break
                try:
                    data = child.control.recv(65536)
                except BlockingIOError:
                    return
                except OSError:
                    data = b""
                if not data:
                    report.set_result(None)
                    break
                inbox.feed(data)
                received += len(data)
                try:
                    if received > MOST_SENT:
                        raise wire.Malformed("more than a child has to send")
                    while not report.done() and (message := inbox.take()) is not None:
                        self._take(wire.read(message[0]), report)
                except wire.Malformed as problem:
                    if not report.done():
                        log.warning("Process %d is ended: it has sent %s", child.pid, problem)
                        self._disturbed = True
                        child.send_signal(signal.SIGKILL)
                        report.set_result(None)
                    break
            else:
                return
            loop.remove_reader(child.control)

        loop.add_reader(child.control, read_messages)
        return read_messages

    def _take(self, message: wire.ChildMessage | None, report: Report) -> None:
        # What is none of its messages is passed over: the process has an end too.
        if isinstance(message, wire.ExitReport):
            if not report.done():
                report.set_result(message)
        elif isinstance(message, tuple):
            self._secrets.add(message)
        elif message == "begun":
            self.begun = True
        elif message == "becomes":
            self._becomes = True

    def _pump(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, stream: str, read_messages: Callable[[], None]
    ) -> Callable[[], None]:
        """Give the listener what a pipe brings; return what ends that and takes what is still in the pipe."""
        redactor, share = Redactor(self._secrets), self.loop_share
        waiting: asyncio.Task[None] | None = None
        over = False

        def pass_on(data: bytes) -> None:
            self._printed += len(data)
            if data and self._listener is not None:
                self._listener(stream, data)

        def take(size: int = CHUNK) -> bool:
            nonlocal over
            try:
                data = os.read(descriptor, size)
            except BlockingIOError:
                return False
            if not data:
                loop.remove_reader(descriptor)
                over = True
                return False
            # A child sends what is secret before it prints it: that is here by now.
            read_messages()
            pass_on(redactor.feed(data))
            return True

        def take_piece() -> None:
            take(CHUNK_WITH_SECRETS if len(self._secrets.patterns) else CHUNK)

        def look() -> None:
            nonlocal waiting
            if self._printed < SHORT_OUTPUT:
                take_piece()
            elif share.is_promised:
                # Of a pipe that fills as fast as it is emptied others would get no turn in between.
                loop.remove_reader(descriptor)
                waiting = loop.create_task(wait())
            else:
                take_turn()

        def take_turn() -> None:
            began = time.perf_counter()
            take_piece()
            share.spend(time.perf_counter() - began)

        async def wait() -> None:
            while share.is_promised:
                await share.turn(share.number())
            take_turn()
            if not over:
                loop.add_reader(descriptor, look)

        def drain() -> None:
            if waiting is not None:
                waiting.cancel()
            loop.remove_reader(descriptor)
            # What the pipe holds, and not what a process left behind goes on to print.
            for _ in range(DRAIN_READS):
                if not take():
                    break
            pass_on(redactor.finish())

        loop.add_reader(descriptor, look)
        return drain


def _give(child: Child, message: bytes) -> bytes:
    """
    Send what goes into the socket of a child now, with the pipes that it has not got yet; return the rest.

    A child that is gone shows in what it does not report, and so does one that could not be given its job.
    """
    try:
        # Nothing waits in the socket of a child without a job: there is room for some bytes.
        sent = socket.send_fds(child.control, [message], child.outputs)
    except OSError:
        # It may be there, and the kernel without memory for what was to be sent: it would wait for ever.
        child.send_signal(signal.SIGKILL)
        return b""
    child.outputs_given()
    return message[sent:]


async def first(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of `futures` is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _outcome(exited: asyncio.Future[int]) -> Outcome:
    """Return the outcome of a process that ended without a report."""
    try:
        code = exited.result()
    except ParentLost:
        return Outcome(Ending.LOST, message="The process that runs commands was lost.")
    if code >= 0:
        return Outcome(Ending.EXITED, code)
    message = f"The command was ended by signal {signal_name(-code)}."
    return Outcome(Ending.KILLED, None, -code, message)
