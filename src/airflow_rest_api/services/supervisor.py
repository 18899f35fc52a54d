"""
A supervisor: the small process that starts one component, waits for its end, and may start it again.

Neither the end of the API server nor that of the engine ends it. It obeys signals and reports in a file how
the component is. TERM: stop the component; USR2: kill it; USR1: stop and start it again.
The standard library only, and as little of that as possible: it lives for as long as its component.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

from airflow_rest_api import processes
from airflow_rest_api.services.status import State, Status, is_visible, shows

STOP, KILL, RESTART = signal.SIGTERM, signal.SIGUSR2, signal.SIGUSR1
OBEYED = frozenset({STOP, KILL, RESTART, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT})
"""The signals that wait until they are asked for: they are blocked before a supervisor begins."""

LEFTOVERS = 5.0
"""Seconds that a component's own processes have, after its end, to end too."""
PROBE_EVERY = 0.25
"""Seconds between two looks at whether the component is ready."""
SETTLED = 60.0
"""Seconds of life after which a component is taken to be running, even if it does not show it."""
BACKOFF = (1.0, 60.0, 60.0)
"""Seconds before the first start after a failure, before any at most, and of life that makes it good."""
LONGEST_NAP = 3600.0

FULL = "There is no room left on the disk of its folder."


@dataclass(frozen=True)
class Order:
    """
    A component to be started: as JSON for the engine's child, and from there for its supervisor.

    :ivar title: the component in the client's words
    :ivar folder: its private folder, made by the child
    :ivar stdout: name of a file in the log folder `logs`, `stderr` another or the same
    :ivar user: the Airflow user who starts it, None for the user of the operating system
    :ivar argv: of Airflow, or None with `code` for the interpreter
    :ivar shown: `argv` without its secrets, None where it has none
    :ivar pid_file: name of a file in AIRFLOW_HOME, or None; for the supervisor, its path
    :ivar restart: whether to start it again after a failure
    :ivar pauses: seconds before the first start after a failure, seconds before any of them at most, and
        seconds of life after which a failure counts as the first
    :ivar grace: seconds between TERM and KILL
    :ivar wait: seconds to wait at most until it is ready or has failed
    :ivar ready: see `status.Probe`
    :ivar program: what the supervisor runs, and its arguments
    :ivar message: the descriptor from which the component reads `argv`, if it is one of Airflow's
    :ivar starter: the process that waits for the supervisor's first report
    """

    kind: str
    folder: str
    home: str
    logs: str
    stdout: str
    stderr: str
    title: str
    user: str | None = None
    argv: list[str] | None = None
    code: str | None = None
    shown: list[str] | None = None
    pid_file: str | None = None
    restart: bool = False
    pauses: tuple[float, float, float] = BACKOFF
    grace: float = 60
    wait: float = 20
    ready: dict[str, Any] = field(default_factory=dict)
    program: list[str] = field(default_factory=list)
    message: int | None = None
    starter: int | None = None


