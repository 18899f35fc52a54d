"""Processes that may end while they are looked at, and what this one has open."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable

import psutil


def command_of(process: psutil.Process) -> str:
    """Return the command line of a process; nothing when it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def descriptors() -> int:
    """Return how many descriptors are open in this process."""
    # What former tests have left to the collector is not closed between two looks.
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def in_child(work: Callable[[], int]) -> int:
    """Return what work in a fork of this process returns, or how that ended."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
