"""The bundles whose files are parsed without a DAG processor; what is found in these: `test_refresh.py`."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow.compat import dags
from airflow_rest_api.dag_files.child import parse

pytestmark = pytest.mark.airflow


class Bundle:
    """A bundle that says what is done with it, and has another version each time it is prepared."""

    def __init__(self, said: list[str], root: Path, fault: str) -> None:
        self._said = said
        self._fault = fault
        self._root = root

    @property
    def path(self) -> Path:
        if self._fault == "path":
            raise RuntimeError("it has no path")
        return self._root

    def initialize(self) -> None:
        self._said.append("initialize")
        if self._fault == "initialize":
            raise RuntimeError("it cannot be cloned")

    def get_current_version(self) -> str:
        self._said.append("version")
        if self._fault == "version":
            raise RuntimeError("it has no version")
        return str(self._said.count("initialize"))


class Bundles:
    """Airflow's manager of bundles, each in the folder of its name; in one named `bad` something is amiss."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.said: list[str] = []
        self.fault = ""

    def __call__(self) -> Bundles:
        return self

    def sync_bundles_to_db(self) -> None:
        self.said.append("sync")

    def get_bundle(self, name: str) -> Bundle:
        return Bundle(self.said, self._root / name, self.fault if name == "bad" else "")


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundles:
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.py").write_text("x = 1\n")
    made = Bundles(tmp_path)
    monkeypatch.setattr("airflow.dag_processing.bundles.manager.DagBundlesManager", made)
    return made


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that names, line by line, what has been stored: bundle, file and version."""
    stored = tmp_path / "stored"
    stored.touch()

    def store(bag: Any, name: str, version: Any, session: Any) -> None:
        with stored.open("a") as lines:
            lines.write(f"{name} {bag} {version}\n")

    monkeypatch.setattr(dags, "bag_of_file", lambda file, *_: Path(file).name)
    monkeypatch.setattr(dags, "store", store)
    return stored


def parsed(tmp_path: Path, files: list[tuple[str, str]]) -> tuple[int, Any]:
    result = tmp_path / "result.json"
    code = parse.main([json.dumps({"files": files, "result": str(result)})])
    return code, json.loads(result.read_text())


GOOD = [("good", f"{number}.py") for number in range(3)]
BAD = [("bad", f"{number}.py") for number in range(3)]


@pytest.mark.parametrize("how", ["in forks", "here"])
def test_a_bundle_is_prepared_once_for_all_of_its_files_and_they_have_its_version(
    bundles: Bundles, stored: Path, tmp_path: Path, how: str
):
    if how == "in forks":
        assert parsed(tmp_path, GOOD) == (0, [None] * 3)
    else:
        assert parse.parse_files(GOOD) == {}

    assert Counter(bundles.said) == {"sync": 1, "initialize": 1, "version": 1}
    assert stored.read_text() == "good 0.py 1\ngood 1.py 1\ngood 2.py 1\n"


@pytest.mark.parametrize("fault", ["initialize", "path", "version", ".airflowignore"])
def test_a_bundle_in_trouble_keeps_the_files_of_no_other_from_being_parsed(
    bundles: Bundles, stored: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str
):
    bundles.fault = fault
    if fault == ".airflowignore":
        (tmp_path / "bad" / fault).write_bytes(b"\xff")
    files = [BAD[0], *GOOD, *BAD[1:]]

    assert parsed(tmp_path, files) == (1, ["", None, None, None, "", ""])

    assert [line.split()[:2] for line in stored.read_text().splitlines()] == [[*file] for file in GOOD]
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("fault", ["initialize", "path", ".airflowignore"])
def test_where_files_are_parsed_here_a_bundle_in_trouble_is_an_error(
    bundles: Bundles, stored: Path, tmp_path: Path, fault: str
):
    bundles.fault = fault
    if fault == ".airflowignore":
        (tmp_path / "bad" / fault).write_bytes(b"\xff")

    # Nobody looks for a sentence there: a DAG that was not refreshed must not pass for one that was.
    with pytest.raises((RuntimeError, ValueError)):
        parse.parse_files(BAD)
    assert stored.read_text() == ""


def test_what_is_no_file_is_not_opened(bundles: Bundles, stored: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "good" / "pipe.py")
    (tmp_path / "good" / "folder.py").mkdir()
    files = [("good", "pipe.py"), ("good", "folder.py"), GOOD[0]]

    assert parsed(tmp_path, files) == (0, ["pipe.py is not there.", "folder.py is not there.", None])
    assert stored.read_text() == "good 0.py 1\n"
