"""
A keeper: the small process that starts one component, waits for its end, and may start it again.

It belongs to nobody: neither the end of the API server nor that of the engine ends it. It obeys signals and
tells how the component is in a file. TERM: stop the component; USR2: kill it; USR1: stop and start it again.
The standard library only, and as little of that as possible: it stays for as long as its component.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from typing import Any, NoReturn

from airflow_rest_api import processes
from airflow_rest_api.services import status
from airflow_rest_api.services.status import Status

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>

STOP, KILL, RESTART = signal.SIGTERM, signal.SIGUSR2, signal.SIGUSR1
OBEYED = frozenset({STOP, KILL, RESTART, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT})
"""The signals that wait until they are asked for; whoever starts a keeper blocks them before it begins."""

LEFTOVERS = 5.0
"""Seconds that a component's own processes have, after its end, to end too."""
LONGEST_NAP = 3600.0

FULL = "There is no room left on the disk of its folder."


class Keeper:
    """
    Looks after one component.

    Its order: `words`, the command; `folder` for the status file; `letter`, a descriptor with the command
    line, if it is secret; `pid_file`, if there is to be one; `again`, whether to start it again after a
    failure; `grace`, seconds between TERM and KILL; `pauses`: seconds before the first start after a failure,
    seconds before any of them at most, and seconds of life after which a failure counts as the first.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._status = Status(keeper=os.getpid(), keeper_start=processes.start_of(os.getpid()) or "")
        self._libc = ctypes.CDLL(None)
        self._wanted: int | None = None
        self._failures = 0
        self._kill_at: float | None = None
        self._start_at: float | None = None
        self._started = 0.0
        self._pid_file: tuple[int, int] | None = None

    def run(self) -> None:
        """Start the component; return once it has ended for good."""
        # What the component started and left behind becomes ours, so that all of it can be found.
        self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._start()
        while self._status.state not in status.ENDED:
            heard = self._nap()
            if heard in (STOP, KILL, RESTART, signal.SIGINT):
                self._obey(RESTART if heard == RESTART else STOP, at_once=heard == KILL)
            self._bury()
            now = time.monotonic()
            if self._kill_at is not None and now >= self._kill_at:
                self._kill_at = None
                self._end_family(signal.SIGKILL, 0)
            if self._start_at is not None and now >= self._start_at:
                self._start()

    def _nap(self) -> int | None:
        """Wait for a signal, or until there is something to do; return the signal."""
        times = [moment for moment in (self._kill_at, self._start_at) if moment is not None]
        seconds = min([max(0.0, moment - time.monotonic()) for moment in times], default=LONGEST_NAP)
        heard = signal.sigtimedwait(OBEYED, seconds)
        return None if heard is None else heard.si_signo

    def _obey(self, order: int, *, at_once: bool) -> None:
        if self._wanted != STOP:
            self._wanted = order
        if self._status.pid is None:
            if order == RESTART:
                self._start_at = time.monotonic()
            else:
                self._end(status.STOPPED, None)
            return
        now = time.monotonic()
        if at_once:
            self._kill_at = now
        elif self._kill_at is None:
            self._kill_at = now + float(self._order["grace"])
            # To the component alone: it knows best in which order its own processes have to go.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._status.pid, signal.SIGTERM)
        self._tell(status.STOPPING)

    def _start(self) -> None:
        self._start_at = self._kill_at = self._wanted = None
        letter = self._order.get("letter")
        if letter is not None:
            os.lseek(letter, 0, os.SEEK_SET)
        now, sizes = self._status, (os.fstat(1).st_size, os.fstat(2).st_size)
        pid = os.fork()
        if pid == 0:
            self._become_component()
        self._started = time.monotonic()
        now.stdout_at, now.stderr_at = sizes
        now.pid, now.pid_start = pid, processes.start_of(pid)
        now.starts += 1
        now.started_at, now.ended_at, now.message = time.time(), None, None
        self._write_pid_file(str(pid))
        self._tell(status.UP)

    def _become_component(self) -> NoReturn:
        try:
            os.setsid()
            keeper = self._status.keeper
            # Should the keeper be killed, its component is asked to end.
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != keeper:
                os._exit(0)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            words = self._order["words"]
            os.execv(words[0], words)
        except BaseException as error:
            self._say(f"the component could not be started: {error}")
        finally:
            os._exit(127)

    def _bury(self) -> None:
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
        lived = time.monotonic() - self._started
        now.pid = now.pid_start = self._kill_at = None
        now.exit_code, now.ended_at = code, time.time()
        self._end_family(signal.SIGTERM, LEFTOVERS)
        how = _ended_how(code)
        if self._wanted == STOP:
            self._end(status.STOPPED, how if code else None)
        elif self._wanted == RESTART:
            self._start()
        elif code == 0:
            self._end(status.STOPPED, how)
        elif self._order["again"]:
            first, most, enough = self._order["pauses"]
            self._failures = 0 if lived >= enough else self._failures
            pause = min(most, first * 2 ** min(self._failures, 30))
            self._failures += 1
            now.restarts += 1
            now.message = f"{how} It is started again after {pause:g} s."
            self._say(now.message)
            self._start_at = time.monotonic() + pause
            self._remove_pid_file()
            self._tell(status.WAITING)
        else:
            self._end(status.FAILED, how)

    def _end(self, state: str, message: str | None) -> None:
        self._start_at = None
        self._status.message = message
        if message:
            self._say(message)
        self._remove_pid_file()
        self._tell(state)

    def _end_family(self, number: int, grace: float) -> None:
        """End everything that is left, with a signal first, and after `grace` seconds with KILL."""
        until = time.monotonic() + grace
        for _ in range(1000):
            left = processes.family(os.getpid())
            if not left:
                return
            if time.monotonic() >= until:
                number = signal.SIGKILL
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            if number == signal.SIGKILL and self._status.pid is not None:
                return  # The component is among them; it is buried like any other.
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if number == signal.SIGTERM:
                number = 0  # Asked once; from here it is only looked whether they are there.

    def _tell(self, state: str) -> None:
        self._status.state = state
        # With a full disk, the component goes on all the same.
        with contextlib.suppress(OSError):
            if not self._status.write(self._order["folder"]) and state == status.FAILED:
                self._status.message = f"{self._status.message} {FULL}"
                self._status.write(self._order["folder"])

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, f"[{time.strftime('%Y-%m-%dT%H:%M:%S%z')}] airflow-rest-api: {text}\n".encode())

    def _write_pid_file(self, text: str) -> None:
        path = self._order.get("pid_file")
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
        path = self._order.get("pid_file")
        # What somebody else has put there since is theirs.
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
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"The component was ended by signal {name}."


def main(letter: int, *_shown: str) -> NoReturn:
    """
    Be a keeper until the component has ended.

    :param letter: the descriptor from which the order is read, a JSON object: no list of processes shows it
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
    with os.fdopen(letter) as file:
        order = json.load(file)
    if order.get("letter") is not None:
        os.set_inheritable(order["letter"], True)
    try:
        Keeper(order).run()
    finally:
        sys.stderr.flush()
        os._exit(0)
