"""
Processes by number and start, as /proc has them: a number alone may be another process's by now.

The standard library only: the supervisor of a component, which has to stay small, uses this too.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Callable, Iterable

STATE, PARENT, SESSION, START = 0, 1, 3, 19
"""Places in what follows the program's name in `/proc/<pid>/stat`: see proc_pid_stat(5)."""

Processes = dict[int, str]
"""Numbers of processes, and their starts: see `start_of`."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>

MARK = "AIRFLOW_REST_API_SERVICE"
"""The variable by which all that a component has started is known: a text that no other component has."""


def start_of(pid: int | None) -> str | None:
    """
    Return what tells a process from all others that had its number or will have it: boot and clock tick.

    None for one that has ended, be it still to be waited for.
    """
    fields = _stat(pid) if pid else None
    return f"{boot()}:{fields[START]}" if fields and fields[STATE] not in "ZX" else None


def is_alive(pid: int | None, start: str | None) -> bool:
    """Return whether this very process runs."""
    return start is not None and start_of(pid) == start


def boot() -> str:
    """Return the first part of the id of this machine's boot; empty where it has none."""
    return _text("/proc/sys/kernel/random/boot_id").partition("-")[0]


def place() -> str:
    """Return what process numbers mean something within: this boot, and this container."""
    try:
        return f"{boot()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{boot()}/"


def send(pid: int, start: str, number: int) -> bool:
    """
    Send a signal to this very process and no other.

    :return: whether it was still there
    :raises PermissionError: it is another user's
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except OSError:
        # A kernel without them: a moment stays between the look and the signal.
        return is_alive(pid, start) and _kill(pid, number)
    try:
        # The descriptor keeps to the process it was opened for, so this look counts for the signal too.
        if not is_alive(pid, start):
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def end_with(parent: int, number: int) -> None:
    """Have the kernel send this process a signal when its parent ends; end now where it has (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def outlive_parent() -> None:
    """Have the kernel send nothing any more: see `end_with`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """Become the parent of what descendants leave behind, daemons among them (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def signal_name(number: int) -> str:
    """Return what a signal is called: most of those for real-time use have a number alone."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def signal_all(members: Processes, number: int) -> None:
    """Signal processes one by one; those that have ended, and those of other users, are left out."""
    for pid, start in tuple(members.items()):
        with contextlib.suppress(PermissionError):
            send(pid, start, number)


def kill_all(members: Processes) -> None:
    """Kill processes: see `signal_all`."""
    signal_all(members, signal.SIGKILL)


def detached_descendants(pid: int) -> Processes:
    """
    Return the descendants of a process that are in another process group than its own.

    Found by their parents, so only while each of these lives: a daemon, re-parented to init, is not found.
    Components that it has started are none of them: they outlive it.
    """
    found: Processes = {}
    with contextlib.suppress(OSError):
        for each in own_family(pid, os.environ.get(MARK)):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(each) != pid and (start := start_of(each)):
                    found[each] = start
    return found


def own_family(pid: int, mark: str | None) -> list[int]:
    """
    Return the family of a process without the components that it has started, and what is theirs.

    :param mark: that of the process, None where it is part of no component
    """
    return family(pid, without=lambda each: _mark(each) not in (None, mark))


def family(pid: int, without: Callable[[int], bool] = lambda _: False) -> list[int]:
    """
    Return the processes that a process has started, those that they have started, and so on.

    :param without: whether to leave out one of them, and all that it has started
    """
    parents: dict[int, list[int]] = {}
    for each in _numbers():
        if (fields := _stat(each)) and fields[STATE] not in "ZX":
            parents.setdefault(int(fields[PARENT]), []).append(each)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = [each for each in parents.get(waiting.pop(), []) if not without(each)]
        found += children
        waiting += children
    return found


def session(leader: int) -> Processes:
    """Return the living processes of a session."""
    return living(pid for pid in _numbers() if (fields := _stat(pid)) and int(fields[SESSION]) == leader)


def marked(mark: str) -> Processes:
    """Return the living processes that bear a mark and have not written over it."""
    return living(pid for pid in _numbers() if _mark(pid) == mark)


def _mark(pid: int) -> str | None:
    """Return the mark that a process bears."""
    name = f"{MARK}=".encode()
    found = (one for one in _bytes(f"/proc/{pid}/environ").split(b"\0") if one.startswith(name))
    mark = next(found, None)
    return None if mark is None else mark[len(name) :].decode(errors="replace")


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def living(pids: Iterable[int]) -> Processes:
    """Return those of some processes that live."""
    return {pid: start for pid in pids if (start := start_of(pid)) is not None}


def _kill(pid: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def _stat(pid: int) -> list[str] | None:
    # The name may hold spaces and brackets; it ends with the last bracket.
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields if len(fields) > START else None


def _text(path: str) -> str:
    return _bytes(path).decode(errors="replace").strip()


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            # This says something of us, and nothing of the process.
            raise
        return b""
