"""What is read of DAG files, on the host that has them: bundles, lists, contents, versions, differences."""

from __future__ import annotations

import asyncio
import bisect
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files import bundles
from airflow_rest_api.dag_files.bundle_change import present
from airflow_rest_api.dag_files.grants import Scope
from airflow_rest_api.dag_files.history import diff
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.errors import BundleNotWritable, TooLarge, TooManyFiles, UnknownDagFile
from airflow_rest_api.plain_files import NO_FILE, open_file
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from airflow_rest_api.airflow.dag_processor import File
    from airflow_rest_api.dag_files.bundles import BundleFolder, BundleInfo
    from airflow_rest_api.dag_files.history import History
    from airflow_rest_api.dag_files.history_tables import Version

MOST_FILES = 100_000
"""Files of a bundle that are looked at for one list."""
PASSED_OVER = frozenset({CONTROL, "__pycache__", ".git"})


@dataclass(frozen=True)
class ListedFile:
    """
    A file of a bundle.

    :ivar size: None where it is gone
    :ivar deployed: the newest version that came through us, None where none did
    :ivar changed_outside: what is there is not that version
    """

    bundle: str
    path: str
    size: int | None
    modified_at: datetime | None
    deployed: Version | None = None
    changed_outside: bool = False
    dag_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DagFileAnswer:
    """
    What was read.

    :ivar value: good for JSON
    :ivar content: of a file
    """

    value: Any = None
    content: bytes | None = None


class DagFileReader:
    """
    Reads of DAG files what a client asks for, by names and paths that are checked.

    Each method takes a `bundle`, None for the default, and raises what `bundles.resolve` does.

    :param limit: bytes of a file that did not come through us
    """

    def __init__(self, history: History, limit: int) -> None:
        self._history = history
        self._limit = limit

    async def bundles(self) -> DagFileAnswer:
        """Return the bundles: see `BundleInfo`."""
        return DagFileAnswer([_plain(bundle) for bundle in await asyncio.to_thread(bundles.bundles)])

    async def files(
        self, bundle: str | None, folder: str, after: str | None, limit: int, scope: Mapping[str, Any]
    ) -> DagFileAnswer:
        """
        Return the files of a folder by path, and as `next` the path after which the next page begins.

        :param after: the last path of the page before
        :param scope: see `Scope.values`: what of them may be shown
        :raises TooManyFiles: they cannot be listed
        """
        place = await asyncio.to_thread(bundles.resolve, bundle, folder)
        covers = Scope.of(scope).covers
        inside = f"{place.folder}/" if place.folder else ""
        ours = await self._history.paths(place.bundle.name)

        def listed() -> list[str]:
            there = (*_walk(place.root, place.folder), *(path for path in ours if path.startswith(inside)))
            return sorted({path for path in there if covers(place.bundle.name, path)})

        paths = await asyncio.to_thread(listed)
        start = bisect.bisect_right(paths, after) if after is not None else 0
        page = paths[start : start + limit]
        # What was deleted through us is gone as it should be.
        files = [
            file
            for file in await self._describe(place, page)
            if file.size is not None or file.changed_outside
        ]
        following = page[-1] if start + limit < len(paths) else None
        return DagFileAnswer({"files": [_plain(file) for file in files], "next": following})

    async def file(self, bundle: str | None, path: str) -> DagFileAnswer:
        """Return what is known of a file; raise UnknownDagFile."""
        place = await place_of(bundle, path)
        [found] = await self._describe(place, [path])
        if found.size is None and found.deployed is None:
            raise UnknownDagFile(path, place.bundle.name)
        return DagFileAnswer(_plain(found))

    async def exists(self, bundle: str | None, path: str) -> DagFileAnswer:
        """
        Return the bundle's name, and whether such a file is there; of a bundle whose files come from
        elsewhere, whether Airflow has an import error of it.
        """
        info = await asyncio.to_thread(bundles.named, bundle)
        return DagFileAnswer({"bundle": info.name, "exists": await ask(_exists, info, (info.name, path))})

    async def content(self, bundle: str | None, path: str, version: int | None) -> DagFileAnswer:
        """
        Return the content of a version, or of what is there.

        :raises UnknownDagFile, TooLarge: there is none, or more than may be
        :raises BundleNotWritable: what is there cannot be read
        """
        place = await place_of(bundle, path)
        found = await self._content(place, path, version)
        if found is None:
            raise UnknownDagFile(path, place.bundle.name)
        return DagFileAnswer(content=found)

    async def versions(self, bundle: str | None, path: str) -> DagFileAnswer:
        """Return the bundle's name, and the versions of a file that are kept; raise UnknownDagFile."""
        place = await place_of(bundle, path)
        found = await self._history.versions(place.bundle.name, path)
        if not found and (await asyncio.to_thread(_status, place.root / path))[0] is None:
            raise UnknownDagFile(path, place.bundle.name)
        return DagFileAnswer(
            {"bundle": place.bundle.name, "versions": [_plain(version) for version in found]}
        )

    async def difference(
        self, bundle: str | None, path: str, from_version: int, to_version: int | None
    ) -> DagFileAnswer:
        """Return the difference between two versions, or between one and what is there; raise TooLarge."""
        place = await place_of(bundle, path)
        before = await self._content(place, path, from_version)
        after = await self._content(place, path, to_version)
        newer = "now" if to_version is None else f"version {to_version}"
        names = f"{path} (version {from_version})", f"{path} ({newer})"
        text = await asyncio.to_thread(diff, before, after, *names)
        return DagFileAnswer(content=text.encode())

    async def _content(self, place: BundleFolder, path: str, version: int | None) -> bytes | None:
        """Return the content of a version, or of what is there; None where there is none."""
        if version is None:
            return await asyncio.to_thread(_read, place, path, self._limit)
        found = await self._history.version(place.bundle.name, path, version)
        if found.sha256 is None:
            return None
        _bounded(found.size or 0, self._limit)
        return await self._history.content(found)

    async def _describe(self, place: BundleFolder, paths: Sequence[str]) -> list[ListedFile]:
        """Return what is known of some files, in their order."""
        bundle = place.bundle.name
        newest = await self._history.newest(bundle, paths)
        dags = await ask(dag_processor.dags_by_file, bundle, list(paths))
        stats = await asyncio.to_thread(_statuses, place.root, paths)
        # Only what may be the version is read: what others wrote can be of any size.
        alike = [
            path
            for path, version in newest.items()
            if version.sha256 is not None and version.size == stats[path][0]
        ]
        there = await asyncio.to_thread(present, place.root, alike)
        found = []
        for path in paths:
            size, modified_at = stats[path]
            version = newest.get(path)
            if version is None:
                outside = False
            elif version.sha256 is None:
                outside = size is not None
            else:
                outside = path not in there or there[path].sha256 != version.sha256
            deployed = version if version is None or version.sha256 is not None else None
            found.append(ListedFile(bundle, path, size, modified_at, deployed, outside, dags.get(path, [])))
        return found


