"""
Putting files in place: all of them, or none.

Everything is written aside first, on the file system on which it will be, and put in place by renaming:
nobody ever reads half a file. A journal says what is going to happen (see `journal.py`), so that a deployment
that was killed at any moment is completed, or taken back, by whoever takes the bundle's lock next.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from airflow_rest_api.dag_files import journal
from airflow_rest_api.dag_files.control import cannot_write, control_folder, give, like
from airflow_rest_api.dag_files.journal import DONE, NEW, OLD, UNDO, Entry, Journal
from airflow_rest_api.dag_files.names import CONTROL
from airflow_rest_api.errors import ChangedMeanwhile, InTheWay

log = logging.getLogger(__name__)

Step = Callable[[str], None]

Mark = tuple[int, int, int]
"""By which a file is known that was looked at before: inode, time of its last change in nanoseconds, size."""

Seen = Mapping[str, Mark | None]
"""What was there when somebody looked, by path; None for what is no plain file. All else was not there."""

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""How file systems say that they have no hard links."""


def _nothing(step: str) -> None:
    """Take note of a step: tests end the process there."""


class Transaction:
    """
    One change of a bundle's files. To be used by whoever has the bundle's lock, from a thread.

    :param root: the bundle, without symbolic links
    :param identifier: of the change, unique; the name of its work folder
    """

    def __init__(self, root: Path, identifier: str, step: Step = _nothing) -> None:
        self._root = root
        self._work = control_folder(root) / identifier
        self._id = identifier
        self._step = step

    def change(
        self, files: Mapping[str, Path], deleted: Iterable[str] = (), seen: Seen | None = None
    ) -> None:
        """
        Put files in place, and take others away.

        When this returns it has happened, and lasts. `finish` is what is left to do.

        :param files: where the content lies, by the path in the bundle; the last ones come last
        :param seen: what was there when it was decided what to do; None: whatever is there is replaced
        :raises cannot_write: the disk is full or closed to us; everything is as it was
        :raises InTheWay: a folder or a link lies where a file should be; everything is as it was
        :raises ChangedMeanwhile: something else is there by now than what was seen; everything is as it was
        """
        try:
            self._write_aside(files)
            plan = self._plan(files, deleted, seen)
            journal.write(self._work, plan)
        except BaseException as error:
            journal.forget(self._work)
            if isinstance(error, OSError):
                raise cannot_write(error) from error
            raise
        try:
            self._step("journal")
            _forward(self._root, self._work, plan, self._step, seen)
        except BaseException as error:
            _back(self._root, self._work, plan, self._step)
            if isinstance(error, OSError):
                raise cannot_write(error) from error
            raise

    @property
    def pending(self) -> bool:
        """Whether there is a journal that `recover` would follow."""
        return (self._work / journal.JOURNAL).exists()

    def finish(self) -> None:
        """Forget how it was before."""
        journal.forget(self._work)

    def _write_aside(self, files: Mapping[str, Path]) -> None:
        self._work.mkdir()
        like(self._work, self._root)
        (self._work / NEW).mkdir()
        (self._work / OLD).mkdir()
        journal.prepare(self._work)
        self._step("work")
        for number, (path, source) in enumerate(files.items()):
            copy = self._work / NEW / str(number)
            target = self._root / path
            with source.open("rb") as content, copy.open("xb") as file:
                shutil.copyfileobj(content, file)
                give(file.fileno(), target)
                file.flush()
                _tell_apart(file.fileno(), target)
                os.fsync(file.fileno())
            self._step(f"aside {number}")
        journal.sync(self._work / NEW)

    def _plan(self, files: Mapping[str, Path], deleted: Iterable[str], seen: Seen | None) -> Journal:
        folders: dict[str, None] = {}
        entries = []
        for number, path in enumerate(files):
            self.look_at_way(path, folders)
            target = self._root / path
            if target.is_dir() and not target.is_symlink():
                raise InTheWay(path, "is a folder")
            existed = os.path.lexists(target)
            if existed and seen is not None and path not in seen:
                raise ChangedMeanwhile(path)
            entries.append(Entry(number, path, existed=existed))
        for number, path in enumerate(deleted, len(entries)):
            self.look_at_way(path, {})
            target = self._root / path
            if not os.path.lexists(target):
                continue
            if target.is_dir() and not target.is_symlink():
                raise InTheWay(path, "is a folder")
            entries.append(Entry(number, path, delete=True, existed=True))
        return Journal(self._id, tuple(entries), tuple(folders))

    def look_at_way(self, path: str, missing: dict[str, None]) -> None:
        """Look at the folders on the way to a file: none may be a link, all on one file system."""
        device = self._root.stat().st_dev
        parts = path.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            try:
                status = os.lstat(self._root / folder)
            except FileNotFoundError:
                missing[folder] = None
                continue
            if stat.S_ISLNK(status.st_mode):
                raise InTheWay(folder, "is a symbolic link")
            if not stat.S_ISDIR(status.st_mode):
                raise InTheWay(folder, "is a file")
            if status.st_dev != device:
                raise InTheWay(folder, "lies on another file system than its bundle")


def finish(root: Path, identifier: str) -> None:
    """Forget how it was before a change that was found done by `recover`."""
    journal.forget(root / CONTROL / identifier)


