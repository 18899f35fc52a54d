"""Changing a bundle: under its lock, with its history, and to the end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import WeakValueDictionary

from airflow_rest_api.dag_files.bundles import cannot_write, control_folder
from airflow_rest_api.dag_files.history import History
from airflow_rest_api.dag_files.history_tables import OUTSIDE, Deployment, Kind, NewVersion, now
from airflow_rest_api.dag_files.placing import Mark, Marks, mark_of
from airflow_rest_api.dag_files.transaction import Damaged, Transaction, left_in, recover
from airflow_rest_api.dag_files.upload import named
from airflow_rest_api.errors import BundleLocked, DamagedJournal, FilesExist, InTheWay, Unavailable
from airflow_rest_api.operations.model import new_id
from airflow_rest_api.plain_files import open_file

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.upload import ReceivedFile

log = logging.getLogger(__name__)

T = TypeVar("T")
Change = Literal["added", "changed", "unchanged", "deleted"]

CHUNK = 1024 * 1024

LOCK = "lock"
LOCK_TIMEOUT = 120.0
"""Seconds to wait for another API server, which only holds the lock while it renames files."""
LOCK_POLL = 0.05


class Locks:
    """
    The locks of the bundles.

    Within this process first come is first served. Between processes it is a lock on a file (flock), which
    ends with its process however that ends; network file systems have to be mounted with locks that reach the
    other hosts.
    """

    def __init__(self, timeout: float = LOCK_TIMEOUT) -> None:
        self._timeout = timeout
        self._queues: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def hold(self, root: Path) -> AsyncIterator[None]:
        """
        Have a bundle to oneself.

        :param root: the bundle, without symbolic links
        :raises BundleLocked: another process holds it
        :raises BundleNotWritable: the bundle is closed to us
        """
        queue = self._queues.setdefault(root, asyncio.Lock())
        async with queue:
            # A thread cannot be ended: what it opens has to be closed, and not before it has locked it.
            descriptor, interrupted = await to_the_end(asyncio.to_thread(_open, root))
            try:
                if interrupted:
                    raise asyncio.CancelledError
                await self._take(descriptor)
                yield
            finally:
                # This releases the lock.
                os.close(descriptor)

    async def _take(self, descriptor: int) -> None:
        end = time.monotonic() + self._timeout
        while True:
            locked, interrupted = await to_the_end(asyncio.to_thread(_lock, descriptor))
            if interrupted:
                raise asyncio.CancelledError
            if locked:
                return
            if time.monotonic() > end:
                raise BundleLocked
            await asyncio.sleep(LOCK_POLL)


def _open(root: Path) -> int:
    with control_folder(root) as folder:
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise cannot_write(error) from error
        _let_writers_lock(descriptor, folder.stat())
        return descriptor


def _let_writers_lock(descriptor: int, folder: os.stat_result) -> None:
    """Let those lock a file who may write in a folder, and nobody else: to read it is enough (flock(2))."""
    writing = stat.S_IMODE(folder.st_mode) & 0o222
    with contextlib.suppress(OSError):
        os.fchown(descriptor, -1, folder.st_gid)
    if os.fstat(descriptor).st_gid != folder.st_gid:
        writing &= ~stat.S_IWGRP
    # Only its owner may.
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o600 | writing | writing << 1)


def _lock(descriptor: int) -> bool:
    """Lock a file; return whether no other process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Such as a network file system whose locks reach nobody.
        raise cannot_write(error) from error
    return True


@dataclass(frozen=True)
class Present:
    """
    What is at a path: hash, size and mark of a file; no hash for what is no readable file.

    :ivar closed: why a file cannot be read
    """

    sha256: str | None
    size: int = 0
    mark: Mark | None = None
    closed: str | None = None


@dataclass(frozen=True)
class Written:
    """
    A change that has been made.

    :ivar id: of the deployment, None where there was nothing to change
    :ivar interrupted: it was cancelled while it was made
    :ivar recorded: whether the history shows it already
    """

    id: str | None
    changes: dict[str, Change]
    interrupted: bool
    recorded: bool = True


