from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from airflow_rest_client.archive import packed, parts


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("a.py", "lib/b.py", ".git/config", "lib/__pycache__/b.pyc", ".airflowignore"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_a_folder_is_packed_without_what_is_no_part_of_it(project: Path):
    with tarfile.open(fileobj=io.BytesIO(packed(project).content)) as archive:
        assert archive.getnames() == [".airflowignore", "a.py", "lib/b.py"]


def test_the_same_files_give_the_same_bytes_so_that_a_retry_is_one(project: Path):
    first = packed(project).content
    os.utime(project / "a.py", (0, 0))
    assert packed(project).content == first


def test_files_and_archives_go_as_they_are(project: Path, tmp_path: Path):
    archive = tmp_path / "x.zip"
    archive.write_bytes(b"zip")
    assert [(name, one.name) for name, one in parts([project / "a.py", project / "lib/b.py"])] == [
        ("file", "a.py"),
        ("file", "b.py"),
    ]
    assert [(name, one.content) for name, one in parts([archive])] == [("archive", b"zip")]
    assert [(name, one.name) for name, one in parts([project])] == [("archive", "project.tgz")]


def test_what_cannot_be_sent_together_is_refused(project: Path):
    with pytest.raises(ValueError, match="one folder, or one archive"):
        parts([project, project / "a.py"])
    with pytest.raises(ValueError, match="one folder"):
        parts([])
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        parts([project / "nothing.py"])


def test_nothing_is_left_out_without_a_word(project: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, make, why in (
        ("pipe", os.mkfifo, "no file"),
        ("link.py", lambda path: path.symlink_to("nothing.py"), "link to nothing"),
        ("package", lambda path: path.symlink_to(outside), "link to a folder"),
    ):
        make(project / name)
        with pytest.raises(ValueError, match=why):
            packed(project)
        (project / name).unlink()


def test_a_folder_that_cannot_be_read_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch):
    def scandir(path: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        packed(project)


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(ValueError, match="empty"):
        parts([""])


def test_a_folder_that_is_no_project_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("airflow_rest_client.archive.MOST_BYTES", 10)
    with pytest.raises(ValueError, match="is it a project"):
        packed(project)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_folder_whose_name_is_no_text_can_be_sent_as_well(tmp_path: Path):
    folder = tmp_path / os.fsdecode(b"dir\xe9")
    folder.mkdir()
    (folder / "a.py").touch()
    [(_, upload)] = parts([folder])
    assert upload.name == "dir?.tgz"
