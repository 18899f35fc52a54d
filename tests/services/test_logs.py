from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_rest_api.errors import NoLog, NoLogYet
from airflow_rest_api.services import logs
from airflow_rest_api.services.logs import MANY_NOTES, NOTES, NotOurs, open_to_add, open_to_read
from airflow_rest_api.services.model import Service
from airflow_rest_api.services.status import State
from tests.keeping import a_service, made


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made(tmp_path, "out", "one\ntwo\nthree\n")
    made(tmp_path, "err", "bad\n")
    return a_service(logs=str(tmp_path), stdout="out", stderr="err")


def test_a_part_says_where_it_is_and_where_to_read_on(service: Service) -> None:
    part = logs.read(service, "stdout", 4, 3)
    assert (part.offset, part.data, part.next, part.size) == (4, b"two", 7, 14)
    assert logs.read(service, "stderr", 0, 100).data == b"bad\n"


def test_behind_the_end_there_is_nothing(service: Service) -> None:
    part = logs.read(service, "stdout", 1000, 100)
    assert (part.offset, part.data, part.next) == (14, b"", 14)


@pytest.mark.parametrize(("lines", "text"), [(1, "three\n"), (2, "two\nthree\n"), (99, "one\ntwo\nthree\n")])
def test_the_tail_is_the_last_lines(service: Service, lines: int, text: str) -> None:
    offset = logs.tail_offset(service, "stdout", lines, 1000)
    assert logs.read(service, "stdout", offset, 1000).data.decode() == text


def test_a_last_line_that_is_not_finished_is_a_line(service: Service) -> None:
    made(Path(service.logs), "out", "one\ntwo\nthr")
    assert logs.tail_offset(service, "stdout", 2, 1000) == 4


def test_the_tail_of_a_long_file_is_found_and_is_not_longer_than_asked_for(service: Service) -> None:
    made(Path(service.logs), "out", b"x" * 200_000 + b"\n" + b"short\n")
    assert logs.tail_offset(service, "stdout", 1, 2**20) == 200_001
    assert logs.tail_offset(service, "stdout", 2, 2**20) == 0
    assert logs.tail_offset(service, "stdout", 2, 1000) == 200_007 - 1000


def test_an_empty_log_has_an_empty_tail(service: Service) -> None:
    made(Path(service.logs), "out")
    assert logs.tail_offset(service, "stdout", 5, 1000) == 0


@pytest.mark.parametrize("name", ["../x", "a/b", "", "/etc/passwd"])
def test_no_name_leads_out_of_the_log_folder(service: Service, name: str) -> None:
    with pytest.raises(NoLog):
        logs.read(replace(service, stdout=name), "stdout", 0, 1)


def test_links_pipes_folders_and_missing_files_are_no_logs(service: Service, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "missing"):
        with pytest.raises(NoLog, match=name):
            logs.read(replace(service, stdout=name), "stdout", 0, 1)


def test_a_log_that_is_still_to_be_made_is_told_from_one_that_is_not_there(service: Service) -> None:
    missing = replace(service, stdout="missing")
    with pytest.raises(NoLogYet):
        logs.read(replace(missing, state=State.STARTING), "stdout", 0, 1)
    with pytest.raises(NoLog) as running:
        logs.read(replace(missing, state=State.RUNNING), "stdout", 0, 1)
    assert not isinstance(running.value, NoLogYet)


def test_both_streams_in_one_file_are_one_stream(service: Service) -> None:
    assert logs.streams(service) == ("stdout", "stderr")
    assert logs.streams(replace(service, stderr="out")) == ("stdout",)


@pytest.mark.parametrize("text", ["abc", "ä", "€", "😀", "aé", ""])
def test_a_character_is_never_cut(text: str) -> None:
    data = text.encode()
    for length in range(len(data) + 1):
        whole = logs.whole_characters(data[:length])
        assert text.startswith(data[:whole].decode())
    assert logs.whole_characters(data) == len(data)


def test_bytes_that_are_no_characters_hold_up_nothing() -> None:
    assert logs.whole_characters(b"\x80\x80\x80\x80\x80") == 5


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
    if logs._born(descriptor := os.open(path, os.O_RDONLY)) == "":
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