async def place_of(bundle: str | None, path: str) -> BundleFolder:
    """Return the folder of a file: see `bundles.resolve`."""
    return await asyncio.to_thread(bundles.resolve, bundle, path.rpartition("/")[0])


def _plain(record: Any) -> dict[str, Any]:
    """Return a dataclass as JSON knows it."""
    return {name: _value(value) for name, value in asdict(record).items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return {name: _value(one) for name, one in value.items()} if isinstance(value, dict) else value


def _bounded(size: int, limit: int) -> None:
    """Refuse what did not come through us and is larger than anything that could: it goes through memory."""
    if size > limit:
        raise TooLarge(f"The file has more than {limit} bytes ([rest_api_plugin] dag_files_size).")


def _read(place: BundleFolder, path: str, limit: int) -> bytes | None:
    try:
        opened = open_file(place.root / path)
    except OSError as error:
        if error.errno in NO_FILE:
            return None
        words = f"The file cannot be read on this host ({error.strerror})."
        raise BundleNotWritable(words, argument="path", bundle=place.bundle.name) from None
    with opened as file:
        _bounded(os.fstat(file.fileno()).st_size, limit)
        return file.read(limit)


def _exists(bundle: BundleInfo, file: File) -> bool:
    if bundle.root is None:
        return dag_processor.look([file])[file].error_at is not None
    try:
        root = Path(bundle.root).resolve()
        path = (root / file[1]).resolve()
        return path.is_relative_to(root) and path.is_file()
    except (OSError, RuntimeError):  # A loop of links is the latter.
        return False


def _walk(root: Path, folder: str) -> list[str]:
    found: list[str] = []
    # Links are not followed: the same file would be listed twice, or one of elsewhere.
    for above, folders, names in os.walk(root / folder):
        folders[:] = [name for name in folders if name not in PASSED_OVER and storable(name) == name]
        # What is not UTF-8 has no name that a database or JSON could hold.
        names = [name for name in names if storable(name) == name]
        found += [os.path.relpath(os.path.join(above, name), root) for name in names]
        if len(found) > MOST_FILES:
            raise TooManyFiles(f"There are more than {MOST_FILES} files: name a folder.")
    return found


def _statuses(root: Path, paths: Iterable[str]) -> dict[str, tuple[int | None, datetime | None]]:
    return {path: _status(root / path) for path in paths}


def _status(path: Path) -> tuple[int | None, datetime | None]:
    """Return size and time of a file, a link among them; None of what is there and is none, as a folder."""
    try:
        status = path.lstat()
    except OSError:
        return None, None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return None, None
    try:
        return status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc)
    except (ValueError, OverflowError, OSError):
        # A file system takes years that no calendar has: the other files are to be listed all the same.
        return status.st_size, None
