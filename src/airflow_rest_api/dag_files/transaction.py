"""
Putting files in place: all of them, or none.

Everything is written into a work folder first, on the file system on which it will be, and put in place by
renaming: no process ever reads half a file. A journal says what is going to happen, so that a deployment
that was killed at any moment is completed, or taken back, by the next holder of the lock.

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
import json
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_rest_api.dag_files.bundles import cannot_write, control_folder, like
from airflow_rest_api.dag_files.placing import (
    NO_LINKS,
    Mark,
    Marks,
    compare,
    create_closed,
    give,
    is_as,
    is_same,
    mark_of,
    second_name,
    sync,
    tell_apart,
)
from airflow_rest_api.dag_files.upload import CONTROL, clean
from airflow_rest_api.errors import BadPath, ChangedMeanwhile, InTheWay
from airflow_rest_api.plain_files import open_file, open_folder

log = logging.getLogger(__name__)

OnStep = Callable[[str], None]

JOURNAL, UNDO, DONE, NEW, OLD = "journal", "undo", "done", "new", "old"


@dataclass(frozen=True)
class Entry:
    """
    One file, by its path in the bundle.

    :ivar existed: there was one before
    :ivar before: the mark of that one; what is something else by the time of a recovery is somebody else's
    :ivar after: that of the file to come
    """

    number: int
    path: str
    delete: bool = False
    existed: bool = False
    before: Mark | None = None
    after: Mark | None = None


@dataclass(frozen=True)
class Journal:
    """What a deployment does; `folders` are those to be made, the upper ones first."""

    id: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]


class Damaged(Exception):
    """A journal or a folder that cannot be read: an administrator has to decide what to do."""


def _nothing(step: str) -> None:
    """Take note of a step: tests end the process there."""


class Transaction:
    """
    One change of a bundle's files. Only for the holder of the bundle's lock, from a thread.

    Others than we may write to the bundle, our folders there among it: each of these is opened once for a
    change, as the folder that it is, and what is put in its place meanwhile is not followed.

    :param root: the bundle, without symbolic links
    :param identifier: of the change, unique; the name of its work folder
    """

    # Of folders that are open, see `open_folder`: only in the methods that all can call.
    _control: Path
    _work: Path
    _new: Path
    _old: Path

    def __init__(self, root: Path, identifier: str, step: OnStep = _nothing) -> None:
        self._root = root
        self._id = identifier
        self._step = step
        self._place = root / CONTROL / identifier

    def change(
        self, files: Mapping[str, Path], deleted: Iterable[str] = (), seen: Marks | None = None
    ) -> None:
        """
        Put files in place, and take others away.

        When this returns it has happened, and lasts. `finish` is what is left to do.

        :param files: where the content is, by the path in the bundle; the last ones come last
        :param seen: what was there when it was decided what to do; None: whatever is there is replaced
        :raises BundleNotWritable, NoSpace: the disk is full or closed to us; everything is as it was
        :raises InTheWay: a folder or a link is where a file should be; everything is as it was
        :raises ChangedMeanwhile: something else is there by now than what was seen; everything is as it was
        """
        with contextlib.ExitStack() as held:
            self._control = held.enter_context(control_folder(self._root))
            written: Journal | None = None
            try:
                (self._control / self._id).mkdir()
                self._work = held.enter_context(open_folder(self._control / self._id))
                self._write_new(files, held)
                plan = self._plan(files, deleted, seen)
                self._write_journal(plan)
                written = plan
                self._step("journal")
                self._forward(plan, seen)
            except BaseException as error:
                if written is None:
                    self._forget()
                else:
                    self._back(written)
                if isinstance(error, OSError):
                    raise cannot_write(error) from error
                raise

    @property
    def pending(self) -> bool:
        """Whether there is a journal that `recover` would follow."""
        return (self._place / JOURNAL).exists()

    def finish(self) -> None:
        """Forget how it was before; the journal first, so that what is left is never one to be followed."""
        # What is no folder there by now is not ours to remove.
        gone = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with gone, open_folder(self._root / CONTROL) as self._control:
            self._forget()

    def recover(self) -> bool:
        """Complete or take back what was left unfinished; return whether it is done, and `finish` to come."""
        with contextlib.ExitStack() as held:
            try:
                self._control = held.enter_context(open_folder(self._root / CONTROL))
                self._work = held.enter_context(open_folder(self._control / self._id))
                plan = self._read_journal()
                if plan is None:
                    # Nothing in the bundle was touched yet.
                    self._forget()
                    return False
                self._hold(held)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise Damaged(f"{self._place}: {error.strerror}") from None
            return self._recover(plan)

    def _recover(self, plan: Journal) -> bool:
        try:
            for path in (*(entry.path for entry in plan.entries), *(f"{path}/" for path in plan.folders)):
                self._check_way(path, {})
        except InTheWay as error:
            # Others than we may write to the bundle, the journal and the folders on the way among it.
            raise Damaged(f"{self._place / JOURNAL}: {error}") from None
        if self._has(UNDO):
            self._back(plan)
            return False
        if not self._has(DONE):
            log.warning("The deployment %s was left unfinished; it is completed now", plan.id)
            try:
                self._forward(plan)
            except (OSError, ChangedMeanwhile):
                log.exception("The deployment %s could not be completed; it is taken back", plan.id)
                self._back(plan)
        return self._has(DONE)

    def _hold(self, held: contextlib.ExitStack) -> None:
        """Open the folders of the files to come and of those that were there."""
        self._new = held.enter_context(open_folder(self._work / NEW))
        self._old = held.enter_context(open_folder(self._work / OLD))

    def _forget(self) -> None:
        """Remove the work folder; whatever lies in its place when it is not one."""
        gone = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with gone, open_folder(self._control / self._id) as work:
            (work / JOURNAL).unlink(missing_ok=True)
        # It follows no link either: `shutil.rmtree.avoids_symlink_attacks`.
        shutil.rmtree(self._control / self._id, ignore_errors=True)

    def _write_new(self, files: Mapping[str, Path], held: contextlib.ExitStack) -> None:
        like(self._work, self._root)
        (self._work / NEW).mkdir()
        (self._work / OLD).mkdir()
        self._hold(held)
        for mark in (UNDO, DONE):
            (self._work / f"{mark}.ready").touch(exist_ok=False)
        self._step("work")
        for number, (path, source) in enumerate(files.items()):
            copy = self._new / str(number)
            target = self._root / path
            with source.open("rb") as content, create_closed(copy) as file:
                shutil.copyfileobj(content, file)
                give(file.fileno(), target)
                file.flush()
                tell_apart(file.fileno(), target)
                os.fsync(file.fileno())
            self._step(f"new {number}")
        sync(self._new)

    def _write_journal(self, plan: Journal) -> None:
        """Write the journal; it is there as a whole or not at all, and lasts."""
        draft = self._work / f"{JOURNAL}.draft"
        with draft.open("x", encoding="utf-8") as file:
            json.dump(asdict(plan), file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, self._work / JOURNAL)
        sync(self._work)

    def _read_journal(self) -> Journal | None:
        """Return the journal, None where it had not come so far; raise Damaged."""
        try:
            with open_file(self._work / JOURNAL) as file:
                found = json.loads(file.read().decode())
            entries = tuple(_entry(entry) for entry in found["entries"])
            plan = Journal(found["id"], entries, tuple(found["folders"]))
            # Others than we may write to the bundle: all has to be inside.
            if plan.id != self._id:
                raise ValueError("it is of another deployment")
            if any(type(entry.number) is not int for entry in plan.entries):
                raise ValueError("a number is none")
            for path in (*(entry.path for entry in plan.entries), *plan.folders):
                if clean(path) != path:
                    raise ValueError(f"{path!r} is no path in a bundle")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, BadPath) as error:
            raise Damaged(f"{self._place / JOURNAL}: {error}") from None
        return plan

    def _has(self, name: str) -> bool:
        return (self._work / name).exists()

    def _mark(self, name: str) -> None:
        """Leave a mark (UNDO, DONE) that lasts; the same again changes nothing."""
        if not self._has(name):
            os.rename(self._work / f"{name}.ready", self._work / name)
            sync(self._work)

    def _plan(self, files: Mapping[str, Path], deleted: Iterable[str], seen: Marks | None) -> Journal:
        folders: dict[str, None] = {}
        entries = []
        for number, path in enumerate(files):
            self._check_way(path, folders)
            existed = self._is_there(path)
            if existed and seen is not None and path not in seen:
                raise ChangedMeanwhile(path)
            after = mark_of((self._new / str(number)).lstat())
            before = mark_of((self._root / path).lstat()) if existed else None
            entries.append(Entry(number, path, existed=existed, before=before, after=after))
        for number, path in enumerate(deleted, len(entries)):
            self._check_way(path, {})
            if self._is_there(path):
                before = mark_of((self._root / path).lstat())
                entries.append(Entry(number, path, delete=True, existed=True, before=before))
        return Journal(self._id, tuple(entries), tuple(folders))

    def _is_there(self, path: str) -> bool:
        target = self._root / path
        if target.is_dir() and not target.is_symlink():
            raise InTheWay(path, "is a folder")
        return os.path.lexists(target)

    def _check_way(self, path: str, missing: dict[str, None]) -> None:
        """Check the folders on the way to a file: none may be a link, and all are on one file system."""
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
                raise InTheWay(folder, "is on another file system than its bundle")

    def _paths(self, entry: Entry) -> tuple[Path, Path, Path]:
        """Return where a file is, its new content before that, and the old one after it."""
        number = str(entry.number)
        return self._root / entry.path, self._new / number, self._old / number

    def _parents(self, plan: Journal) -> set[Path]:
        return {(self._root / entry.path).parent for entry in plan.entries} | {self._root}

    def _forward(self, plan: Journal, seen: Marks | None = None) -> None:
        """Do what a journal says, as far as it has not been done already; raise ChangedMeanwhile."""
        for path in plan.folders:
            folder = self._root / path
            if not folder.is_dir():
                folder.mkdir()
                like(folder, folder.parent)
                self._step(f"folder {path}")
        for entry in plan.entries:
            target, new, old = self._paths(entry)
            if entry.delete:
                if not os.path.lexists(old):
                    _require_untouched(entry, target)
                    os.rename(target, old)
                    self._step(f"taken {entry.number}")
                    compare(entry.path, old, seen)
                continue
            if entry.existed and not os.path.lexists(old):
                linked = second_name(target, old)
                self._step(f"kept {entry.number}")
                # A copy is another file: its mark says nothing.
                compare(entry.path, old if linked else target, seen)
            # It is gone once it has been put in place.
            if new.exists():
                if entry.existed:
                    _require_untouched(entry, target)
                    os.rename(new, target)
                else:
                    self._add(entry, new, target)
                self._step(f"placed {entry.number}")
        for parent in self._parents(plan):
            sync(parent)
        self._mark(DONE)
        self._step("done")

    def _back(self, plan: Journal) -> None:
        """Have everything as it was, as far as it is not already."""
        self._mark(UNDO)
        self._step("undo")
        for entry in reversed(plan.entries):
            target, new, old = self._paths(entry)
            if os.path.lexists(old):
                if not os.path.lexists(target) or _is_ours(entry, target):
                    # Another program may have removed the folder meanwhile.
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.rename(old, target)
                self._step(f"back {entry.number}")
            elif not entry.existed and new.exists():
                if is_same(new, target) and _is_ours(entry, target):
                    target.unlink()
                    self._step(f"back {entry.number}")
            elif not entry.existed and _is_ours(entry, target):
                # Afterwards `new` is there again, so that no file of others is ever taken for it.
                with contextlib.suppress(FileNotFoundError):
                    os.rename(target, new)
                self._step(f"back {entry.number}")
        for folder in reversed(plan.folders):
            with contextlib.suppress(OSError):
                (self._root / folder).rmdir()
        for parent in self._parents(plan):
            if parent.is_dir():
                sync(parent)
        self._forget()

    def _add(self, entry: Entry, new: Path, target: Path) -> None:
        """Put a file where none was; raise ChangedMeanwhile where another program has put one there."""
        try:
            # Unlike a rename this replaces nothing.
            os.link(new, target)
        except FileExistsError:
            if not is_same(new, target):
                raise ChangedMeanwhile(entry.path) from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if os.path.lexists(target):
                raise ChangedMeanwhile(entry.path) from None
            os.rename(new, target)
            return
        self._step(f"linked {entry.number}")
        new.unlink()


def _entry(found: Mapping[str, Any]) -> Entry:
    """Return an entry of a journal; raise ValueError, TypeError."""
    entry = Entry(**found)
    for mark in (entry.before, entry.after):
        if mark is not None and [type(number) for number in mark] != [int, int, int]:
            raise ValueError("a mark is none")
    return entry


def _require_untouched(entry: Entry, target: Path) -> None:
    """Raise ChangedMeanwhile where something else is there than what was to be replaced or taken away."""
    if entry.before is not None and os.path.lexists(target) and not is_as(target, entry.before):
        raise ChangedMeanwhile(entry.path)


def _is_ours(entry: Entry, target: Path) -> bool:
    """Return whether the file that came is still the one that is there; of older journals all are."""
    return not entry.delete and (entry.after is None or is_as(target, entry.after))


def recover(root: Path, step: OnStep = _nothing) -> list[tuple[str, bool]]:
    """
    Complete or take back what was left unfinished. Only for the holder of the bundle's lock, from a thread.

    :return: the id of each change, and whether it has been done: then its `finish` is still to come
    :raises Damaged: a journal cannot be read, or leads over a link
    """
    return [(name, Transaction(root, name, step).recover()) for name in left_in(root)]


def left_in(root: Path) -> list[str]:
    """Return the names of the work folders in a bundle; raise Damaged where our folder there is none."""
    try:
        with open_folder(root / CONTROL) as control, os.scandir(control) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise Damaged(f"{root / CONTROL} is no folder") from None
