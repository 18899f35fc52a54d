"""Our folder in a bundle, and what new files and folders are given: modes, owners, groups."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path

from airflow_rest_api.dag_files.names import CONTROL
from airflow_rest_api.errors import ApiError, BundleNotWritable, NoSpace
from airflow_rest_api.room import no_room

FILE_MODE = 0o644
"""Whatever the umask of the API server is: the DAG processor may be another user."""

IGNORE = "[!!]*\n"
"""
Matches every name of ours in both syntaxes of an `.airflowignore` (`[core] dag_ignore_file_syntax`): as a
glob those that do not begin with an exclamation mark, as a regular expression all.

Airflow goes through hidden folders like any other (``airflow._shared.module_loading.file_discovery``).
"""

_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def cannot_write(error: OSError) -> ApiError:
    """Return the error where the file system refuses a change; nothing has changed."""
    if no_room(error):
        return NoSpace("There is no room left for the files. Nothing has changed.")
    why = "The API server may not write there" if error.errno in _CLOSED else "The files cannot be written"
    return BundleNotWritable(f"{why} ({error.strerror}). Nothing has changed.")


def can_make(root: Path) -> bool:
    """
    Return whether a bundle's folder that is missing is made with the first file that is put into it.

    So it is where the folder above belongs to the user of this process, as AIRFLOW_HOME does, in which nobody
    has made the `dags` of a new Airflow. Anywhere else something may be missing that nobody wants files to be
    put in the place of, such as a file system that is not mounted.

    :param root: without symbolic links
    """
    try:
        above = root.parent.stat()
    except OSError:
        return False
    return (
        not os.path.lexists(root)
        and stat.S_ISDIR(above.st_mode)
        and above.st_uid == os.geteuid()
        and os.access(root.parent, os.W_OK | os.X_OK)
    )


def effective_user() -> str:
    """Return the name and the number of the user as whom this process writes."""
    number = os.geteuid()
    try:
        return f"{pwd.getpwuid(number).pw_name}, uid {number}"
    except KeyError:
        return f"uid {number}"


def control_folder(root: Path) -> Path:
    """
    Return our folder in a bundle, and make it where there is none, with the bundle's own folder.

    :raises BundleNotWritable: the bundle is closed to us
    """
    folder = root / CONTROL
    try:
        if can_make(root):
            root.mkdir(exist_ok=True)
            like(root, root.parent)
        if not (folder / ".airflowignore").exists():
            folder.mkdir(exist_ok=True)
            like(folder, root)
            # Before anything else comes into it.
            (folder / ".airflowignore").write_text(IGNORE)
    except OSError as error:
        raise cannot_write(error) from error
    return folder


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


def like(folder: Path, other: Path) -> None:
    """Give a new folder the mode and the group of another."""
    status = other.stat()
    with contextlib.suppress(OSError):
        os.chown(folder, -1, status.st_gid)
    with contextlib.suppress(OSError):
        os.chmod(folder, stat.S_IMODE(status.st_mode))
