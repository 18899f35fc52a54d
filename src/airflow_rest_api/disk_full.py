"""A disk without room: no blocks, no inodes, a quota that is used up. And no folder to write to at all."""

from __future__ import annotations

import contextlib
import errno
import os
from ast import literal_eval

from airflow_rest_api.errors import ApiError, Misconfigured, NoSpace

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of the operating system then (errno(3))."""

NOWHERE = "No usable temporary directory"
"""The words of ``tempfile._get_default_tempdir``, whose error has the number of a file that is missing."""

NO_FOLDER = "The API server has no temporary folder that it can write to; set TMPDIR to one."

PROBE = ".room"
BLOCK = 4096


def no_room(error: BaseException) -> bool:
    """Return whether an error says that there is no room on a disk."""
    if not isinstance(error, OSError):
        return False
    # Python passes over each folder that it cannot write to, whatever the reason.
    return error.errno in FULL or any(_is_full(folder) for folder in _tried(error))


def of_disk(error: BaseException) -> ApiError | None:
    """Return the error for a client where there is no room on a disk of ours, or no temporary folder."""
    if no_room(error):
        return NoSpace()
    return Misconfigured(NO_FOLDER) if _tried(error) else None


def has_room(folder: str | os.PathLike[str]) -> bool:
    """Return whether a block can be written to a folder; a folder that cannot be used has none to ask for."""
    try:
        return _can_write(folder)
    except OSError as error:
        return not no_room(error)


def _is_full(folder: str) -> bool:
    try:
        # Where a block can be written, there is room since a moment ago.
        _can_write(folder)
    except OSError as error:
        return error.errno in FULL
    return True


def _tried(error: BaseException) -> list[str]:
    """Return the folders of an error that says that none of them can hold a temporary file."""
    if not isinstance(error, FileNotFoundError) or NOWHERE not in (words := error.strerror or ""):
        return []
    return [str(folder) for folder in literal_eval(words[words.index("[") :])]


def _can_write(folder: str | os.PathLike[str]) -> bool:
    """Return whether a block can be written to a folder; raise OSError."""
    path = os.path.join(folder, f"{PROBE}.{os.getpid()}")
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            return os.write(descriptor, b" " * BLOCK) == BLOCK
        finally:
            os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
