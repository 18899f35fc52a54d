"""Processes that may end while they are looked at, and what this one has open."""

from __future__ import annotations

import gc
import os

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
