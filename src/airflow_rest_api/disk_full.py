"""A disk without room: no blocks, no inodes, a quota that is used up."""

from __future__ import annotations

import contextlib
import errno
import os

from airflow_rest_api.errors import NoSpace

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of the operating system then (errno(3))."""

NOWHERE = "No usable temporary directory"
"""The words of ``tempfile._get_default_tempdir``, whose error has the number of a file that is missing."""

NO_ROOM = NoSpace.message

PROBE = ".room"
BLOCK = 4096


def no_room(error: BaseException) -> bool:
    """Return whether an error says that there is no room on a disk."""
    if not isinstance(error, OSError):
        return False
    return error.errno in FULL or (isinstance(error, FileNotFoundError) and NOWHERE in str(error))


def of_disk(error: BaseException) -> NoSpace | None:
    """Return the error for a client where an error says that there is no room on a disk of ours."""
    return NoSpace() if no_room(error) else None


def has_room(folder: str | os.PathLike[str]) -> bool:
    """Return whether a block can be written to a folder; a folder that cannot be used has none to ask for."""
    path = os.path.join(folder, f"{PROBE}.{os.getpid()}")
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            return os.write(descriptor, b" " * BLOCK) == BLOCK
        finally:
            os.close(descriptor)
    except OSError as error:
        return not no_room(error)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
