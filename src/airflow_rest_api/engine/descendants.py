"""What a command has started and put into a session of its own, where a signal to its group does not go."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

import psutil

Strays = set[psutil.Process]


def strays_of(pid: int) -> Strays:
    """
    Return the descendants of a process that are in another process group than its own.

    They are found by their parents, and so only while these live. Whoever was given away, as a daemon is,
    is nobody's descendant any more.
    """
    found: Strays = set()
    with contextlib.suppress(psutil.Error, OSError):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(OSError):
                if os.getpgid(process.pid) != pid:
                    found.add(process)
    return found


def send(strays: Iterable[psutil.Process], number: int) -> None:
    """Signal them, one by one; a number that belongs to somebody else by now is left alone."""
    for stray in strays:
        with contextlib.suppress(psutil.Error):
            stray.send_signal(number)


def kill(strays: Iterable[psutil.Process]) -> None:
    """Kill them."""
    send(strays, signal.SIGKILL)
