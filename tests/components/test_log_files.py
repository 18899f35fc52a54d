from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from airflow_rest_api.services import log_files
from airflow_rest_api.services.log_files import MANY_NOTES, NOTES, NotOurs, open_to_add, open_to_read
from tests.keeping import made

SECRET = b"of somebody else"


def read(path: Path) -> bytes:
    with os.fdopen(open_to_read(path), "rb") as file:
        return file.read()


def add(path: Path, data: bytes) -> None:
    with os.fdopen(open_to_add(path), "wb") as file:
        file.write(data)


def test_what_a_start_has_made_is_read_and_added_to_by_later_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    for number in range(3):
        add(path, b"%d\n" % number)
    assert read(path) == b"0\n1\n2\n"
    assert (tmp_path / NOTES).stat().st_mode & 0o777 == 0o700
    assert len(list((tmp_path / NOTES).iterdir())) == 1


def test_one_that_was_cut_or_renamed_is_still_ours(tmp_path: Path) -> None:
    path = made(tmp_path, "x.log", b"much")
    os.truncate(path, 0)
    add(path, b"more")
    path.rename(tmp_path / "x.log.1")
    assert read(tmp_path / "x.log.1") == b"more"
    add(path, b"new")
    assert read(path) == b"new"


@pytest.mark.parametrize("kind", ["file", "empty", "link", "link to ours", "hard link", "pipe", "folder"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_somebody_else_has_put_there_is_neither_read_nor_written(
    tmp_path: Path, kind: str, when: str
) -> None:
    path, other, ours = tmp_path / "x.log", tmp_path / "other", made(tmp_path, "ours.log", b"ours")
    if when == "after":
        # Its inode is free, and may be given to the next file.
        made(tmp_path, "x.log", b"ours").unlink()
    other.write_bytes(SECRET)
    if kind in ("file", "empty"):
        path.write_bytes(SECRET if kind == "file" else b"")
    elif kind.startswith("link"):
        path.symlink_to(ours if kind == "link to ours" else other)
    elif kind == "hard link":
        path.hardlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    for use in (open_to_read, open_to_add):
        with pytest.raises((NotOurs, OSError), match=r"has made it|x\.log"):
            use(path)
    assert other.read_bytes() == SECRET
    assert ours.read_bytes() == b"ours"


def test_a_file_with_the_inode_of_one_of_ours_that_is_gone_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path, "x.log", b"ours")
    if log_files._born(descriptor := os.open(path, os.O_RDONLY)) == "":
        pytest.skip("this file system does not tell when a file was made")
    os.close(descriptor)
    inode = path.stat().st_ino
    for number in range(200):
        path.unlink()
        path.write_bytes(SECRET)
        if path.stat().st_ino == inode:
            break
        path.replace(tmp_path / f"kept{number}")
        made(tmp_path, "x.log", b"ours")
        inode = path.stat().st_ino
    else:
        pytest.skip("this file system gives no inode a second time")
    with pytest.raises(NotOurs):
        open_to_read(path)


def test_two_that_make_the_same_file_at_once_have_it_both(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    failed: list[BaseException] = []

    def make() -> None:
        try:
            add(path, b"x")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert read(path) == b"x" * 16


def test_the_notes_of_files_that_are_gone_do_not_pile_up(tmp_path: Path) -> None:
    kept = made(tmp_path, "kept.log", b"kept")
    for number in range(MANY_NOTES + 10):
        made(tmp_path, f"{number}.log").unlink()
    assert len(list((tmp_path / NOTES).iterdir())) < MANY_NOTES
    assert read(kept) == b"kept"


def test_notes_that_another_user_of_the_machine_could_write_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / NOTES).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="no folder of the user"):
        open_to_add(tmp_path / "x.log")
