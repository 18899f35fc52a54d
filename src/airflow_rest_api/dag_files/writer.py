"""Changing a bundle: under its lock, with its history, and to the end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api.dag_files.history import History
from airflow_rest_api.dag_files.journal import Damaged
from airflow_rest_api.dag_files.lock import Locks
from airflow_rest_api.dag_files.names import CONTROL
from airflow_rest_api.dag_files.orders import named
from airflow_rest_api.dag_files.transaction import Mark, Seen, Transaction, finish, mark_of, recover
from airflow_rest_api.dag_files.versions import OUTSIDE, Deployment, Kind, NewVersion, now
from airflow_rest_api.errors import DamagedJournal, FilesExist, Unavailable
from airflow_rest_api.operations.model import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_rest_api.dag_files.report import Change
    from airflow_rest_api.dag_files.upload import ReceivedFile

log = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Present:
    """What lies at a path: hash and size of a file, and by what it is known again; None for what is none."""

    sha256: str | None
    size: int = 0
    mark: Mark | None = None


@dataclass(frozen=True)
class Written:
    """
    A change that has been made.

    :ivar id: of the deployment, None where there was nothing to change
    :ivar interrupted: somebody wanted it to end while it was made
    :ivar recorded: whether the history shows it already
    """

    id: str | None
    changes: dict[str, Change]
    interrupted: bool
    recorded: bool = True


class Writer:
    """Changes bundles; every change is seen by nobody or whole, and leaves its trace in the history."""

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
        Put files in place and take others away; a cancel is heard before, not in the middle.

        :param root: the bundle, without symbolic links
        :raises FilesExist: a file that must not be replaced
        :raises BundleNotWritable, NoSpace, InTheWay, ChangedMeanwhile, BundleLocked: nothing has changed
        :raises Unavailable: the database is away; nothing has changed
        """
        async with self._hold(root):
            await self._settle(root)
            return await self._write(root, deployment, files, deleted, overwrite, always_new)

    async def recover(self, root: Path) -> None:
        """Complete or take back what a process left unfinished when it was killed."""
        if await asyncio.to_thread(_unfinished, root):
            async with self._hold(root):
                await self._settle(root)

    @asynccontextmanager
    async def _hold(self, root: Path) -> AsyncIterator[None]:
        async with self._locks.hold(root):
            yield

    async def _settle(self, root: Path) -> None:
        # A thread cannot be ended: the lock must not be let go while it works.
        _, interrupted = await to_the_end(self._recover(root))
        if interrupted:
            raise asyncio.CancelledError

    async def _recover(self, root: Path) -> None:
        try:
            found = await asyncio.to_thread(recover, root)
        except Damaged as error:
            log.error("A journal cannot be read, and somebody has to look at it: %s", error)
            raise DamagedJournal("A deployment was left unfinished, and its journal is damaged.") from None
        except OSError as error:
            log.exception("A deployment was left unfinished in %s, and cannot be taken back", root)
            raise DamagedJournal(
                "A deployment was left unfinished, and can neither be completed nor taken back: "
                f"{error.strerror}.",
            ) from None
        for identifier, done in found:
            if done:
                await self._history.complete(identifier)
                await asyncio.to_thread(finish, root, identifier)
            else:
                await self._history.abandon(identifier)

    async def _write(
        self,
        root: Path,
        deployment: Deployment,
        files: Sequence[ReceivedFile],
        deleted: Sequence[str],
        overwrite: bool,
        always_new: bool,
    ) -> Written:
        there = await asyncio.to_thread(present, root, [*(file.path for file in files), *deleted])
        changes = changes_of(files, there, overwrite=overwrite, always_new=always_new)
        changes.update({path: "deleted" for path in deleted if path in there})
        versions = await self._versions(root, deployment.bundle, files, changes, there)
        wanted = {file.path: file.content for file in files if changes[file.path] != "unchanged"}
        gone = [path for path in deleted if path in there]
        if not (versions or wanted or gone):
            return Written(None, changes, interrupted=False)
        seen = {path: found.mark for path, found in there.items()}
        work = self._commit(root, deployment, versions, wanted, gone, seen)
        recorded, interrupted = await to_the_end(work)
        return Written(deployment.id, changes, interrupted, recorded)

    async def _commit(
        self,
        root: Path,
        deployment: Deployment,
        versions: Sequence[NewVersion],
        files: Mapping[str, Path],
        deleted: Sequence[str],
        seen: Seen,
    ) -> bool:
        await self._history.begin(deployment, versions)
        transaction = Transaction(root, deployment.id)
        try:
            await asyncio.to_thread(transaction.change, files, deleted, seen)
        except BaseException:
            # With a journal that could not be followed back either, recovery decides, and tells the history.
            if not transaction.pending:
                await self._history.abandon(deployment.id)
            raise
        try:
            await self._history.complete(deployment.id)
        except Unavailable:
            # The journal stays: whoever is next tells the history.
            log.warning("The deployment %s is in place; its history is completed later", deployment.id)
            return False
        await asyncio.to_thread(transaction.finish)
        return True

    async def _versions(
        self,
        root: Path,
        bundle: str,
        files: Sequence[ReceivedFile],
        changes: Mapping[str, Change],
        there: Mapping[str, Present],
    ) -> list[NewVersion]:
        known = await self._history.newest(bundle, changes)
        versions: list[NewVersion] = []
        for path, found in there.items():
            before = known.get(path)
            outside = before is None or before.sha256 != found.sha256
            if found.sha256 is not None and outside and changes.get(path) in ("changed", "deleted"):
                # So that it can be brought back.
                versions.append(NewVersion(path, OUTSIDE, found.sha256, found.size, root / path))
        for file in files:
            change = changes[file.path]
            if change == "unchanged" and (old := known.get(file.path)) and old.sha256 == file.sha256:
                continue
            versions.append(NewVersion(file.path, change, file.sha256, file.size, file.content))
        versions += [NewVersion(path, "deleted") for path, change in changes.items() if change == "deleted"]
        return versions


def changes_of(
    files: Iterable[ReceivedFile], there: Mapping[str, Present], *, overwrite: bool, always_new: bool = False
) -> dict[str, Change]:
    """Return what happens to each file; raise FilesExist."""
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
        raise FilesExist(
            f"There already: {named(in_the_way)}. Say overwrite to replace it.", paths=in_the_way[:100]
        )
    return changes


def present(root: Path, paths: Iterable[str]) -> dict[str, Present]:
    """Return what lies at each of some paths. Blocks: for threads only."""
    found = {}
    for path in paths:
        target = root / path
        if target.is_symlink() or target.is_dir():
            found[path] = Present(None)
            continue
        try:
            digest, size = hashlib.sha256(), 0
            with target.open("rb") as file:
                mark = mark_of(os.fstat(file.fileno()))
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            found[path] = Present(None)
        else:
            found[path] = Present(digest.hexdigest(), size, mark)
    return found


def new_deployment(kind: Kind, bundle: str, user: str, operation_id: str | None, count: int) -> Deployment:
    """Return a deployment that is about to be made."""
    return Deployment(new_id(), kind, bundle, user, now(), operation_id, count)


async def to_the_end(work: Awaitable[T]) -> tuple[T, bool]:
    """Wait for work that must not be left half done; return whether somebody tried to have it left."""
    task: asyncio.Future[Any] = asyncio.ensure_future(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            interrupted = True
    return task.result(), interrupted


def _unfinished(root: Path) -> bool:
    folder = root / CONTROL
    return folder.is_dir() and any(path.is_dir() for path in folder.iterdir())
