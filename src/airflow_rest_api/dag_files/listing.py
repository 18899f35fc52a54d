"""The files of a bundle: those in its folder, and those that were deployed through us."""

from __future__ import annotations

import asyncio
import bisect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files.bundle_change import present
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.errors import TooManyFiles
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import BundleFolder
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


async def list_files(
    history: History, place: BundleFolder, *, after: str | None, limit: int, mine: Callable[[str], bool]
) -> tuple[list[ListedFile], str | None]:
    """
    Return the files of a folder by path, and the path after which the next page begins.

    :param after: the last path of the page before
    :param mine: whether a path may be shown
    :raises TooManyFiles: they cannot be listed
    """
    there = await asyncio.to_thread(_walk, place.root, place.folder)
    inside = f"{place.folder}/" if place.folder else ""
    ours = [path for path in await history.paths(place.bundle.name) if path.startswith(inside)]
    paths = sorted({path for path in (*there, *ours) if mine(path)})
    start = bisect.bisect_right(paths, after) if after is not None else 0
    page = paths[start : start + limit]
    files = await describe(history, place, page)
    # What was deleted through us is gone as it should be.
    files = [file for file in files if file.size is not None or file.changed_outside]
    return files, page[-1] if start + limit < len(paths) else None


async def describe(history: History, place: BundleFolder, paths: Sequence[str]) -> list[ListedFile]:
    """Return what is known of some files, in their order."""
    bundle = place.bundle.name
    newest = await history.newest(bundle, paths)
    dags = await ask(dag_processor.dags_by_file, bundle, list(paths))
    # Only those are read that there is something to compare with.
    there = await asyncio.to_thread(present, place.root, list(newest))
    found = []
    for path in paths:
        size, modified_at = await asyncio.to_thread(_status, place.root / path)
        version = newest.get(path)
        now = there[path].sha256 if path in there else None
        outside = version is not None and (version.sha256 != now or (path in there and now is None))
        deployed = version if version is None or version.sha256 is not None else None
        found.append(ListedFile(bundle, path, size, modified_at, deployed, outside, dags.get(path, [])))
    return found


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


def _status(path: Path) -> tuple[int | None, datetime | None]:
    try:
        status = path.lstat()
    except OSError:
        return None, None
    return status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc)