class Supervisor:
    """Looks after one component."""

    def __init__(self, order: Order) -> None:
        self._order = order
        start = processes.start_of(os.getpid()) or ""
        self._status = Status(os.getpid(), start, job=order.ready.get("job"))
        self._wanted: int | None = None
        self._failures = 0
        self._kill_at: float | None = None
        self._start_at: float | None = None
        self._probe_at: float | None = None
        self._started = 0.0
        self._logs: tuple[tuple[str, int], ...] = ()
        self._pid_file: tuple[int, int] | None = None

    def run(self) -> None:
        """Start the component; return once it has ended for good."""
        # What the component started and left behind becomes ours, so that all of it can be found.
        processes.adopt_orphans()
        self._start()
        while not self._status.state.ended:
            number = self._nap()
            if number in (STOP, KILL, RESTART, signal.SIGINT):
                self._obey(RESTART if number == RESTART else STOP, at_once=number == KILL)
            self._reap()
            now = time.monotonic()
            if self._probe_at is not None and now >= self._probe_at:
                self._probe(now)
            if self._kill_at is not None and now >= self._kill_at:
                self._kill_at = None
                self._end_family(signal.SIGKILL, 0)
            if self._start_at is not None and now >= self._start_at:
                self._start()

    def _nap(self) -> int | None:
        """Wait for a signal, or until there is something to do; return the signal."""
        times = (self._kill_at, self._start_at, self._probe_at)
        now = time.monotonic()
        seconds = min([max(0.0, at - now) for at in times if at is not None], default=LONGEST_NAP)
        found = signal.sigtimedwait(OBEYED, seconds)
        return None if found is None else found.si_signo

    def _obey(self, order: int, *, at_once: bool) -> None:
        if self._wanted != STOP:
            self._wanted = order
        if self._status.pid is None:
            if order == RESTART:
                self._start_at = time.monotonic()
            else:
                self._end(State.STOPPED, None)
            return
        now = time.monotonic()
        if at_once:
            self._kill_at = now
        elif self._kill_at is None:
            self._kill_at = now + self._order.grace
            # To the component alone: it knows best in which order its own processes have to go.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._status.pid, signal.SIGTERM)
        self._probe_at = None
        self._report(State.RESTARTING if self._wanted == RESTART else State.STOPPING)

    def _start(self) -> None:
        self._start_at = self._kill_at = self._wanted = None
        if self._order.message is not None:
            os.lseek(self._order.message, 0, os.SEEK_SET)
        now = self._status
        # By their descriptors: what a log rotation has moved is still the component's.
        self._logs = tuple((f"/proc/self/fd/{number}", os.fstat(number).st_size) for number in (1, 2))
        self._started = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            now.ended_at = time.time()
            self._has_failed(f"The component could not be started: {error.strerror}.")
            return
        if pid == 0:
            self._become_component()
        now.pid, now.pid_start = pid, processes.start_of(pid)
        now.started_at, now.ended_at, now.message = time.time(), None, None
        self._write_pid_file(str(pid))
        seconds = PROBE_EVERY if is_visible(self._order.ready) else SETTLED
        self._probe_at = self._started + seconds
        self._report(State.STARTING)

    def _probe(self, now: float) -> None:
        """Look whether the component is ready; it goes on whatever is wrong with the look at it."""
        self._probe_at = now + PROBE_EVERY
        ready = now - self._started >= SETTLED
        with contextlib.suppress(Exception):
            pid, started_at = self._status.pid or 0, self._status.started_at or 0.0
            ready = ready or shows(self._order.ready, pid, started_at, self._logs)
        if ready:
            self._probe_at = None
            self._report(State.RUNNING)

    def _become_component(self) -> NoReturn:
        try:
            os.setsid()
            # Should the supervisor be killed, its component is asked to end.
            processes.end_with(self._status.supervisor, signal.SIGTERM)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execv(self._order.program[0], self._order.program)
        except BaseException as error:
            self._log(f"the component could not be started: {error}")
        finally:
            os._exit(127)

    def _reap(self) -> None:
        """Take note of what has ended: the component, or what it has left behind."""
        while True:
            try:
                pid, how = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._status.pid:
                self._has_ended(os.waitstatus_to_exitcode(how))

    def _has_ended(self, code: int) -> None:
        now = self._status
        now.pid = now.pid_start = self._kill_at = self._probe_at = None
        now.exit_code, now.ended_at = code, time.time()
        lived = time.monotonic() - self._started
        self._end_family(signal.SIGTERM, LEFTOVERS)
        how = _ended_how(code)
        if self._wanted is None and RESTART in signal.sigpending():
            # Asked for while this ended by itself: without it, nobody would be there any more to obey.
            signal.sigtimedwait({RESTART}, 0)
            self._wanted = RESTART
        if self._wanted == STOP:
            self._end(State.STOPPED, how if code else None)
        elif self._wanted == RESTART:
            self._start()
        elif code == 0:
            self._end(State.STOPPED, how)
        else:
            self._has_failed(how, lived)

    def _has_failed(self, how: str, lived: float = 0.0) -> None:
        if not self._order.restart:
            self._end(State.FAILED, how)
            return
        now = self._status
        first, most, enough = self._order.pauses
        self._failures = 0 if lived >= enough else self._failures
        pause = min(most, first * 2 ** min(self._failures, 30))
        self._failures += 1
        now.restarts += 1
        now.message = f"{how} It is started again after {pause:g} s."
        self._log(now.message)
        self._start_at = time.monotonic() + pause
        self._remove_pid_file()
        self._report(State.RESTARTING)

    def _end(self, state: State, message: str | None) -> None:
        self._start_at = None
        self._status.message = message
        if message:
            self._log(message)
        self._remove_pid_file()
        self._report(state)

    def _end_family(self, number: int, grace: float) -> None:
        """End everything that is left, with a signal first, and after `grace` seconds with KILL."""
        until = time.monotonic() + grace
        for _ in range(1000):
            # Not the components that an API server has started which is one itself: they go on.
            try:
                left = processes.own_family(os.getpid(), os.environ.get(processes.MARK))
            except OSError:
                # The machine has no descriptor left.
                time.sleep(0.05)
                continue
            if not left:
                return
            if time.monotonic() >= until:
                number = signal.SIGKILL
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            if number == signal.SIGKILL and self._status.pid is not None:
                return  # The component is among them; it is reaped like any other.
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if number == signal.SIGTERM:
                number = 0  # Asked once; from here it is only looked whether they are there.

    def _report(self, state: State) -> None:
        self._status.state = state
        # With a full disk, the component goes on all the same.
        with contextlib.suppress(OSError):
            if not self._status.write(self._order.folder) and state is State.FAILED:
                self._status.message = f"{self._status.message} {FULL}"
                self._status.write(self._order.folder)
            processes.outlive_parent()

    def _log(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"[{time.strftime('%Y-%m-%dT%H:%M:%S%z')}] airflow-rest-api: {text}\n".encode())

    def _write_pid_file(self, text: str) -> None:
        path = self._order.pid_file
        if not path:
            return
        # A new file in the place of what is there: nothing that was there is written to, wherever it leads.
        folder, name = os.path.split(path)
        new = os.path.join(folder, f".{name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            os.unlink(new)
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(new, flags, 0o644), "w") as file:
                file.write(f"{text}\n")
            self._pid_file = _inode(new)
            os.replace(new, path)
            return
        with contextlib.suppress(OSError):
            os.unlink(new)

    def _remove_pid_file(self) -> None:
        path = self._order.pid_file
        # What is there since then is not ours.
        if path and self._pid_file is not None and _inode(path) == self._pid_file:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._pid_file = None


def _inode(path: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        return found.st_dev, found.st_ino
    return None


def _ended_how(code: int) -> str:
    if code >= 0:
        return f"The component ended with exit code {code}."
    return f"The component was ended by signal {processes.signal_name(-code)}."


def main(message: int, *_shown: str) -> NoReturn:
    """
    Supervise a component until it has ended.

    :param message: the descriptor from which the order is read, as JSON: no list of processes shows it
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
    with os.fdopen(message) as file:
        order = Order(**json.load(file))
    if order.message is not None:
        os.set_inheritable(order.message, True)
    if order.starter is not None:
        # Until a report is there: of a component without one nobody would ever know.
        processes.end_with(order.starter, signal.SIGKILL)
    try:
        Supervisor(order).run()
    except BaseException:
        # To the log of the component: nothing else is left that could say it.
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(0)
