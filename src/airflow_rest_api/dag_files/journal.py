"""
What a deployment is about to do to a bundle, written down before it does it.

A deployment lives in a work folder inside the control folder of its bundle:

    .airflow_rest_api/            the control folder
        .airflowignore            has Airflow pass over all of it
        lock
        <id>/                     the work folder of a deployment
            new/<number>          the files to come, on the file system on which they will be
            journal               what will be done; it is there once everything in `new` is
            old/<number>          the files that were there, by a second name
            undo                  it is being taken back
            done                  it has been done
            undo.ready, done.ready    become the marks above; to be renamed they need no room on the disk
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from airflow_rest_api.dag_files.bundles import can_make
from airflow_rest_api.dag_files.upload import CONTROL, clean
from airflow_rest_api.disk_full import no_room
from airflow_rest_api.errors import ApiError, BadPath, BundleNotWritable, NoSpace

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


def control_folder(root: Path) -> Path:
    """
    Return our folder in a bundle, and make it where there is none, with the bundle's own folder.

    :raises BundleNotWritable, NoSpace: the bundle is closed to us
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


JOURNAL, UNDO, DONE, NEW, OLD = "journal", "undo", "done", "new", "old"


@dataclass(frozen=True)
class Entry:
    """
    One file.

    :ivar path: relative to the bundle
    :ivar delete: it is taken away, and not put there
    :ivar existed: whether there was one before
    """

    number: int
    path: str
    delete: bool = False
    existed: bool = False


@dataclass(frozen=True)
class Journal:
    """
    What a deployment does.

    :ivar folders: those to be made, relative to the bundle, the upper ones first
    """

    id: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]


class Damaged(Exception):
    """A journal that cannot be read: an administrator has to decide what to do."""


def write(work: Path, journal: Journal) -> None:
    """Write a journal; it is there as a whole or not at all, and lasts."""
    draft = work / f"{JOURNAL}.draft"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(journal), file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, work / JOURNAL)
    sync(work)


def read(work: Path) -> Journal | None:
    """Return the journal in a work folder, None where the deployment had not come so far; raise Damaged."""
    try:
        found = json.loads((work / JOURNAL).read_text(encoding="utf-8"))
        entries = tuple(Entry(**entry) for entry in found["entries"])
        plan = Journal(found["id"], entries, tuple(found["folders"]))
        _check(plan, work)
        return plan
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, BadPath) as error:
        raise Damaged(f"{work / JOURNAL}: {error}") from None


def _check(plan: Journal, work: Path) -> None:
    """Raise ValueError or BadPath unless all is inside: others than we may write to the bundle."""
    if plan.id != work.name:
        raise ValueError("it is of another deployment")
    if any(type(entry.number) is not int for entry in plan.entries):
        raise ValueError("a number is none")
    for path in (*(entry.path for entry in plan.entries), *plan.folders):
        if clean(path) != path:
            raise ValueError(f"{path!r} is no path in a bundle")


def prepare(work: Path) -> None:
    """Have the marks ready."""
    for name in (UNDO, DONE):
        (work / f"{name}.ready").touch()


def mark(work: Path, name: str) -> None:
    """Leave a mark (UNDO, DONE) that lasts; the same again changes nothing."""
    if not marked(work, name):
        os.rename(work / f"{name}.ready", work / name)
        sync(work)


def marked(work: Path, name: str) -> bool:
    """Return whether there is a mark."""
    return (work / name).exists()


def sync(folder: Path) -> None:
    """Have what was renamed in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems have no such thing for folders.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget(work: Path) -> None:
    """Remove a work folder; the journal first, so that what is left is never taken for one to be followed."""
    (work / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
