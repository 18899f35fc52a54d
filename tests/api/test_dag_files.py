"""DAG files over the API: a real engine, a bundle of the test's own, no Airflow but its tables."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_rest_api.dag_files import reading
from tests.deploying import BUNDLE, DAG, LOCAL, Site, about, dag, deploying

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

IMPORTS = "from airflow.sdk import DAG\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    fresh = {"fresh": {"classpath": LOCAL, "kwargs": {"path": str(folder / "fresh")}}}
    with deploying(folder, more=fresh, dag_check_timeout=20, dag_versions_kept=5) as site:
        yield site


@pytest.fixture
def folder(site: Site, request: pytest.FixtureRequest) -> str:
    """A folder of the bundle that no other test uses."""
    return f"{request.node.originalname}_{abs(hash(request.node.name)) % 10**8}"


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def inside(site: Site, folder: str) -> dict[str, bytes]:
    return {
        path.removeprefix(f"{folder}/"): content
        for path, content in site.state().items()
        if path.startswith(f"{folder}/")
    }


def test_the_first_deployment_makes_the_folder_of_its_bundle(site: Site) -> None:
    folder = site.root.parent / "fresh"
    assert site.client.get("/v2/dag-files?bundle=fresh").json()["files"] == []
    checked = site.deploy({"first.py": dag("first_of_all_there")}, to="/check", bundle="fresh")
    assert [found["dag_id"] for found in checked.json()["result"]["dags"]] == ["first_of_all_there"]
    assert not folder.exists()

    assert (
        site.report({"first.py": dag("first_of_all_there")}, bundle="fresh")["files"][0]["change"] == "added"
    )
    assert (folder / "first.py").read_bytes() == dag("first_of_all_there")
    assert folder.stat().st_mode == folder.parent.stat().st_mode


def found(report: Any, what: str = "dag_id") -> set[Any]:
    return {one[what] for one in report["dags"]}


def steps(site: Site, identifier: str) -> list[str]:
    """The steps of an operation's progress."""
    text = site.client.get(f"/v2/operations/{identifier}/events").text
    return [line.split('"step":', 1)[1].split('"')[1] for line in text.splitlines() if '"step":' in line]


# ---------------------------------------------------------------- what is deployed


def test_a_file_is_deployed_and_its_dag_is_there(site: Site, folder: str) -> None:
    answer = site.deploy({"one.py": dag("plain", "@daily")}, folder=folder, wait=True, unpause=True)
    assert answer.status_code == 200, answer.text
    report = answer.json()["result"]
    [one] = report["dags"]
    assert one == {
        "dag_id": "plain",
        "file": f"{folder}/one.py",
        "tasks": ["first", "second"],
        "schedule": "0 0 * * *",
        "tags": ["one", "two"],
        "version": 1,
    }
    assert (report["errors"], report["duplicates"], report["dry_run"]) == ([], [], False)
    assert inside(site, folder) == {"one.py": dag("plain", "@daily")}
    seen = steps(site, answer.json()["id"])
    assert [step for step in seen if step in ("received", "checked", "written", "parsed", "ready")] == [
        "received",
        "checked",
        "written",
        "parsed",
        "ready",
    ]
    assert paused("plain") is False


def paused(dag_id: str) -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        model = session.get(DagModel, dag_id)
        assert model is not None
        return bool(model.is_paused)


def test_every_dag_of_the_files_is_paused_or_resumed(site: Site, folder: str) -> None:
    files = {"a.py": dag("state_a") + dag("state_b"), "c.py": dag("state_c")}
    for field, expected in (("unpause", False), ("pause", True)):
        site.report(files, folder=folder, overwrite=True, **{field: True})
        assert [paused(f"state_{letter}") for letter in "abc"] == [expected] * 3


def test_several_files_are_one_deployment(site: Site, folder: str) -> None:
    files = {"dags/a.py": dag("several_a"), "lib/helper.py": b"x = 1\n", "data/größe 数.csv": b"\xff\0"}
    report = site.report(files, folder=folder)
    assert inside(site, folder) == files
    assert {one["change"] for one in report["files"]} == {"added"}
    detail = site.client.get(f"/v2/dag-files/deployments/{report['deployment']}").json()
    assert [one["path"] for one in detail["files"]] == sorted(f"{folder}/{name}" for name in files)
    assert (detail["kind"], detail["user"], detail["count"]) == ("deploy", "admin", 3)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_project_comes_as_an_archive_with_its_modules(site: Site, folder: str, kind: str) -> None:
    code = (
        f"from {folder}.lib.helper import NAME\n".encode()
        + DAG.replace("{0!r}", "NAME").format("", None).encode()
    )
    files = {"dags/a.py": code, "lib/helper.py": f"NAME = 'from_{kind[:3]}'\n".encode(), "lib/x.json": b"{}"}
    content = zipped(files) if kind == "zip" else tarred(files)
    report = site.report(archive=(f"project.{kind}", content), folder=folder)
    assert found(report) == {f"from_{kind[:3]}"}
    assert inside(site, folder) == files


