"""The files of a deployment and their one owner, its report as a result, and the error of a refused one."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest

from airflow_rest_api.dag_files.check import CheckLimits, FoundDag
from airflow_rest_api.dag_files.deployment import DagFiles, DeploymentReport
from airflow_rest_api.dag_files.upload import Bounds, Received
from airflow_rest_api.errors import BadPath


def dag_files() -> DagFiles:
    return DagFiles(cast("Any", None), Bounds(10, 1000), CheckLimits())


def test_files_are_removed_where_no_operation_was_started_with_them() -> None:
    async def main() -> Path:
        async with dag_files().receive("folder") as received:
            received.add("a.py", io.BytesIO(b"x = 1\n"))
            assert [file.path for file in received.files] == ["folder/a.py"]
        return received.path

    assert not asyncio.run(main()).exists()


def test_files_are_removed_where_an_error_comes_between() -> None:
    folders: list[Path] = []

    async def main() -> None:
        async with dag_files().receive() as received:
            folders.append(received.path)
            received.add("../a.py", io.BytesIO(b""))

    with pytest.raises(BadPath):
        asyncio.run(main())
    assert not folders[0].exists()


def test_released_files_are_left_to_their_operation() -> None:
    async def main() -> Received:
        async with dag_files().receive() as received:
            received.release()
        return received

    received = asyncio.run(main())
    assert received.path.is_dir()
    received.remove()
    assert not received.path.exists()


def test_a_report_is_good_for_json() -> None:
    report = DeploymentReport(
        bundle="b", dry_run=False, files={"a.py": "added"}, dags=[FoundDag("d", "a.py", ["t"])]
    )
    shown = report.result()
    assert json.loads(json.dumps(shown)) == shown
    assert set(shown) == {
        "deployment",
        "dry_run",
        "bundle",
        "files",
        "dags",
        "errors",
        "duplicates",
        "warnings",
    }
