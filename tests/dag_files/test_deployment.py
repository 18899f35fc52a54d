"""The files of a deployment and their one owner, its report as a result, and the error of a refused one."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest

from airflow_rest_api.dag_files.check import BrokenFile, CheckLimits, FoundDag
from airflow_rest_api.dag_files.deployment import DagFiles, DeploymentRefused, DeploymentReport, refusal
from airflow_rest_api.dag_files.history_tables import now
from airflow_rest_api.dag_files.upload import Bounds, Received
from airflow_rest_api.errors import BadPath, FilesExist
from airflow_rest_api.operations.model import Operation, State


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


def ended(error: DeploymentRefused) -> Operation:
    operation = Operation("id", "deploy_dag", "execute", [], "u", "h", now(), state=State.FAILED)
    operation.result = json.loads(json.dumps(error.result))
    return operation


def test_an_error_comes_back_from_the_result_of_its_operation() -> None:
    report = DeploymentReport(bundle="b", dry_run=False, errors=[BrokenFile("a.py", 3, "SyntaxError")])
    found = refusal(ended(DeploymentRefused(FilesExist("It is there."), report)))
    assert found is not None
    assert (found.status, found.detail["reason"], found.detail["id"]) == (409, "exists", "id")
    assert found.detail["message"] == "It is there."
    assert found.detail["report"] == json.loads(json.dumps(report.result()))
    without = refusal(ended(DeploymentRefused(FilesExist("It is there."), None)))
    assert without is not None
    assert "report" not in without.detail


def test_another_end_is_no_refusal() -> None:
    operation = ended(DeploymentRefused(FilesExist("It is there."), None))
    operation.state = State.SUCCEEDED
    assert refusal(operation) is None
    operation.state, operation.result = State.FAILED, None
    assert refusal(operation) is None
