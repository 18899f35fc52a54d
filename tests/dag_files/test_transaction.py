"""Files are put in place all together or not at all, whatever happens on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from airflow_rest_api.dag_files.transaction import Damaged, Transaction, recover
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.errors import BundleNotWritable, ChangedMeanwhile, InTheWay, NoSpace

ROOT = Path(__file__).parents[2]
OLD = {"a.py": "old a", "b/c.py": "old c", "b/gone.py": "old gone", "other.py": "other"}
NEW = {"a.py": "new a", "b/c.py": "new c", "b/d/e/f.csv": "new f", "other.py": "other"}
FILES = {"b/d/e/f.csv": "new f", "b/c.py": "new c", "a.py": "new a"}
DELETED = ["b/gone.py"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "dags"
    fresh(root)
    return root


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "sources").mkdir()
    found = {}
    for number, (path, content) in enumerate(FILES.items()):
        found[path] = tmp_path / "sources" / str(number)
        found[path].write_text(content)
    return found


def fresh(root: Path) -> None:
    """Have the bundle as it is before a deployment."""
    shutil.rmtree(root, ignore_errors=True)
    for path, content in OLD.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def state(root: Path) -> dict[str, str]:
    """The files of a bundle without our folder, with their content."""
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and CONTROL not in path.parts
    }


def folders(root: Path) -> set[str]:
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir() and CONTROL not in path.parts
    }


def leftovers(root: Path) -> set[str]:
    return {path.name for path in (root / CONTROL).iterdir()} - {".airflowignore", "lock"}


def run(act: str, root: Path, files: dict[str, Path], **order: Any) -> tuple[int, list[str]]:
    """Run `killed.py`; return how it ended and the steps that it came to."""
    order |= {
        "act": act,
        "root": str(root),
        "files": {k: str(v) for k, v in files.items()},
        "deleted": DELETED,
    }
    words = [sys.executable, str(Path(__file__).parent / "killed.py"), json.dumps(order)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60, check=False)
    return done.returncode, done.stdout.split("\n")[:-1]


def test_files_are_put_in_place_and_taken_away(root: Path, files: dict[str, Path]) -> None:
    transaction = Transaction(root, "one")
    transaction.change(files, DELETED)
    assert state(root) == NEW
    transaction.finish()
    assert state(root) == NEW
    assert leftovers(root) == set()


@pytest.mark.slow
def test_a_deployment_that_is_killed_at_any_step_leaves_the_old_state_or_the_new(
    root: Path, files: dict[str, Path]
) -> None:
    code, steps = run("change", root, files)
    assert (code, state(root)) == (0, NEW)
    assert len(steps) > 12
    seen = set()
    for number, step in enumerate(steps, 1):
        fresh(root)
        code, reached = run("change", root, files, kill=number)
        assert code == -signal.SIGKILL
        assert reached == steps[:number]
        [(identifier, done)] = recover(root)
        assert state(root) == (NEW if done else OLD), step
        assert folders(root) == ({"b", "b/d", "b/d/e"} if done else {"b"})
        if done:
            Transaction(root, identifier).finish()
        assert leftovers(root) == set()
        assert recover(root) == []
        seen.add(done)
    assert seen == {False, True}


@pytest.mark.slow
def test_a_recovery_that_is_killed_at_any_step_is_recovered_from(root: Path, files: dict[str, Path]) -> None:
    _, steps = run("change", root, files)
    middle = steps.index("placed 1") + 1
    for number in range(1, len(steps) - middle + 1):
        fresh(root)
        run("change", root, files, kill=middle)
        assert run("recover", root, files, kill=number)[0] == -signal.SIGKILL
        assert recover(root) == [("one", True)]
        assert state(root) == NEW


@pytest.mark.slow
def test_a_deployment_that_fails_at_any_step_is_taken_back(root: Path, files: dict[str, Path]) -> None:
    _, steps = run("change", root, files)
    for number in range(1, len(steps) + 1):
        fresh(root)
        assert run("change", root, files, fail=number)[0] == 1
        assert (state(root), leftovers(root), folders(root)) == (OLD, set(), {"b"}), steps[number - 1]


@pytest.mark.slow
def test_one_that_is_killed_while_it_is_taken_back_is_taken_back_by_the_next(
    root: Path, files: dict[str, Path]
) -> None:
    _, steps = run("change", root, files)
    last = steps.index("placed 2") + 1
    for kill in range(last + 1, 100):
        fresh(root)
        code, _ = run("change", root, files, fail=last, kill=kill)
        recover(root)
        assert (state(root), leftovers(root), folders(root)) == (OLD, set(), {"b"}), kill
        if code == 1:
            break
    assert kill - last > 3


@pytest.mark.slow
def test_one_is_taken_back_although_somebody_removed_a_folder_meanwhile(
    root: Path, files: dict[str, Path]
) -> None:
    _, steps = run("change", root, files)
    for number in range(steps.index("kept 1") + 1, len(steps)):
        fresh(root)
        run("change", root, files, kill=number)
        shutil.rmtree(root / "b", ignore_errors=True)
        recover(root)
        assert recover(root) in ([], [("one", True)])
        assert leftovers(root) <= {"one"}


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [True, False])
def test_what_somebody_writes_before_the_recovery_stays(
    root: Path, files: dict[str, Path], in_place: bool
) -> None:
    """The process was killed at any step, and nobody could start another one for a while."""
    _, steps = run("change", root, files)
    for number in range(steps.index("journal") + 1, len(steps) + 1):
        fresh(root)
        run("change", root, files, kill=number)
        theirs = {path: f"by hand: {path}" for path in [*FILES, *DELETED] if (root / path).parent.is_dir()}
        for path, content in theirs.items():
            if not in_place:
                (root / path).unlink(missing_ok=True)
            (root / path).write_text(content)
        recover(root)
        assert {**state(root), **theirs} == state(root), steps[number - 1]
        assert leftovers(root) <= {"one"}


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_somebody_puts_in_the_place_of_a_new_one_stays(
    root: Path, files: dict[str, Path], links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", mock.Mock(side_effect=PermissionError(1, "Operation not permitted")))
    added = next(path for path in files if path not in OLD)

    def step(name: str) -> None:
        if name == "journal":
            (root / added).parent.mkdir(parents=True, exist_ok=True)
            (root / added).write_text("theirs")

    with pytest.raises(ChangedMeanwhile):
        Transaction(root, "one", step).change(files, DELETED)
    assert state(root) == {**OLD, added: "theirs"}
    assert leftovers(root) == set()


@pytest.mark.parametrize("links", [True, False])
def test_a_deployment_that_fails_leaves_everything_as_it_was(
    root: Path, files: dict[str, Path], links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)

    def step(name: str) -> None:
        if name == "placed 2":
            raise OSError(28, "No space left on device")

    with pytest.raises((BundleNotWritable, NoSpace)) as caught:
        Transaction(root, "one", step).change(files, DELETED)
    assert (caught.value.status, caught.value.detail["reason"]) == (507, "no_space")
    assert state(root) == OLD
    assert folders(root) == {"b"}
    assert leftovers(root) == set()


def test_a_full_disk_is_said_and_leaves_everything_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(root)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        (root / "a.py").write_text("old")
        (tmp_path / "large").write_bytes(bytes(1024 * 1024))
        (tmp_path / "little").write_text("new")
        with pytest.raises((BundleNotWritable, NoSpace)) as caught:
            Transaction(root, "one").change({"a.py": tmp_path / "little", "b.bin": tmp_path / "large"})
        assert (caught.value.status, caught.value.detail["reason"]) == (507, "no_space")
        assert state(root) == {"a.py": "old"}
        assert leftovers(root) == set()
        # Not a byte is free: what fails in the middle can be taken back even so.
        transaction = Transaction(root, "two", lambda step: _fill(root, step))
        with pytest.raises((BundleNotWritable, NoSpace)):
            transaction.change({"a.py": tmp_path / "little", "b/c.py": tmp_path / "little"})
        (root / "filler").unlink()
        assert state(root) == {"a.py": "old"}
        assert leftovers(root) == set()
    finally:
        subprocess.run(["umount", str(root)], check=True)


def _fill(root: Path, step: str) -> None:
    if step != "placed 0":
        return
    with (root / "filler").open("wb") as file:
        try:
            while True:
                file.write(bytes(4096))
                file.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror) from None


def test_a_read_only_file_system_is_said(tmp_path: Path) -> None:
    root = tmp_path / "closed"
    root.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(root)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    try:
        (tmp_path / "little").write_text("new")
        with pytest.raises((BundleNotWritable, NoSpace)) as caught:
            Transaction(root, "one").change({"a.py": tmp_path / "little"})
        assert (caught.value.status, caught.value.detail["reason"]) == (409, "bundle_not_writable")
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_another_file_system_inside_the_bundle_is_said(root: Path, files: dict[str, Path]) -> None:
    (root / "b" / "d").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(root / "b" / "d")], check=False)
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    try:
        with pytest.raises(InTheWay, match="another file system"):
            Transaction(root, "one").change(files)
    finally:
        subprocess.run(["umount", str(root / "b" / "d")], check=True)
    assert state(root) == OLD


def test_a_new_file_can_be_read_by_all_and_belongs_to_the_group_of_its_folder(
    root: Path, files: dict[str, Path]
) -> None:
    (root / "b").chmod(0o2775)
    if os.geteuid() == 0:
        os.chown(root / "b", -1, 12345)
    umask = os.umask(0o077)
    try:
        Transaction(root, "one").change(files)
    finally:
        os.umask(umask)
    status, above = (root / "b/d/e/f.csv").stat(), (root / "b").stat()
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert status.st_gid == above.st_gid
    assert stat.S_IMODE((root / "b/d/e").stat().st_mode) == 0o2775
    assert (root / "b/d/e").stat().st_gid == above.st_gid


def test_python_does_not_take_a_file_for_the_one_that_it_replaces(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(3):
        before = int((root / "a.py").stat().st_mtime)
        source.write_text(f"new {number}")
        transaction = Transaction(root, f"{number:032x}")
        transaction.change({"a.py": source})
        transaction.finish()
        after = (root / "a.py").stat()
        assert (root / "a.py").read_text() == f"new {number}"
        assert int(after.st_mtime) != before


def test_a_replaced_file_keeps_its_mode_and_its_owner(root: Path, files: dict[str, Path]) -> None:
    (root / "a.py").chmod(0o664)
    if os.geteuid() == 0:
        os.chown(root / "a.py", 12345, 12346)
    before = (root / "a.py").stat()
    Transaction(root, "one").change(files)
    after = (root / "a.py").stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_file_is_taken_back_with_all_it_was(root: Path, files: dict[str, Path]) -> None:
    before = (root / "a.py").stat()

    def step(name: str) -> None:
        if name == "done":
            raise OSError(5, "Input/output error")

    with pytest.raises((BundleNotWritable, NoSpace)):
        Transaction(root, "one", step).change(files)
    after = (root / "a.py").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("linked", [True, False])
def test_a_link_is_replaced_and_not_followed(
    root: Path, files: dict[str, Path], tmp_path: Path, linked: bool, request: pytest.FixtureRequest
) -> None:
    if not linked:
        request.getfixturevalue("without_links")
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(outside)
    Transaction(root, "one").change(files)
    assert outside.read_text() == "precious"
    assert not (root / "a.py").is_symlink()
    assert (root / "a.py").read_text() == "new a"


@pytest.mark.usefixtures("without_links")
def test_a_link_that_was_kept_as_a_copy_is_taken_back(
    root: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    def step(name: str) -> None:
        if name == "done":
            raise OSError(5, "Input/output error")

    (root / "a.py").unlink()
    (root / "a.py").symlink_to(tmp_path / "outside")
    with pytest.raises((BundleNotWritable, NoSpace)):
        Transaction(root, "one", step).change(files)
    assert (root / "a.py").readlink() == tmp_path / "outside"


@pytest.mark.usefixtures("without_links")
def test_a_copy_that_a_kill_cut_off_is_made_anew(root: Path, files: dict[str, Path]) -> None:
    _, [*_, last] = run("change", root, files, kill=len(files) + 2)
    assert last == "journal"
    (root / CONTROL / "one" / "old" / "0.draft").write_text("half a fi")
    assert recover(root) == [("one", True)]
    assert state(root) == NEW


@pytest.mark.parametrize(
    ("path", "why"),
    [("b", "is a folder"), ("a.py/x.py", "is a file"), ("out/x.py", "is a symbolic link")],
)
def test_what_is_in_the_way_is_said(
    root: Path, files: dict[str, Path], tmp_path: Path, path: str, why: str
) -> None:
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(InTheWay, match=why) as caught:
        Transaction(root, "one").change({**files, path: files["a.py"]})
    assert caught.value.status == 409
    assert {name: content for name, content in state(root).items() if not name.startswith("out/")} == OLD
    assert not (tmp_path / "x.py").exists()
    assert leftovers(root) == set()


def test_a_file_that_is_gone_already_is_no_reason_to_fail(root: Path) -> None:
    Transaction(root, "one").change({}, ["nowhere/x.py", "b/gone.py"])
    assert "b/gone.py" not in state(root)
    assert set(state(root)) == set(OLD) - {"b/gone.py"}


def test_nobody_reads_half_a_file(root: Path, tmp_path: Path) -> None:
    """A reader sees the old content or the new, never something in between, and never nothing."""
    contents = ["x" * 1_000_000, "y" * 1_000_000]
    for content in contents:
        (tmp_path / content[0]).write_text(content)
    (root / "a.py").write_text(contents[0])
    program = (
        "import sys\n"
        "print('ready', flush=True)\n"
        "seen = set()\n"
        "while True:\n"
        "    text = open(sys.argv[1]).read()\n"
        "    seen.add((len(text), text[:1], text[-1:], len(set(text))))\n"
        "    if text.startswith('y'): break\n"
        "print(sorted(seen))\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", program, str(root / "a.py")], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for number in range(20):
        Transaction(root, f"{number}x").change({"a.py": tmp_path / "x"})
    Transaction(root, "last").change({"a.py": tmp_path / "y"})
    said, _ = reader.communicate(timeout=60)
    assert "(1000000, 'y', 'y', 1)" in said
    assert said.count("(") == 2 or said.count("(") == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"entries": [{"number": 0, "path": "../out.py"}]},
        {"entries": [{"number": 0, "path": "/etc/out.py"}]},
        {"entries": [{"number": "../0", "path": "a.py"}]},
        {"entries": [{"number": 0, "path": "a.py", "before": [1, 2]}]},
        {"entries": [{"number": 0, "path": "a.py", "after": "mark"}]},
        {"entries": [None]},
        {"folders": ["../out"]},
        {"id": "another"},
    ],
)
def test_a_journal_that_leads_out_of_the_bundle_is_not_followed(root: Path, changed: dict[str, Any]) -> None:
    work = root / CONTROL / "planted"
    (work / "new").mkdir(parents=True)
    (work / "old").mkdir()
    (work / "new" / "0").write_text("planted")
    for mark in ("undo.ready", "done.ready"):
        (work / mark).touch()
    plan = {"id": "planted", "entries": [{"number": 0, "path": "a.py"}], "folders": [], **changed}
    (work / "journal").write_text(json.dumps(plan))

    with pytest.raises(Damaged):
        recover(root)

    assert state(root) == OLD
    assert not (root.parent / "out.py").exists()


def planted(root: Path, **plan: Any) -> Path:
    """A work folder that somebody else has made, and the journal in it."""
    work = root / CONTROL / "planted"
    for name in ("new", "old"):
        (work / name).mkdir(parents=True)
    for mark in ("undo.ready", "done.ready"):
        (work / mark).touch()
    (work / "journal").write_text(json.dumps({"id": "planted", "entries": [], "folders": [], **plan}))
    return work


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder outside of the bundle, with a folder in it, and a file with a number for a name."""
    (tmp_path / "precious" / "folder").mkdir(parents=True)
    (tmp_path / "precious" / "0").write_text("precious")
    return tmp_path / "precious"