class Writer:
    """Changes bundles: every change is visible as a whole or not at all, and is recorded in the history."""

    def __init__(self, history: History, locks: Locks | None = None) -> None:
        self._history = history
        self._locks = locks or Locks()

    async def write(
        self,
        root: Path,
        deployment: Deployment,
        files: Sequence[ReceivedFile],
        deleted: Sequence[str] = (),
        *,
        overwrite: bool = True,
        always_new: bool = False,
    ) -> Written:
        """
        Put files in place and take others away; it can be cancelled before that, and not in the middle.

        :param root: the bundle, without symbolic links
        :raises FilesExist: a file that must not be replaced
        :raises BundleNotWritable, NoSpace, InTheWay, ChangedMeanwhile, BundleLocked: nothing has changed
        :raises Unavailable: the database is away; nothing has changed
        """
        async with self._locks.hold(root):
            await self._settle(root)
            there, changes = await asyncio.to_thread(
                plan, root, files, deleted, overwrite=overwrite, always_new=always_new
            )
            new = {file.path: file.content for file in files if changes[file.path] != "unchanged"}
            gone = [path for path, change in changes.items() if change == "deleted"]
            versions = await self._versions(root, deployment.bundle, files, there, changes)
            versions += [NewVersion(path, "deleted") for path in gone]
            if not (versions or new or gone):
                return Written(None, changes, interrupted=False)
            marks = {path: found.mark for path, found in there.items()}
            work = self._commit(root, deployment, versions, new, gone, marks)
            recorded, interrupted = await to_the_end(work)
            return Written(deployment.id, changes, interrupted, recorded)

    async def recover(self, root: Path) -> None:
        """Complete or take back what a process left unfinished when it was killed."""
        if await asyncio.to_thread(_unfinished, root):
            async with self._locks.hold(root):
                await self._settle(root)

    async def _settle(self, root: Path) -> None:
        # A thread cannot be ended: the lock must not be let go while it works.
        _, interrupted = await to_the_end(self._recover(root))
        if interrupted:
            raise asyncio.CancelledError

    async def _recover(self, root: Path) -> None:
        try:
            found = await asyncio.to_thread(recover, root)
        except Damaged as error:
            log.error("A journal cannot be read, and needs an administrator: %s", error)
            raise DamagedJournal("A deployment was left unfinished, and its journal is damaged.") from None
        except OSError as error:
            raise _left(root, error) from None
        for identifier, done in found:
            if done:
                await self._history.complete(identifier)
                await asyncio.to_thread(_finish, root, identifier)
            else:
                await self._history.abandon(identifier)

    async def _commit(
        self,
        root: Path,
        deployment: Deployment,
        versions: Sequence[NewVersion],
        files: Mapping[str, Path],
        deleted: Sequence[str],
        seen: Marks,
    ) -> bool:
        await self._history.begin(deployment, versions)
        transaction = Transaction(root, deployment.id)
        try:
            await asyncio.to_thread(transaction.change, files, deleted, seen)
        except BaseException as error:
            # With a journal that could not be followed back either, recovery decides, also for the history.
            if not transaction.pending:
                await self._history.abandon(deployment.id)
            elif isinstance(error, OSError):
                raise _left(root, error) from None
            raise
        try:
            await self._history.complete(deployment.id)
        except Unavailable:
            # The journal stays: the next holder of the lock completes the history.
            log.warning("The deployment %s is in place; its history is completed later", deployment.id)
            return False
        await asyncio.to_thread(transaction.finish)
        return True

    async def _versions(
        self,
        root: Path,
        bundle: str,
        files: Sequence[ReceivedFile],
        there: Mapping[str, Present],
        changes: Mapping[str, Change],
    ) -> list[NewVersion]:
        newest = await self._history.newest(bundle, changes)
        known = {path: version.sha256 for path, version in newest.items()}
        # What did not come through us is kept as well, so that it can be brought back.
        versions = [
            NewVersion(path, OUTSIDE, found.sha256, found.size, root / path)
            for path, found in there.items()
            if found.sha256 not in (None, known.get(path)) and changes[path] in ("changed", "deleted")
        ]
        return versions + [
            NewVersion(file.path, changes[file.path], file.sha256, file.size, file.content)
            for file in files
            if changes[file.path] != "unchanged" or known.get(file.path) != file.sha256
        ]


def _left(root: Path, error: OSError) -> DamagedJournal:
    """Return the error for a client where a file system fails in the middle, as one that turns read-only."""
    log.error("A deployment was left unfinished in %s, and cannot be taken back", root, exc_info=error)
    return DamagedJournal(
        f"A deployment was left unfinished, and can neither be completed nor taken back: {error.strerror}."
    )


def plan(
    root: Path,
    files: Sequence[ReceivedFile],
    deleted: Sequence[str] = (),
    *,
    overwrite: bool = True,
    always_new: bool = False,
) -> tuple[dict[str, Present], dict[str, Change]]:
    """
    Compare the files of a deployment with its bundle as it is at this moment. Blocks: for threads only.

    :return: what is at the paths of its files, where something is, and what happens to each file
    :raises FilesExist: a file that must not be replaced
    :raises InTheWay: one of which nothing could be kept
    """
    there = present(root, [*(file.path for file in files), *deleted])
    changes: dict[str, Change] = {}
    in_the_way = []
    for file in files:
        found = there.get(file.path)
        if found is None:
            changes[file.path] = "added"
            continue
        changes[file.path] = "unchanged" if found.sha256 == file.sha256 else "changed"
        if changes[file.path] == "changed" or always_new:
            in_the_way.append(file.path)
    if in_the_way and not overwrite:
        message = f"There already: {named(in_the_way)}. Say overwrite to replace it."
        raise FilesExist(message, paths=in_the_way[:100])
    changes.update({path: "deleted" for path in deleted if path in there})
    for path, found in there.items():
        if found.closed is not None:
            raise InTheWay(path, f"cannot be read ({found.closed}), and so could not be brought back")
    return there, changes


def present(root: Path, paths: Iterable[str]) -> dict[str, Present]:
    """Return what is at each of some paths that something is at. Blocks: for threads only."""
    found = {}
    for path in paths:
        try:
            digest, size = hashlib.sha256(), 0
            with open_file(root / path) as file:
                mark = mark_of(os.fstat(file.fileno()))
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            found[path] = Present(None, closed=_closed(root / path, error))
        else:
            found[path] = Present(digest.hexdigest(), size, mark)
    return found


def _closed(path: Path, error: OSError) -> str | None:
    """Return why a file cannot be read, None for what is there and is none."""
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
    return error.strerror or type(error).__name__


def new_deployment(kind: Kind, bundle: str, user: str, operation_id: str | None, count: int) -> Deployment:
    """Return a deployment that is about to be made."""
    return Deployment(new_id(), kind, bundle, user, now(), operation_id, count)


async def to_the_end(work: Awaitable[T]) -> tuple[T, bool]:
    """Wait for work that must not be left half done; return its result, and whether it was cancelled."""
    task: asyncio.Future[Any] = asyncio.ensure_future(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            interrupted = True
    return task.result(), interrupted


def _finish(root: Path, identifier: str) -> None:
    Transaction(root, identifier).finish()


def _unfinished(root: Path) -> bool:
    try:
        return bool(left_in(root))
    except Damaged:
        # Who takes the lock is told.
        return True
