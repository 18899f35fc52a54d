"""What others may have put in the place of a file or a folder is not followed, and not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_rest_api.plain_files import open_file, open_folder
from tests.processes import descriptors


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    with open_file(tmp_path / "file") as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "path"
    (tmp_path / "file").write_text("content")
    if kind == "link":
        path.symlink_to(tmp_path / "file")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    before = descriptors()
    with pytest.raises(OSError, match=r"Not a plain file|symbolic links"):
        open_file(path)
    assert descriptors() == before


def test_a_folder_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    with open_folder(tmp_path / "mine") as folder:
        (tmp_path / "mine").rename(tmp_path / "moved")
        (tmp_path / "mine").symlink_to(tmp_path / "theirs")
        (folder / "file").touch()
    assert (tmp_path / "moved" / "file").exists()
    assert not (tmp_path / "theirs" / "file").exists()


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError), open_folder(tmp_path / "link"):
        pass
