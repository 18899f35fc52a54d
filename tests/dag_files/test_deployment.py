"""The files of a deployment and their one owner, its report as a result, and the error of a refused one."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from airflow_rest_api.dag_files import refresh
from airflow_rest_api.dag_files.bundle_change import Written
from airflow_rest_api.dag_files.bundles import BundleFolder, BundleInfo
from airflow_rest_api.dag_files.check import CheckLimits, FoundDag
from airflow_rest_api.dag_files.deployment import DagFiles, DeploymentOrder, DeploymentReport
from airflow_rest_api.dag_files.upload import Bounds, Received
from airflow_rest_api.dag_files.works import DagFileWorks
from airflow_rest_api.errors import BadPath, Busy, Unavailable
from airflow_rest_api.operations.runs import Refused


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


def test_the_texts_of_a_report_are_not_copied_for_its_result() -> None:
    tasks = ["t"]
    report = DeploymentReport(bundle="b", dry_run=False, dags=[FoundDag("d", "a.py", tasks)])
    # Of thousands of DAGs that takes seconds of the event loop, which is Airflow's.
    assert report.result()["dags"][0]["tasks"] is tasks


class Work:
    """What a deployment asks of its operation; a command ends as it is told to."""

    id = "operation"

    def __init__(self, end: BaseException) -> None:
        self._end = end

    def progress(self, *_: Any, **__: Any) -> None:
        pass

    async def run(self, *_: Any, **__: Any) -> Any:
        raise self._end


class Deploying(DagFiles):
    """Deploys without a database or a bundle; what comes after the files are in place ends as it is told."""

    def __init__(self, end: BaseException) -> None:
        super().__init__(cast("Any", None), Bounds(10, 1000), CheckLimits())
        self._end = end
        self._writer = cast("Any", self)

    async def write(self, *_: Any, **__: Any) -> Written:
        return Written("a deployment", {"a.py": "added"}, interrupted=False)

    async def _keep_dags(self, *_: Any) -> None:
        pass

    async def _go_live(self, *_: Any) -> None:
        raise self._end


def place(folder: Path) -> BundleFolder:
    return BundleFolder(BundleInfo("b", "local", folder, True, None), folder, "")


AWAY = OperationalError("SELECT secret", {"x": "a value"}, Exception("connection to db.internal refused"))
ENDS = [
    (asyncio.CancelledError(), "the operation was ended while it waited."),
    (AWAY, f"what came then failed: {Unavailable.message}"),
    (ValueError("a value"), "what came then failed: ValueError"),
    (Busy(), f"what came then failed: {Busy().message}"),
]


@pytest.mark.parametrize(("end", "words"), ENDS)
def test_what_comes_after_a_deployment_is_a_warning_that_says_nothing_of_the_inside(
    tmp_path: Path, end: BaseException, words: str
) -> None:
    order = DeploymentOrder(place(tmp_path), Received(Bounds(10, 1000), ""), "somebody", validate=False)
    result = asyncio.run(Deploying(end).deploy(cast("Any", Work(end)), order))
    assert result["deployment"] == "a deployment"
    assert result["warnings"] == [f"The files are in place; {words}"]


@pytest.mark.parametrize(("end", "words"), ENDS)
def test_a_deletion_is_reported_whatever_comes_of_the_records(
    tmp_path: Path, end: BaseException, words: str
) -> None:
    result = asyncio.run(
        Deploying(end).delete(cast("Any", Work(end)), place(tmp_path), "a.py", "somebody", ["a_dag"])
    )
    assert result["deployment"] == "a deployment"
    assert result["warnings"] == [f"The file is deleted; {words}"]


def test_a_refresh_without_the_database_says_that_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_database(*_: Any, **__: Any) -> None:
        raise AWAY

    monkeypatch.setattr(refresh, "bring_up_to_date", no_database)
    works = DagFileWorks(dag_files(), cast("Any", None), 1000)
    work = works.refresh([("b", "a.py")], wait=True, locally=True)
    with pytest.raises(Refused) as refused:
        asyncio.run(work.here(cast("Any", Work(AWAY))))
    problem = cast("Any", refused.value.result)["problem"]
    assert (problem["status"], problem["message"]) == (503, Unavailable.message)
