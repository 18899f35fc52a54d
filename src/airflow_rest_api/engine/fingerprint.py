"""The state of the files that the warm parent was made from: when it changes, the parent is renewed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

Snapshot = dict[str, list[int]]

PACKAGES = ("site-packages", "dist-packages")
IGNORED = frozenset({"__pycache__", ".git", "node_modules"})


def snapshot(paths: Sequence[str]) -> Snapshot:
    """Return the state of `paths` by path: time of change, size, inode; what is not there is left out."""
    found = {}
    for path in paths:
        for entry in _entries(path):
            with contextlib.suppress(OSError):
                stat = os.stat(entry)
                found[entry] = [stat.st_mtime_ns, stat.st_size, stat.st_ino]
    return found


def _entries(path: str) -> Iterator[str]:
    """
    Return the files of a folder, but for a folder of installed packages and for a file itself alone.

    A folder's own time is of no use here: an import changes it by writing `__pycache__`.
    """
    if path.endswith(PACKAGES) or not os.path.isdir(path):
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in IGNORED]
        yield from (os.path.join(folder, name) for name in files)