def test_modules_of_the_bundle_are_found_and_the_new_ones_come_first(site: Site, folder: str) -> None:
    name = f"shared_{folder}"
    code = f"import {name}\n".encode() + DAG.replace("{0!r}", f"{name}.ID").format("", None).encode()
    site.report({f"{name}.py": b"ID = 'of_the_old_module'\n"})
    assert found(site.report({f"{folder}/a.py": code})) == {"of_the_old_module"}
    both = {f"{name}.py": b"ID = 'of_the_new_module'\n", f"{folder}/a.py": code}
    assert found(site.report(both, to="/check")) == {"of_the_new_module"}
    assert found(site.report(both, overwrite=True)) == {"of_the_new_module"}


def test_500_files_are_one_deployment(site: Site, folder: str) -> None:
    files = {f"d/{number:03}.py": dag(f"many_{number}") for number in range(500)}
    report = site.report(archive=("many.tar.gz", tarred(files)), folder=folder)
    assert len(report["dags"]) == 500
    assert inside(site, folder) == files
    detail = site.client.get(f"/v2/dag-files/deployments/{report['deployment']}").json()
    assert len(detail["files"]) == 500


def test_50_deployments_at_once_are_ordered(site: Site, folder: str) -> None:
    contents = [f"x = {number}\n".encode() * 500 for number in range(50)]

    def one(content: bytes) -> int:
        files = {"same.py": content, "other.py": content}
        return int(
            site.deploy(files, folder=folder, overwrite=True, headers={"Prefer": "wait=500"}).status_code
        )

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, contents)) == [200] * 50
    now = inside(site, folder)
    # The two files of one deployment, not of two.
    assert now["same.py"] == now["other.py"]
    assert now["same.py"] in contents
    versions = site.client.get(about(f"{folder}/same.py", "history")).json()["versions"]
    assert [one["version"] for one in versions] == [50, 49, 48, 47, 46]
    newest = site.client.get(about(f"{folder}/same.py")).json()
    assert (newest["changed_outside"], newest["deployed"]["version"]) == (False, 50)


def test_a_file_that_is_there_is_replaced_only_when_asked_to(site: Site, folder: str) -> None:
    site.report({"a.py": dag("there")}, folder=folder)
    again = site.report({"a.py": dag("there")}, folder=folder)
    assert [one["change"] for one in again["files"]] == ["unchanged"]
    assert again["deployment"] is None
    refused = site.deploy({"a.py": b"other = 1\n", "b.py": b""}, folder=folder)
    assert (refused.status_code, refused.json()["detail"]["reason"]) == (409, "exists")
    assert inside(site, folder) == {"a.py": dag("there")}
    changed = site.report({"a.py": b"other = 1\n"}, folder=folder, overwrite=True)
    assert [one["change"] for one in changed["files"]] == ["changed"]


