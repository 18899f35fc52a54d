"""
Files and folders where others may write: never through a link, and never waiting for a pipe.

The standard library only: the supervisor of a component, which has to stay small, uses this too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO})
"""How `open_file` says that nothing is there, a link, or what is no plain file."""


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to be read; raise OSError where it is a link, a pipe, or no file for another reason."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a plain file", os.fspath(path))
    return os.fdopen(descriptor, "rb")


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[Path]:
    """
    Have a path to a folder that leads to this very one, whatever others put in its place (proc_pid_fd(5)).

    :raises NotADirectoryError: it is a link, or a file
    :raises OSError: it is not there, or cannot be opened
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