def recover(root: Path, step: Step = _nothing) -> list[tuple[str, bool]]:
    """
    Complete or take back what was left unfinished. For whoever has the bundle's lock, from a thread.

    :return: the ids of changes whose `finish` is still to come, and whether each of them has been done
    """
    found = []
    for work in sorted(
        path for path in (root / CONTROL).glob("*") if path.is_dir() and not path.is_symlink()
    ):
        plan = journal.read(work)
        if plan is not None:
            _look_at_ways(root, work, plan)
        if plan is None:
            # Nothing in the bundle was touched yet.
            shutil.rmtree(work, ignore_errors=True)
            found.append((work.name, False))
        elif journal.marked(work, UNDO):
            _back(root, work, plan, step)
            found.append((work.name, False))
        else:
            if not journal.marked(work, DONE):
                log.warning("The deployment %s was left unfinished; it is completed now", plan.id)
                _complete(root, work, plan, step)
            found.append((work.name, journal.marked(work, DONE)))
    return found


def _look_at_ways(root: Path, work: Path, plan: Journal) -> None:
    """Raise Damaged where a journal leads over a link: it may have been written, or led astray, by others."""
    transaction = Transaction(root, work.name)
    try:
        for entry in plan.entries:
            transaction.look_at_way(entry.path, {})
    except InTheWay as error:
        raise journal.Damaged(f"{work / journal.JOURNAL}: {error}") from None


def _complete(root: Path, work: Path, plan: Journal, step: Step) -> None:
    try:
        _forward(root, work, plan, step)
    except (OSError, ChangedMeanwhile):
        log.exception("The deployment %s could not be completed; it is taken back", plan.id)
        _back(root, work, plan, step)


def _forward(root: Path, work: Path, plan: Journal, step: Step, seen: Seen | None = None) -> None:
    """Do what a journal says, as far as it has not been done already; raise ChangedMeanwhile."""
    for folder in plan.folders:
        if not (root / folder).is_dir():
            (root / folder).mkdir()
            like(root / folder, (root / folder).parent)
            step(f"folder {folder}")
    for entry in plan.entries:
        target, new, old = root / entry.path, work / NEW / str(entry.number), work / OLD / str(entry.number)
        if entry.delete:
            if not os.path.lexists(old):
                os.rename(target, old)
                step(f"taken {entry.number}")
                _compare(entry.path, old, seen)
            continue
        if entry.existed and not os.path.lexists(old):
            _second_name(target, old)
            step(f"kept {entry.number}")
            _compare(entry.path, old, seen)
        # It is gone once it has been put in place.
        if new.exists():
            if entry.existed:
                os.rename(new, target)
            else:
                _add(entry, new, target, step)
            step(f"placed {entry.number}")
    for parent in {(root / entry.path).parent for entry in plan.entries} | {root}:
        journal.sync(parent)
    journal.mark(work, DONE)
    step("done")


def _back(root: Path, work: Path, plan: Journal, step: Step) -> None:
    """Have everything as it was, as far as it is not already."""
    journal.mark(work, UNDO)
    step("undo")
    for entry in reversed(plan.entries):
        target, new, old = root / entry.path, work / NEW / str(entry.number), work / OLD / str(entry.number)
        if os.path.lexists(old):
            # Somebody may have removed the folder meanwhile.
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(old, target)
            step(f"back {entry.number}")
        elif not entry.existed and new.exists():
            if _is_same(new, target):
                target.unlink()
                step(f"back {entry.number}")
        elif not entry.existed:
            # Ours; afterwards `new` is there again, so that nobody else's file is ever taken for it.
            with contextlib.suppress(FileNotFoundError):
                os.rename(target, new)
            step(f"back {entry.number}")
    for folder in reversed(plan.folders):
        with contextlib.suppress(OSError):
            (root / folder).rmdir()
    for parent in {(root / entry.path).parent for entry in plan.entries} | {root}:
        if parent.is_dir():
            journal.sync(parent)
    journal.forget(work)


def _tell_apart(new: int, target: Path) -> None:
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


def mark_of(status: os.stat_result) -> Mark:
    """Return by what a file is known again."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def _compare(path: str, old: Path, seen: Seen | None) -> None:
    """Raise ChangedMeanwhile where what was there is not what had been seen."""
    known = seen.get(path) if seen is not None else None
    if known is not None and mark_of(old.lstat()) != known:
        raise ChangedMeanwhile(path)


def _add(entry: Entry, new: Path, target: Path, step: Step) -> None:
    """Put a file where none was; raise ChangedMeanwhile where somebody else has put one there by now."""
    try:
        # Unlike a rename this replaces nothing.
        os.link(new, target)
    except FileExistsError:
        if not _is_same(new, target):
            raise ChangedMeanwhile(entry.path) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(target):
            raise ChangedMeanwhile(entry.path) from None
        os.rename(new, target)
        return
    step(f"linked {entry.number}")
    new.unlink()


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False


def _second_name(target: Path, old: Path) -> None:
    """Keep what lies at a place under another name; the place itself is never empty."""
    try:
        os.link(target, old, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # A file system without hard links. A copy that was cut off must not be taken for the file.
        draft = old.with_name(f"{old.name}.draft")
        shutil.copy2(target, draft, follow_symlinks=False)
        os.rename(draft, old)
