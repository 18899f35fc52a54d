"""What is found in DAG files by the child that parses them, in a process as the engine's is."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_2_PLUS
from airflow_rest_api.dag_files.check import FoundDag, duplicates
from airflow_rest_api.dag_files.child import check
from airflow_rest_api.dag_files.child.worker import CheckOrder
from tests.processes import in_child
from tests.standin import rows_of_airflow

pytestmark = pytest.mark.airflow

DAG = """
from airflow.sdk import DAG, Connection, Variable
from airflow.providers.standard.operators.empty import EmptyOperator
{before}
with DAG({dag_id!r}, schedule=None):
    EmptyOperator(task_id="t")
"""

Looked = Callable[[Mapping[str, str | bytes]], Any]


@pytest.fixture
def looked(tmp_path: Path) -> Looked:
    """Checks files over those of the folder `dags`, and returns what was found."""

    def look(files: Mapping[str, str | bytes]) -> Any:
        view, received = tmp_path / "view" / "dags", tmp_path / "received"
        for folder in (view, received):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        (tmp_path / "dags").mkdir(exist_ok=True)
        contents = {}
        for number, (path, text) in enumerate(files.items()):
            contents[path] = str(received / str(number))
            Path(contents[path]).write_bytes(text if isinstance(text, bytes) else text.encode())
        result = tmp_path / "result.json"
        order = CheckOrder(
            root=str(tmp_path / "dags"),
            bundle="dags-folder",
            view=str(view),
            files=contents,
            timeout=60,
            memory=0,
            result=str(result),
        )
        assert in_child(lambda: check.main([json.dumps(asdict(order))])) == 0
        return json.loads(result.read_text())

    return look


def written(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def messages(found: Any) -> dict[str, list[str]]:
    """Return the errors by file."""
    return {path: [error["message"] for error in one["errors"]] for path, one in found["files"].items()}


@pytest.fixture
def _stored() -> Iterator[None]:
    """A variable and a connection in the database alone."""
    from airflow.models import Connection, Variable

    connection = Connection(conn_id="of_check", conn_type="http", host="h")
    with rows_of_airflow(Variable(key="of_check", val="1"), connection):
        yield


@pytest.mark.usefixtures("_stored")
def test_a_file_reads_variables_and_connections_of_the_database_as_in_the_dag_processor(looked: Looked):
    asked = {
        "variable.py": 'assert Variable.get("of_check") == "1"',
        "default.py": 'assert Variable.get("no_such", default="none") == "none"',
        "models.py": 'from airflow.models import Variable as V; assert V.get("of_check") == "1"',
        "connection.py": 'assert Connection.get("of_check").host == "h"',
        "missing.py": 'Variable.get("no_such")',
    }
    found = looked({name: DAG.format(dag_id=name[:-3], before=line) for name, line in asked.items()})

    [missing] = messages(found).pop("missing.py")
    assert "VARIABLE_NOT_FOUND" in missing
    assert {path: errors for path, errors in messages(found).items() if errors}.keys() == {"missing.py"}


SIBLING = "import os, sys; sys.path.insert(0, os.path.dirname(__file__)); from helpers import {name}"


def test_each_file_is_parsed_on_its_own_as_in_the_dag_processor(looked: Looked):
    found = looked(
        {
            "a/dag.py": DAG.format(dag_id="a", before=SIBLING.format(name="A")),
            "a/helpers.py": "A = 1\n",
            "b/dag.py": DAG.format(dag_id="b", before=SIBLING.format(name="B")),
            "b/helpers.py": "B = 1\n",
            # What one before it has put on the path does not make up for what this one leaves out.
            "c/dag.py": DAG.format(dag_id="c", before="from helpers import A"),
        }
    )

    [missing] = messages(found).pop("c/dag.py")
    assert "No module named 'helpers'" in missing
    assert [path for path, errors in messages(found).items() if errors] == ["c/dag.py"]


def test_what_files_import_of_airflow_is_there_before_the_first_of_them_as_in_the_dag_processor(
    looked: Looked, monkeypatch: pytest.MonkeyPatch
):
    module = "airflow.providers.standard.operators.latest_only"
    ahead = f"import sys; there = {module!r} in sys.modules; import {module}; assert there"
    files = {
        "ahead.py": DAG.format(dag_id="ahead", before=ahead),
        "missing.py": DAG.format(dag_id="missing", before="import airflow.no_such_module"),
    }
    with monkeypatch.context() as patch:
        patch.setenv("AIRFLOW__DAG_PROCESSOR__PARSING_PRE_IMPORT_MODULES", "False")
        patch.delitem(sys.modules, module, raising=False)
        assert [path for path, errors in messages(looked(files)).items() if errors] == [*files]
    assert [path for path, errors in messages(looked(files)).items() if errors] == ["missing.py"]


def test_a_file_that_ends_its_process_keeps_no_other_from_being_checked(looked: Looked):
    found = looked(
        {
            "a.py": DAG.format(dag_id="a", before="import os; os._exit(3)"),
            "b.py": DAG.format(dag_id="b", before=""),
        }
    )

    assert messages(found) == {"a.py": ["it ended the process that parsed it, with exit code 3"], "b.py": []}
    assert [dag["dag_id"] for dag in found["files"]["b.py"]["dags"]] == ["b"]


@pytest.mark.parametrize("fault", ["[z-a]\n", "!\n"])
def test_an_airflowignore_at_which_airflow_fails_is_named(looked: Looked, fault: str):
    good = {"a/.airflowignore": "b.py\n", "a/b.py": "not = = python"}
    found = looked({**good, "c/.airflowignore": fault, "d.py": DAG.format(dag_id="d", before="")})

    [message] = messages(found).pop("c/.airflowignore")
    assert message.startswith("Airflow cannot read it: ")
    assert list(found["files"]) == ["c/.airflowignore"]
    # So it is of all files there.
    assert found["ignored"] == ["a/b.py", "d.py"]


@pytest.mark.skipif(not AIRFLOW_V_3_2_PLUS, reason="Airflow looks for what varies since 3.2")
@pytest.mark.parametrize("level", ["error", "warning", "off"])
def test_a_dag_that_is_another_one_at_each_parse_is_what_the_dag_processor_takes_it_for(
    looked: Looked, monkeypatch: pytest.MonkeyPatch, level: str
):
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL", level)
    imports = "from datetime import datetime\nfrom airflow.sdk import DAG\n"
    varies = f'{imports}dag = DAG("v", start_date=datetime.now())\n'
    [one] = looked({"varies.py": varies})["files"].values()

    assert any("datetime.now()" in error["message"] for error in one["errors"]) is (level == "error")
    assert any("datetime.now()" in warning for warning in one["warnings"]) is (level == "warning")
    assert bool(one["dags"]) is (level != "error")


def test_what_is_parsed_is_what_airflow_looks_for_dags_in(looked: Looked, tmp_path: Path):
    from airflow.utils.file import list_py_file_paths

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.py", DAG.format(dag_id="packed", before=""))
    plain = DAG.format(dag_id="plain", before="")
    files = {
        "a.py": plain,
        "B.PY": plain,
        "c.txt": plain,
        "d.zip": packed.getvalue(),
        "e.egg": packed.getvalue(),
    }
    (tmp_path / "there").mkdir()
    for name, content in files.items():
        (tmp_path / "there" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    listed = {Path(path).name for path in list_py_file_paths(str(tmp_path / "there"))}
    if AIRFLOW_V_3_2_PLUS:
        # It is listed, and no importer takes it.
        listed.discard("e.egg")

    found = looked(files)["files"]
    assert found.keys() == listed
    assert [len(one["dags"]) for one in found.values()] == [1] * len(listed)


def test_an_archive_of_any_name_is_deployed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(dag_processor, "owners", lambda ids: dict.fromkeys(ids, ("dags", "e.egg/inside.py")))
    work = duplicates("dags", [FoundDag("packed", "e.egg")], tmp_path, ["e.egg"], lambda *_: True)
    assert asyncio.run(work) == []


@pytest.mark.parametrize("safe", ["True", "False"])
def test_what_airflow_does_not_look_at_is_not_uncovered(
    looked: Looked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, safe: str
):
    from airflow_rest_api.airflow.compat.dags import list_files

    monkeypatch.setenv("AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE", safe)
    old = tmp_path / "dags" / "old"
    texts = {
        ".airflowignore": "*\n",
        "dag.py": DAG.format(dag_id="dag", before=""),
        "python2.py": "print 'no D-A-G'\n",
        "broken.zip": "airflow dag",
    }
    written(old, texts)
    (old / ".#dag.py").symlink_to("me@host.1234:1")
    (old / "linked.py").symlink_to(old / "dag.py")
    (old / "folder.py").mkdir()
    os.mkfifo(old / "pipe.py")
    os.mkfifo(old / "pipe.zip")

    found = looked({"old/.airflowignore": ""})

    (old / ".airflowignore").unlink()
    listed = [Path(path).name for path in list_files()(str(old), safe_mode=safe == "True")]
    assert [Path(path).name for path in found["uncovered"]] == sorted(listed)
    assert ("python2.py" in listed) is (safe == "False")
    assert {"dag.py", "linked.py"} <= set(listed)


def test_a_file_of_which_airflow_cannot_say_whether_it_has_dags_is_not_passed_over(
    looked: Looked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from airflow.utils import file as airflows

    monkeypatch.setattr(airflows, "might_contain_dag", lambda *_: 1 / 0)
    written(tmp_path / "dags", {".airflowignore": "a.py\n", "a.py": "x = 1\n"})

    found = looked({".airflowignore": ""})
    assert found["uncovered"] == ["a.py"]
    assert "ZeroDivisionError" in messages(found)["a.py"][0]


def test_nothing_but_a_file_is_looked_into_for_an_archive(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert in_child(lambda: (signal.alarm(20), check.is_parsed("a.PY", tmp_path / "pipe"))[1]) == 0
