"""Processes that may end while they are looked at."""

from __future__ import annotations

import psutil


def command_of(process: psutil.Process) -> str:
    """Return the command line of a process; nothing when it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
