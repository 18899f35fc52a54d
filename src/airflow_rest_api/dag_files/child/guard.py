"""
Keeps the code of a DAG file from writing into its bundle by way of Python while it is only looked at.

No sandbox: a program that it starts, or a library in C, writes wherever the user of the API server may.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Events of https://docs.python.org/3/library/audit_events.html, and how many of their arguments are paths.
_EVENTS = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}
MOST = 20

_tried: list[str] = []
_roots: list[str] = []
_busy = False


def watch(roots: Iterable[Path]) -> None:
    """Refuse everything in this process that writes below some folders. There is no way back."""
    _roots[:] = [os.path.realpath(root) for root in roots]
    sys.addaudithook(_hook)


def forget() -> None:
    """Forget what was refused."""
    _tried.clear()


def written() -> list[str]:
    """Return a sentence for what was refused since, none for nothing."""
    if not _tried:
        return []
    named = ", ".join(dict.fromkeys(_tried[:MOST]))
    return [f"The file writes into its bundle when it is parsed, which was refused here: {named}"]


def _hook(event: str, args: tuple[Any, ...]) -> None:
    global _busy
    if event == "open":
        path, _, flags = args
        paths = [path] if isinstance(flags, int) and flags & _WRITES else []
    elif event in _EVENTS:
        paths = list(args[: _EVENTS[event]])
    else:
        return
    if _busy or not paths:
        return
    _busy = True
    try:
        found = [inside for path in paths if (inside := _inside(path)) is not None]
    finally:
        _busy = False
    if found:
        _tried.extend(found)
        raise PermissionError(
            errno.EACCES, "A DAG file must not write into its bundle while it is checked", found[0]
        )


def _inside(path: Any) -> str | None:
    """Return a path relative to the bundle, None where it lies elsewhere."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    try:
        # Not the file itself: a link in the bundle is written there, whatever it leads to.
        absolute = os.path.abspath(os.fsdecode(path))
        real = os.path.join(os.path.realpath(os.path.dirname(absolute)), os.path.basename(absolute))
        candidates = (real, os.path.realpath(real))
    except (OSError, ValueError, UnicodeError):
        return None
    for root in _roots:
        for candidate in candidates:
            if candidate == root or candidate.startswith(root + os.sep):
                return os.path.relpath(candidate, root)
    return None
