"""Single files on the way into a bundle: their marks, modes, owners and times, and second names."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from airflow_rest_api.errors import ChangedMeanwhile
from airflow_rest_api.plain_files import open_file

Mark = tuple[int, int, int]
"""What identifies the state of a file: inode, time of its last change in nanoseconds, size."""

Marks = Mapping[str, Mark | None]
"""What was there at an earlier look, by path; None for what is no plain file. All else was not there."""

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""How file systems report that they have no hard links."""

FILE_MODE = 0o644
"""Whatever the umask of the API server is: the DAG processor may be another user."""


def sync(folder: Path) -> None:
    """Have what was renamed in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems have no such thing for folders.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give(descriptor: int, target: Path) -> None:
    """Give a file the mode and the owner of the one that it replaces, or the group of its folder."""
    try:
        status = os.lstat(target)
    except OSError:
        status = None
    if status is not None and stat.S_ISREG(status.st_mode):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        owner, group = status.st_uid, status.st_gid
    else:
        os.fchmod(descriptor, FILE_MODE)
        above = next(folder for folder in target.parents if folder.is_dir())
        owner, group = -1, above.stat().st_gid
    # Only root may give files away, and others only groups that they are in.
    with contextlib.suppress(OSError):
        os.fchown(descriptor, -1, group)
    with contextlib.suppress(OSError):
        os.fchown(descriptor, owner, -1)


def mark_of(status: os.stat_result) -> Mark:
    """Return the mark of a file."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def tell_apart(new: int, target: Path) -> None:
    """
    Give a file another time than the one that it replaces.

    Python takes the compiled form of a source for its own by the size and the whole seconds of its time (PEP
    552): a file replaced twice within a second could run as what it was before.
    """
    try:
        old = target.lstat()
    except OSError:
        return
    status = os.fstat(new)
    if status.st_size == old.st_size and int(status.st_mtime) <= int(old.st_mtime):
        os.utime(new, (status.st_atime, int(old.st_mtime) + 1))


def compare(path: str, old: Path, seen: Marks | None) -> None:
    """Raise ChangedMeanwhile where what was there is not what had been seen."""
    known = seen.get(path) if seen is not None else None
    if known is not None and mark_of(old.lstat()) != known:
        raise ChangedMeanwhile(path)


def is_as(path: Path, mark: Mark | None) -> bool:
    """
    Return whether what is at a path is still what a mark was made of; nothing is not.

    By size and whole seconds: not every file system has the same inodes, or finer times, after a while.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return mark is not None and (status.st_mtime_ns // 10**9, status.st_size) == (mark[1] // 10**9, mark[2])


def is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are names of one file."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False


def create_closed(path: Path) -> BinaryIO:
    """Create a file that nobody else may read yet: what it gets may not be for all; raise OSError."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def second_name(target: Path, old: Path) -> bool:
    """
    Keep what is at a path under another name; the path itself is never empty.

    :return: whether it is the same file, and no copy of it
    """
    try:
        os.link(target, old, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
    else:
        return True
    # A copy that was cut off must not be taken for the file; it may lie there from before a kill.
    draft = old.with_name(f"{old.name}.draft")
    draft.unlink(missing_ok=True)
    if target.is_symlink():
        draft.symlink_to(target.readlink())
    else:
        with open_file(target) as content, create_closed(draft) as file:
            shutil.copyfileobj(content, file)
            give(file.fileno(), target)
        shutil.copystat(target, draft, follow_symlinks=False)
    os.rename(draft, old)
    return False
