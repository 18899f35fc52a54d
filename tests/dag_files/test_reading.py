"""What is told of the files of a bundle, without a database."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from airflow_rest_api.dag_files import bundles, reading
from airflow_rest_api.dag_files.bundle_change import Present, present
from airflow_rest_api.dag_files.bundles import BundleFolder, BundleInfo
from airflow_rest_api.dag_files.grants import Scope
from airflow_rest_api.dag_files.history_tables import Version
from airflow_rest_api.dag_files.reading import DagFileReader
from airflow_rest_api.errors import UnknownDagFile

MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Kept:
    """A history in which each file has one version."""

    def __init__(self, **contents: bytes | None) -> None:
        self.found = {
            path: Version(
                "b",
                path,
                1,
                "added" if content is not None else "deleted",
                None if content is None else hashlib.sha256(content).hexdigest(),
                None if content is None else len(content),
                "d",
                "deploy",
                "u",
                MOMENT,
            )
            for path, content in contents.items()
        }

    async def paths(self, bundle: str) -> list[str]:
        return list(self.found)

    async def newest(self, bundle: str, paths: Iterable[str]) -> dict[str, Version]:
        return {path: self.found[path] for path in paths if path in self.found}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read for a list."""
    found: list[str] = []

    def noted(root: Path, paths: Iterable[str]) -> dict[str, Present]:
        found.extend(paths)
        return present(root, found)

    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    place = BundleFolder(BundleInfo("b", "local", tmp_path, True, None), tmp_path, "")
    monkeypatch.setattr(reading, "present", noted)
    monkeypatch.setattr(reading, "ask", nothing)
    monkeypatch.setattr(bundles, "resolve", lambda bundle, folder: place)
    return found


def test_a_file_of_a_year_that_no_calendar_has_is_listed_without(tmp_path: Path, read: list[str]) -> None:
    with TemporaryDirectory(dir="/dev/shm") as folder:
        file = Path(folder, "a.py")
        file.touch()
        # Far more than ext4 can have, and what an archive or a program may set.
        os.utime(file, (10**14, 10**14))
        assert reading._status(file) == (0, None)
    assert reading._status(tmp_path / "gone") == (None, None)


def test_many_paths_are_put_in_order_beside_the_event_loop(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def covers(self: Scope, bundle: str, path: str) -> bool:
        threads.append(threading.current_thread())
        return True

    monkeypatch.setattr(Scope, "covers", covers)
    (tmp_path / "there").touch()
    reader = DagFileReader(cast("Any", Kept(gone=b"1")), 100)
    found = asyncio.run(reader.files("b", "", None, 100, {"everywhere": True, "folders": []})).value
    assert [file["path"] for file in found["files"]] == ["gone", "there"]
    assert threads
    assert threading.main_thread() not in threads


def test_a_file_that_cannot_be_the_version_is_not_read_for_a_list(tmp_path: Path, read: list[str]) -> None:
    history = Kept(same=b"1", other=b"1", larger=b"1", gone=b"1", deleted=None, back=None)
    for path, content in {"same": "1", "other": "2", "larger": "12", "back": "1", "unknown": "1"}.items():
        (tmp_path / path).write_text(content)
    reader = DagFileReader(cast("Any", history), 100)

    found = asyncio.run(reader.files("b", "", None, 100, {"everywhere": True, "folders": []})).value

    assert {file["path"]: file["changed_outside"] for file in found["files"]} == {
        "same": False,
        "other": True,
        "larger": True,
        "gone": True,
        "back": True,
        "unknown": False,
    }
    assert sorted(read) == ["other", "same"]


def test_a_folder_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "team").mkdir()

    async def versions(bundle: str, path: str) -> list[Version]:
        return []

    history = cast("Any", Kept())
    history.versions = versions
    info = BundleInfo("b", "local", tmp_path, True, None)
    monkeypatch.setattr(bundles, "resolve", lambda *_: BundleFolder(info, tmp_path, ""))
    monkeypatch.setattr(reading.dag_processor, "dags_by_file", lambda *_: {})
    reader = DagFileReader(history, 1000)
    for ask in (reader.file, reader.versions):
        with pytest.raises(UnknownDagFile):
            asyncio.run(ask("b", "team"))