def test_a_link_in_the_place_of_our_folder_costs_nobody_a_file(
    root: Path, files: dict[str, Path], precious: Path
) -> None:
    (root / CONTROL).symlink_to(precious)
    with pytest.raises(Damaged):
        recover(root)
    with pytest.raises(BundleNotWritable):
        Transaction(root, "one").change(files)
    Transaction(root, "folder").finish()
    assert {path.name for path in precious.iterdir()} == {"folder", "0"}


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_link_in_the_place_of_a_folder_in_it_is_not_followed(root: Path, precious: Path, name: str) -> None:
    entry = {"number": 0, "path": "a.py", "existed": name == "old"}
    work = planted(root, entries=[entry])
    (work / name).rmdir()
    (work / name).symlink_to(precious)
    if name == "old":
        (work / "undo").touch()
    with pytest.raises(Damaged):
        recover(root)
    assert (precious / "0").read_text() == "precious"
    assert state(root) == OLD


def test_a_journal_makes_and_removes_no_folder_behind_a_link(root: Path, precious: Path) -> None:
    (root / "link").symlink_to(precious)
    work = planted(root, folders=["link/made", "link/folder"])
    with pytest.raises(Damaged):
        recover(root)
    (work / "undo").touch()
    with pytest.raises(Damaged):
        recover(root)
    assert {path.name for path in precious.iterdir()} == {"folder", "0"}


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_journal_that_is_no_file_is_not_read(root: Path, tmp_path: Path, kind: str) -> None:
    work = planted(root)
    (work / "journal").rename(tmp_path / "journal")
    if kind == "link":
        (work / "journal").symlink_to(tmp_path / "journal")
    else:
        os.mkfifo(work / "journal")
    with pytest.raises(Damaged):
        recover(root)


def test_what_is_put_in_the_place_of_our_folder_meanwhile_is_not_followed(
    root: Path, files: dict[str, Path], precious: Path
) -> None:
    def step(name: str) -> None:
        if name == "work":
            (root / CONTROL).rename(root / "moved")
            (root / CONTROL).symlink_to(precious)
            (precious / "one").mkdir()

    transaction = Transaction(root, "one", step)
    transaction.change(files)
    transaction.finish()
    assert {path.name for path in precious.iterdir()} == {"folder", "0", "one"}
    assert list((precious / "one").iterdir()) == []