def test_the_same_request_twice_is_done_once(site: Site, folder: str) -> None:
    headers = {"Prefer": "wait=200", "Idempotency-Key": f"key-{folder}"}
    first = site.deploy({"a.py": b"a = 1\n"}, folder=folder, headers=headers)
    again = site.deploy({"a.py": b"a = 1\n"}, folder=folder, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = site.deploy({"a.py": b"a = 2\n"}, folder=folder, headers=headers)
    assert (other.status_code, other.json()["detail"]["reason"]) == (409, "idempotency_conflict")


def test_the_same_key_for_another_file_brings_back_neither(site: Site, folder: str) -> None:
    for content in (b"x = 1\n", b"x = 2\n"):
        site.report({"a.py": content, "b.py": content}, folder=folder, overwrite=True)
    headers = {"Prefer": "wait=200", "Idempotency-Key": f"back-{folder}"}
    one, other = (
        site.client.post(about(f"{folder}/{name}", "rollback"), json={"version": 1}, headers=headers)
        for name in ("a.py", "b.py")
    )
    assert one.json()["state"] == "succeeded", one.text
    assert (other.status_code, other.json()["detail"]["reason"]) == (409, "idempotency_conflict")
    assert inside(site, folder) == {"a.py": b"x = 1\n", "b.py": b"x = 2\n"}


def test_who_does_not_wait_finds_the_report_in_the_operation(site: Site, folder: str) -> None:
    answer = site.deploy({"a.py": b"def x(:\n"}, folder=folder, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    ended = site.client.get(f"/v2/operations/{answer.json()['id']}", headers={"Prefer": "wait=200"}).json()
    assert ended["state"] == "failed"
    assert ended["result"]["problem"]["reason"] == "import_errors"
    assert ended["result"]["errors"][0]["line"] == 1


# ---------------------------------------------------------------- what is found in the files

BROKEN = {
    "syntax": (b"from airflow.sdk import DAG\ndef broken(:\n", 2, "SyntaxError"),
    "not even a dag": (b"x = = 1\n", 1, "SyntaxError"),
    "missing": (f"{IMPORTS}import not_there_at_all\n".encode(), 2, "No module named 'not_there_at_all'"),
    "exit": (f"{IMPORTS}import sys\nsys.exit(3)\n".encode(), 3, "SystemExit: 3"),
    "hard exit": (f"{IMPORTS}import os\nos._exit(0)\n".encode(), None, "exit code 0"),
    "killed": (f"{IMPORTS}import os\nos.kill(os.getpid(), 9)\n".encode(), None, "SIGKILL"),
    "loop": (
        f"{IMPORTS}while True:\n  try:\n    1\n  except BaseException: pass\n".encode(),
        None,
        "after 20 s",
    ),
    "memory": (f"{IMPORTS}x = bytearray(4 * 2**30)\n".encode(), 2, "MemoryError"),
    "interrupt": (f"{IMPORTS}raise KeyboardInterrupt\n".encode(), 2, "KeyboardInterrupt"),
    "not utf-8": (IMPORTS.encode() + b"x = '\xff'\n", None, "utf-8"),
    "nul": (IMPORTS.encode() + b"x = 1\0\n", None, "null bytes"),
    "nested": (IMPORTS.encode() + b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", None, ""),
    "cycle": (
        dag("cyclic") + b"    a = EmptyOperator(task_id='a')\n    a >> a\n",
        None,
        "",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said_with_its_line_and_nothing_is_written(
    site: Site, folder: str, name: str
) -> None:
    content, line, words = BROKEN[name]
    answer = site.deploy({"good.py": dag(f"beside_{folder}"), "bad file.py": content}, folder=folder)
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    assert detail["reason"] == "import_errors"
    [error] = detail["report"]["errors"]
    assert error["file"] == f"{folder}/bad file.py"
    assert words in error["message"]
    if line is not None:
        assert error["line"] == line
    # The other file was looked into all the same.
    assert found(detail["report"]) == {f"beside_{folder}"}
    assert inside(site, folder) == {}
    assert str(site.root) not in answer.text.replace(detail.get("id", ""), "")
    assert "/tmp/" not in detail["message"]


CHECKERS_END = {
    "by the file": f"{IMPORTS}import os\nos.kill(os.getppid(), 9)\n".encode(),
    "before the file": dag("never_looked_into"),
}


# A file that ends its checker cannot be deployed to be brought back: it would end what parses it, too.
@pytest.mark.parametrize(
    ("way", "how"),
    [
        *((way, how) for way in ("file", "archive", "check") for how in CHECKERS_END),
        ("rollback", "before the file"),
    ],
)
def test_without_an_answer_of_the_check_nothing_is_written_even_where_invalid_files_may_be(
    site: Site, folder: str, how: str, way: str
) -> None:
    content = CHECKERS_END[how]
    if way == "rollback":
        site.report({"a.py": content}, folder=folder, validate=False)
        site.report({"a.py": b"x = 1\n"}, folder=folder, overwrite=True)
    if how == "before the file":
        # Airflow fails at it when it is asked which files it passes over.
        (site.root / folder).mkdir(exist_ok=True)
        (site.root / folder / ".airflowignore").write_text("!\n")
    before = inside(site, folder)

    if way == "rollback":
        answer = site.client.post(
            about(f"{folder}/a.py", "rollback"), json={"version": 1}, headers={"Prefer": "wait=200"}
        )
    elif way == "archive":
        packed = ("a.zip", zipped({f"{folder}/a.py": content}))
        answer = site.deploy(archive=packed, force_invalid=True)
    else:
        to, flags = ("/check", {}) if way == "check" else ("", {"force_invalid": True})
        answer = site.deploy({"a.py": content}, folder=folder, to=to, **flags)
    said = answer.json()
    problem = said["detail"] if answer.status_code != 200 else said["result"]["problem"]
    assert (answer.status_code, problem["reason"]) == (422, "check_failed"), answer.text
    assert "Nothing was written" in problem["message"]
    assert inside(site, folder) == before


def test_a_module_that_is_broken_is_named(site: Site, folder: str) -> None:
    files = {"a.py": f"{IMPORTS}\nimport {folder}.lib\n".encode(), "lib.py": b"x = 1\ny = 1 / 0\n"}
    report = site.deploy(files, folder=folder).json()["detail"]["report"]
    [error] = report["errors"]
    assert (error["file"], error["line"]) == (f"{folder}/a.py", 3)
    assert error["message"] == f"ZeroDivisionError: division by zero ({folder}/lib.py, line 2)"


def test_invalid_files_are_written_when_that_is_wanted(site: Site, folder: str) -> None:
    report = site.report({"a.py": b"x = = 1\n"}, folder=folder, force_invalid=True)
    assert [error["line"] for error in report["errors"]] == [1]
    assert inside(site, folder) == {"a.py": b"x = = 1\n"}


def test_files_are_written_unseen_when_that_is_wanted(site: Site, folder: str) -> None:
    report = site.report({"a.py": b"x = = 1\n"}, folder=folder, validate=False)
    assert (report["errors"], report["dags"]) == ([], [])
    assert inside(site, folder) == {"a.py": b"x = = 1\n"}


GOOD = {
    "two": (dag("two_a") + dag("two_b"), {"two_a", "two_b"}),
    "with, no name": (dag("unnamed"), {"unnamed"}),
    "dynamic": (
        f"{IMPORTS}for n in '012':\n  globals()['d' + n] = DAG('dynamic_' + n, schedule=None)\n".encode(),
        {"dynamic_0", "dynamic_1", "dynamic_2"},
    ),
    "crlf": (dag("crlf").replace(b"\n", b"\r\n"), {"crlf"}),
    "bom": (b"\xef\xbb\xbf" + dag("bom"), {"bom"}),
    "latin-1": ("# coding: latin-1\nx = 'é'\n".encode("latin-1") + dag("latin"), {"latin"}),
    "noisy": (b"print('noise'); print('{\"dags\": []}')\n" + dag("noisy"), {"noisy"}),
    "decorated": (
        b"from airflow.sdk import dag, task\n@dag(schedule=None)\ndef decorated():\n    pass\ndecorated()\n",
        {"decorated"},
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_dags_are_found_however_they_are_written(site: Site, folder: str, name: str) -> None:
    content, expected = GOOD[name]
    report = site.report({"my dag größe.py": content}, folder=folder, to="/check")
    assert found(report) == expected
    assert report["errors"] == []
    assert inside(site, folder) == {}


def test_a_packaged_dag_is_looked_into(site: Site, folder: str) -> None:
    report = site.report({"packed.zip": zipped({"in_it.py": dag("packaged")})}, folder=folder)
    assert found(report) == {"packaged"}
    assert set(inside(site, folder)) == {"packed.zip"}


def test_no_dag_at_all_is_a_warning(site: Site, folder: str) -> None:
    report = site.report({"a.py": IMPORTS.encode()}, folder=folder)
    assert any("defines no DAG" in warning for warning in report["warnings"])
    report = site.report({"b.py": b"x = 1\n"}, folder=folder)
    assert "No DAG was found in the files." in report["warnings"]


def test_a_file_that_writes_into_the_bundle_while_it_is_checked_is_kept_from_it(
    site: Site, folder: str
) -> None:
    victim = site.root / "victim.py"
    victim.write_text("precious")
    target = str(site.root)
    code = (
        f"{IMPORTS}import os, pathlib\n"
        "for act in (\n"
        f"    lambda: open({target!r} + '/planted.py', 'w'),\n"
        f"    lambda: os.remove({target!r} + '/victim.py'),\n"
        "    lambda: pathlib.Path(__file__).with_name('beside.py').write_text('x'),\n"
        "):\n"
        "    try:\n        act()\n    except OSError:\n        pass\n"
    )
    report = site.report({"a.py": code.encode() + dag("writer")}, folder=folder, to="/check")
    assert any("writes into its bundle" in warning for warning in report["warnings"])
    assert found(report) == {"writer"}
    assert victim.read_text() == "precious"
    assert not (site.root / "planted.py").exists()
    victim.unlink()


def test_a_file_runs_in_a_folder_of_its_own(site: Site, folder: str) -> None:
    code = b"import os\nNAMES = os.listdir()\nassert NAMES == [], NAMES\n"
    report = site.report({"a.py": code + dag("own_folder")}, folder=folder, to="/check")
    assert report["errors"] == []


def test_dags_that_other_files_define_are_refused(site: Site, folder: str) -> None:
    site.report({"first.py": dag("taken")}, folder=folder, wait=True)
    answer = site.deploy({"second.py": dag("taken")}, folder=folder)
    assert (answer.status_code, answer.json()["detail"]["reason"]) == (422, "duplicate_dags")
    [one] = answer.json()["detail"]["report"]["duplicates"]
    assert one == {"dag_id": "taken", "file": f"{folder}/second.py", "owner": f"{BUNDLE}:{folder}/first.py"}
    twice = site.deploy({"x.py": dag("within"), "y.py": dag("within")}, folder=folder)
    assert twice.json()["detail"]["report"]["duplicates"][0]["owner"] == f"{BUNDLE}:{folder}/x.py"
    # It may move from one file to another.
    site.report({"first.py": b"", "second.py": dag("taken")}, folder=folder, overwrite=True)


def test_a_file_that_airflow_passes_over_is_said(site: Site, folder: str) -> None:
    files = {".airflowignore": b"ignored*\n", "ignored_dag.py": b"not = = python", "seen.py": dag("seen")}
    report = site.report(files, folder=folder)
    assert [warning for warning in report["warnings"] if "airflowignore" in warning] == [
        f"{folder}/ignored_dag.py: an .airflowignore has Airflow pass over it."
    ]
    again = site.report({"ignored_too.py": dag("ignored")}, folder=folder)
    assert any("ignored_too.py: an .airflowignore" in warning for warning in again["warnings"])


def test_a_file_that_airflow_has_passed_over_is_checked_when_its_airflowignore_goes(
    site: Site, folder: str
) -> None:
    site.report({"first.py": dag("covered")}, folder=folder, wait=True)
    hidden = {".airflowignore": b"second.py\n", "second.py": dag("covered")}
    assert site.report(hidden, folder=folder)["dags"] == []
    before = site.state()

    deleted = site.client.delete(f"/v2/dag-files/file?path={folder}/.airflowignore")
    assert (deleted.status_code, deleted.json()["detail"]["reason"]) == (422, "check_failed")
    assert f"{folder}/second.py" in deleted.json()["detail"]["message"]
    for content in (b"", b"other.py\n", b"second.py\n!second.py\n"):
        answer = site.deploy({".airflowignore": content}, folder=folder, overwrite=True)
        assert (answer.status_code, answer.json()["detail"]["reason"]) == (422, "duplicate_dags")
    assert site.state() == before

    # What has nothing to hide is let go.
    site.report({"second.py": dag("uncovered")}, folder=folder, overwrite=True)
    files = {".airflowignore": b"", "third.py": dag("third")}
    report = site.report(files, folder=folder, overwrite=True, wait=True, unpause=True)
    assert {(one["dag_id"], one["file"]) for one in report["dags"]} == {
        ("uncovered", f"{folder}/second.py"),
        ("third", f"{folder}/third.py"),
    }
    # Nobody has deployed that one now, and it may lie there for a reason.
    assert (paused("third"), paused("uncovered")) == (False, True)
    assert f"No .airflowignore has Airflow pass over {folder}/second.py any more." in report["warnings"]
    assert site.client.delete(f"/v2/dag-files/file?path={folder}/.airflowignore").status_code == 200


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_airflow_does_not_see_what_is_on_its_way(site: Site, tmp_path: Path, syntax: str) -> None:
    """The names of our own folder are passed over by the code of Airflow that lists DAG files."""
    from airflow._shared.module_loading.file_discovery import find_path_from_directory

    from airflow_rest_api.dag_files.transaction import Transaction

    source = tmp_path / "source"
    source.write_bytes(dag("hidden"))
    root = tmp_path / "dags"
    root.mkdir()
    seen: list[set[str]] = []

    def look(step: str) -> None:
        listed = find_path_from_directory(str(root), ".airflowignore", syntax)
        seen.append({str(Path(path).relative_to(root)) for path in listed})

    Transaction(root, "one", look).change({"a.py": source, "b/c.py": source})
    assert seen[0] == set()
    assert seen[-1] == {"a.py", "b/c.py"}
    assert all(names <= {"a.py", "b/c.py"} for names in seen)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "name", ["../up.py", "/abs.py", "a/../../up.py", "a\\b.py", ".airflow_rest_api/lock"]
)
def test_a_file_stays_in_its_bundle(site: Site, folder: str, name: str) -> None:
    before = site.state()
    for answer in (
        site.deploy({name: b""}, folder=folder),
        site.deploy(archive=("x.zip", zipped({name: b""})), folder=folder),
        site.deploy(archive=("x.tgz", tarred({name: b""})), folder=folder),
    ):
        assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_path"), answer.text
    assert site.state() == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_only_plain_files_are_unpacked(site: Site, folder: str, kind: bytes) -> None:
    answer = site.deploy(archive=("x.tgz", tarred({"a.py": b""}, kind)), folder=folder)
    assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_archive")
    assert inside(site, folder) == {}


def test_a_bomb_is_refused(site: Site, folder: str) -> None:
    answer = site.deploy(archive=("x.zip", zipped({"a.csv": bytes(2**26)})), folder=folder)
    assert (answer.status_code, answer.json()["detail"]["reason"]) == (413, "too_large")


def test_a_body_of_100_megabytes_is_refused_unread(site: Site) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * 2**20:
            sent += 2**20
            yield bytes(2**20)

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(100 * 2**20)}
    answer = site.client.post("/v2/dag-files", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["detail"]["reason"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("fields", "status", "argument"),
    [
        ({"folder": "../x"}, 400, "folder"),
        ({"folder": "/etc"}, 400, "folder"),
        ({"bundle": "nowhere"}, 404, "bundle"),
        ({"overwrite": "perhaps"}, 400, "overwrite"),
        ({"colour": "blue"}, 400, "colour"),
        ({"pause": "on", "unpause": "on"}, 400, "unpause"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(
    site: Site, fields: dict[str, str], status: int, argument: str
) -> None:
    answer = site.deploy({"a.py": b""}, **fields)
    assert (answer.status_code, answer.json()["detail"]["argument"]) == (status, argument), answer.text


def test_a_bundle_that_comes_from_elsewhere_says_so(tmp_path: Path) -> None:
    git = {
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"repo_url": "https://x/y"},
    }
    with deploying(tmp_path, more={"from-git": git}, fork=False) as site:
        answer = site.deploy({"a.py": b""}, bundle="from-git")
        listed = {one["name"]: one for one in site.client.get("/v2/dag-files/bundles").json()["bundles"]}
    detail = answer.json()["detail"]
    assert (answer.status_code, detail["reason"], detail["kind"]) == (409, "bundle_not_writable", "git")
    assert "https://x/y" in detail["message"]
    assert (listed["from-git"]["writable"], listed[BUNDLE]["writable"]) == (False, True)


def test_a_request_without_files_or_with_two_kinds_is_refused(site: Site) -> None:
    for answer in (
        site.client.post("/v2/dag-files", files={"other": ("a.py", b"")}),
        site.client.post("/v2/dag-files", data={"folder": "x"}, files={"file": (None, b"x")}),
        site.deploy({"a.py": b""}, archive=("x.zip", zipped({"b.py": b""}))),
        site.client.post("/v2/dag-files", json={}),
    ):
        assert answer.status_code in (400, 415), answer.text


def test_a_folder_that_cannot_be_written_is_said(site: Site, folder: str) -> None:
    (site.root / folder / "there.py").mkdir(parents=True)
    answer = site.deploy({"there.py": b""}, folder=folder, overwrite=True)
    assert (answer.status_code, answer.json()["detail"]["reason"]) == (409, "in_the_way")


def test_a_link_in_the_bundle_is_not_followed(site: Site, folder: str, tmp_path: Path) -> None:
    (site.root / folder).symlink_to(tmp_path)
    answer = site.deploy({"a.py": b""}, folder=folder)
    assert answer.status_code == 400
    assert site.client.get(about(f"{folder}/a.py", "content")).status_code == 400
    assert list(tmp_path.iterdir()) == []
    (site.root / folder).unlink()


def test_a_full_disk_is_said_and_nothing_changes(site: Site, folder: str) -> None:
    (site.root / folder).mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(site.root / folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with deploying_into(site, site.root / folder) as small:
            small.report({"a.py": b"old = 1\n"})
            answer = small.deploy({"a.py": b"new = 1\n", "b.csv": bytes(100_000)}, overwrite=True)
            assert (answer.status_code, answer.json()["detail"]["reason"]) == (507, "no_space"), answer.text
            assert small.state() == {"a.py": b"old = 1\n"}
            assert len(small.client.get(about("a.py", "history")).json()["versions"]) == 1
    finally:
        subprocess.run(["umount", str(site.root / folder)], check=True)


def deploying_into(site: Site, root: Path) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def serve() -> Iterator[Site]:
        (root / "dags").mkdir()
        with deploying(root, fork=False) as small:
            yield small

    return serve()


# ---------------------------------------------------------------- afterwards


def test_a_dry_run_and_a_check_write_nothing(site: Site, folder: str) -> None:
    for fields in ({"dry_run": True}, {"to": "/check"}, {"to": "/check", "validate": False}):
        report = site.report({"a.py": dag("dry"), "b.py": b"x = = 1\n"}, folder=folder, **fields)
        assert (report["dry_run"], report["deployment"]) == (True, None)
        assert found(report) == {"dry"}
        assert [error["file"] for error in report["errors"]] == [f"{folder}/b.py"]
    assert inside(site, folder) == {}


def test_the_history_knows_who_did_what_and_brings_it_back(site: Site, folder: str) -> None:
    path = f"{folder}/a.py"
    for content in (b"x = 1\n", b"x = 2\n"):
        site.report({"a.py": content}, folder=folder, overwrite=True)
    versions = site.client.get(about(path, "history")).json()["versions"]
    assert [(one["version"], one["change"], one["user"]) for one in versions] == [
        (2, "changed", "admin"),
        (1, "added", "admin"),
    ]
    assert site.client.get(about(path, "content", version=1)).content == b"x = 1\n"
    answer = site.client.get(about(path, "diff", from_version=1))
    assert answer.headers["content-type"].startswith("text/x-diff")
    assert answer.text.splitlines()[2:] == ["@@ -1 +1 @@", "-x = 1", "+x = 2"]
    back = site.client.post(about(path, "rollback"), json={"version": 1}, headers={"Prefer": "wait=200"})
    assert back.json()["state"] == "succeeded", back.text
    assert inside(site, folder) == {"a.py": b"x = 1\n"}
    newest = site.client.get(about(path, "history")).json()["versions"][0]
    assert (newest["version"], newest["kind"]) == (3, "rollback")
    assert site.client.get(about(path, "diff", from_version=1, to_version=3)).text == ""


def test_what_is_broken_is_not_brought_back(site: Site, folder: str) -> None:
    site.report({"a.py": b"x = = 1\n"}, folder=folder, force_invalid=True)
    site.report({"a.py": b"x = 1\n"}, folder=folder, overwrite=True)
    back = site.client.post(
        about(f"{folder}/a.py", "rollback"), json={"version": 1}, headers={"Prefer": "wait=200"}
    )
    assert back.status_code == 422
    assert inside(site, folder) == {"a.py": b"x = 1\n"}


@pytest.mark.parametrize(
    "body", [{}, {"version": 0}, {"version": "1"}, {"version": 99}, {"version": 1, "x": 1}]
)
def test_a_version_that_is_none_is_said(site: Site, folder: str, body: dict[str, Any]) -> None:
    site.report({"a.py": b"x = 1\n"}, folder=folder)
    answer = site.client.post(about(f"{folder}/a.py", "rollback"), json=body, headers={"Prefer": "wait=200"})
    assert answer.status_code == (404 if body.get("version") == 99 else 400), answer.text


def test_what_was_changed_behind_our_back_is_shown_and_kept(site: Site, folder: str) -> None:
    site.report({"a.py": b"x = 1\n", "b.py": b"y = 1\n"}, folder=folder)
    (site.root / folder / "a.py").write_text("x = 'theirs'\n")
    (site.root / folder / "b.py").unlink()
    (site.root / folder / "c.py").write_text("z = 'theirs'\n")
    listed = site.client.get(f"/v2/dag-files?folder={folder}").json()["files"]
    assert [(one["path"][-4:], one["changed_outside"], one["size"] is None) for one in listed] == [
        ("a.py", True, False),
        ("b.py", True, True),
        ("c.py", False, False),
    ]
    assert [one["deployed"] is None for one in listed] == [False, False, True]
    site.report({"a.py": b"x = 2\n"}, folder=folder, overwrite=True)
    versions = site.client.get(about(f"{folder}/a.py", "history")).json()["versions"]
    assert [one["change"] for one in versions] == ["changed", "outside", "added"]
    theirs = site.client.get(about(f"{folder}/a.py", "content", version=2))
    assert theirs.content == b"x = 'theirs'\n"


def test_a_list_goes_page_by_page(site: Site, folder: str) -> None:
    names = {f"{letter}.py": b"" for letter in "edcba"}
    site.report(names, folder=folder)
    seen, cursor = [], None
    while True:
        query = {"folder": folder, "limit": "2", **({"cursor": cursor} if cursor else {})}
        page = site.client.get("/v2/dag-files", params=query).json()
        seen += [one["path"] for one in page["files"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"{folder}/{name}" for name in sorted(names)]


def test_deployments_go_page_by_page(site: Site, folder: str) -> None:
    made = [site.report({f"{n}.py": b""}, folder=folder)["deployment"] for n in range(3)]
    first = site.client.get("/v2/dag-files/deployments?limit=2").json()
    assert [one["id"] for one in first["deployments"]] == made[:0:-1]
    second = site.client.get(f"/v2/dag-files/deployments?limit=1&cursor={first['next']}").json()
    assert [one["id"] for one in second["deployments"]] == made[:1]
    # The second and third: MySQL compares no such text with an id.
    for nothing in ("nothing", "é", "１", f"{0:032}"):
        assert site.client.get(f"/v2/dag-files/deployments/{nothing}").status_code == 404
    answer = site.client.get("/v2/dag-files/deployments", params={"cursor": "é"})
    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "cursor")


def test_a_file_is_deleted_and_can_be_brought_back(site: Site, folder: str) -> None:
    path = f"{folder}/a.py"
    site.report({"a.py": b"x = 1\n"}, folder=folder)
    gone = site.client.delete(about(path), headers={"Prefer": "wait=200"})
    assert gone.json()["result"]["files"] == [{"path": f"{folder}/a.py", "change": "deleted"}]
    assert inside(site, folder) == {}
    assert site.client.get(about(path)).status_code == 404
    assert site.client.delete(about(path)).status_code == 404
    assert site.client.get(f"/v2/dag-files?folder={folder}").json()["files"] == []
    assert site.client.get(about(path, "history")).json()["versions"][0]["change"] == "deleted"
    back = site.client.post(about(path, "rollback"), json={"version": 1}, headers={"Prefer": "wait=200"})
    assert back.json()["state"] == "succeeded"
    assert inside(site, folder) == {"a.py": b"x = 1\n"}


def test_the_records_of_a_dag_are_not_deleted_unless_that_is_switched_on(site: Site, folder: str) -> None:
    site.report({"a.py": dag("recorded")}, folder=folder, wait=True)
    answer = site.client.delete(about(f"{folder}/a.py", records="true"))
    assert (answer.status_code, answer.json()["detail"]["option"]) == (403, "enabled_commands")
    assert set(inside(site, folder)) == {"a.py"}


def test_a_content_is_downloaded_for_saving(site: Site, folder: str) -> None:
    site.report({"größe.csv": b"\xff\0"}, folder=folder)
    answer = site.client.get(about(f"{folder}/größe.csv", "content"))
    assert answer.content == b"\xff\0"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert site.client.get(about(f"{folder}/none.csv", "content")).status_code == 404


def test_a_content_that_cannot_be_read_is_not_said_to_be_gone(
    site: Site, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> BinaryIO:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    site.report({"a.csv": b"x"}, folder=folder)
    # A file mode would not keep root out, whom tests run as.
    monkeypatch.setattr(reading, "open_file", closed)
    for part in ("content", "diff"):
        answer = site.client.get(about(f"{folder}/a.csv", part))
        assert (answer.status_code, answer.json()["detail"]["reason"]) == (409, "bundle_not_writable")


def test_nothing_of_a_deployment_is_left_in_the_temporary_folder(
    site: Site, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of its own: other processes of the tests receive files as well.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = []

    def make(*args: Any, **kwargs: Any) -> str:
        made.append(os.path.realpath(mkdtemp(*args, **kwargs)))
        return made[-1]

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", make)
    site.report({"a.py": b"x = 1\n"}, folder=folder)
    site.deploy({"b.py": b"x = = 1\n"}, folder=folder)
    site.deploy({"../b.py": b""}, folder=folder)
    assert len(made) >= 2
    end = time.monotonic() + 60
    while list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "deployments/x.py",
        "bundles/x.py",
        "check/x.py",
        "file/x.py",
        "a/content",
        "a/history/b.py",
        "a b&c=d?e#f%2F+g.py",
    ],
)
def test_a_file_may_be_called_as_a_resource_is(site: Site, folder: str, name: str) -> None:
    path = f"{folder}/{name}"
    site.report({name: b"x = 1\n"}, folder=folder)
    assert site.client.get(about(path)).json()["path"] == path
    assert site.client.get(about(path, "content")).content == b"x = 1\n"
    assert site.client.get(about(path, "history")).json()["path"] == path
    assert site.client.get(about(path, "diff")).status_code == 200
    back = site.client.post(about(path, "rollback"), json={"version": 1}, headers={"Prefer": "wait=200"})
    assert back.json()["state"] == "succeeded", back.text
    assert site.client.delete(about(path), headers={"Prefer": "wait=200"}).json()["state"] == "succeeded"


def test_the_path_of_a_file_is_needed(site: Site) -> None:
    for what in ("", "/content", "/history", "/diff"):
        answer = site.client.get(f"/v2/dag-files/file{what}")
        assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "path")


def test_a_version_that_no_database_has_room_for_is_refused(site: Site, folder: str) -> None:
    path = f"{folder}/a.py"
    site.report({"a.py": b"x = 1\n"}, folder=folder)
    for what, name in (("content", "version"), ("diff", "from_version"), ("diff", "to_version")):
        answer = site.client.get(about(path, what, **{name: 2**70}))
        assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, name)
        assert site.client.get(about(path, what, **{name: 2**31 - 1})).status_code == 404
    answer = site.client.post(about(path, "rollback"), json={"version": 2**70})
    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "version")
