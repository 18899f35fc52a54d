"""The check of DAG files: a child that cannot write, and one whose result is not believed beyond its form."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.dag_processor import container
from airflow_rest_api.dag_files import check as checks
from airflow_rest_api.dag_files.bundles import BundleFolder, BundleInfo
from airflow_rest_api.dag_files.check import (
    LONGEST_TEXT,
    CheckLimits,
    Findings,
    FoundDag,
    check,
    duplicates,
    findings,
)
from airflow_rest_api.dag_files.upload import Bounds, Received
from airflow_rest_api.engine.job import Ending, Outcome
from airflow_rest_api.errors import ApiError, CheckFailed
from airflow_rest_api.operations.runs import Finished
from tests.small_disk import FULL, small_disk


class Child:
    """Runs no child, but does to the disk what one has done that has failed."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act

    async def run(self, job: object) -> Finished:
        self.act()
        return Finished(Outcome(Ending.EXITED, 1), "", "")

    def say(self, text: str, stream: str = "stdout") -> None:
        pass


def looked_into(disk: Path, root: Path, act: Callable[[], None]) -> Any:
    received = Received(Bounds(10, 10_000), "", disk)
    received.add("a.py", io.BytesIO(b"x = 1\n"))
    place = BundleFolder(BundleInfo("dags", "local", root, True, None), root, "")
    return asyncio.run(check(cast("Any", Child(act)), place, received, CheckLimits()))


@pytest.mark.parametrize("how", FULL)
def test_a_check_without_room_is_told_why(tmp_path: Path, how: str) -> None:
    with small_disk(tmp_path / "small") as disk:
        with pytest.raises(ApiError) as caught:
            looked_into(disk, tmp_path, lambda: FULL[how](disk))
        assert (caught.value.status, caught.value.detail["reason"]) == (507, "no_space")


def test_what_a_check_found_is_read_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noted(*said: Any) -> Findings:
        threads.append(threading.current_thread())
        return findings(*said)

    def write() -> None:
        [folder] = tmp_path.rglob("found")
        (folder / "result.json").write_text(json.dumps({"files": {"a.py": {}}}))

    monkeypatch.setattr(checks, "findings", noted)
    assert looked_into(tmp_path, tmp_path, write).files == ["a.py"]
    assert threads
    assert threading.main_thread() not in threads


def test_a_check_that_did_not_come_to_its_end_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="exit code 1"):
        looked_into(tmp_path, tmp_path, lambda: None)


@pytest.mark.parametrize("said", [{}, {"files": {}, "ignored": []}, {"files": {"b.py": {}}}, [], None])
def test_a_file_about_which_a_check_says_nothing_is_not_a_good_one(tmp_path: Path, said: Any) -> None:
    def write() -> None:
        [folder] = tmp_path.rglob("found")
        (folder / "result.json").write_text(json.dumps(said))

    with pytest.raises(CheckFailed):
        looked_into(tmp_path, tmp_path, write)


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "x",
        1,
        {},
        {"files": []},
        {"files": {"other.py": {"dags": [{"dag_id": "x"}]}}},
        {"ignored": [1]},
    ],
)
def test_nonsense_is_nothing(said: Any) -> None:
    assert findings(said, ["a.py"]) == Findings()


def test_a_finding_has_the_types_that_it_should_have() -> None:
    said = {
        "files": {
            "a.py": {
                "dags": [{"dag_id": 7, "tasks": [1, "t"], "schedule": None, "tags": "x"}, "no dag"],
                "errors": [{"line": "3", "message": ["x"]}, {"line": True, "message": "m" * 10_000}],
                "warnings": ["w", 2, "\ud800"],
            }
        },
        "ignored": ["b.py", "elsewhere.py"],
    }
    found = findings(said, ["a.py", "b.py"])
    assert [(dag.dag_id, dag.tasks, dag.schedule, dag.tags) for dag in found.dags] == [
        ("", ["t"], "", []),
        ("", [], "", []),
    ]
    assert [error.line for error in found.errors] == [None, None]
    assert [len(error.message) for error in found.errors] == [0, LONGEST_TEXT]
    assert found.warnings == ["w", "?", "b.py: an .airflowignore has Airflow pass over it."]
    assert found.files == ["a.py"]


@pytest.mark.parametrize("archive", ["Packed.ZIP", "packed.egg"])
def test_a_dag_in_an_archive_of_any_name_is_taken_over_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: str
) -> None:
    # Airflow knows an archive by its content.
    (tmp_path / archive).touch()
    owner = ("dags", container(f"{archive}/mod.py"))
    monkeypatch.setattr(dag_processor, "owners", lambda dag_ids: dict.fromkeys(dag_ids, owner))

    def found(file: str) -> list[str]:
        dags = [FoundDag("a", file)]
        work = duplicates("dags", dags, tmp_path, [file], lambda bundle, path: True)
        return [one.owner for one in asyncio.run(work)]

    assert found("mine.py") == [f"dags:{owner[1]}"]
    (tmp_path / archive).unlink()
    assert found("mine.py") == []


def test_an_archive_whose_ending_is_in_capitals_is_deployed_again() -> None:
    assert container("Packed.ZIP/mod.py") == "Packed.ZIP"
    assert container("a.zip/b.zip/mod.py") == "a.zip"
    assert container("zip/mod.py") == "zip/mod.py"
