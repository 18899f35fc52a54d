"""Processes that a command has started in a session of their own, where a signal to its group does not go."""

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

    Found by walking the parents, so only while each of these lives: a process that was given to init (a
    daemon) is not found.
    """
    found: Strays = set()
    with contextlib.suppress(psutil.Error, OSError):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(OSError):
                if os.getpgid(process.pid) != pid:
                    found.add(process)
    return found


def send(strays: Iterable[psutil.Process], number: int) -> None:
    """Signal them, one by one; a process id that is another's by now is left alone."""
    for stray in strays:
        with contextlib.suppress(psutil.Error):
            stray.send_signal(number)


def kill(strays: Iterable[psutil.Process]) -> None:
    """Kill them."""
    send(strays, signal.SIGKILL)
