from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_rest_api.errors import NoLog, NoLogYet
from airflow_rest_api.services import logs
from airflow_rest_api.services.model import Service, State
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
