from __future__ import annotations

from pathlib import Path

import pytest

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.names import exchanged


def check(folder: Path | str, path: str, *, to_write: bool = False) -> str:
    return exchanged(str(folder), path, argument="import", to_write=to_write)


def test_without_a_folder_the_option_is_named() -> None:
    with pytest.raises(Refusal, match=r"\[rest_api_plugin\] exchange_folder"):
        check("", "x.json")


def test_a_file_inside_the_folder_is_taken(tmp_path: Path) -> None:
    assert check(tmp_path, "x.json") == str(tmp_path / "x.json")
    assert check(tmp_path, str(tmp_path / "x.json")) == str(tmp_path / "x.json")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/hostname", ".", "link/x", "file_link", "a\0b"])
def test_nothing_outside_the_folder_is_taken(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "exchange"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "file_link").symlink_to("/etc/hostname")
    with pytest.raises(Refusal):
        check(folder, path)


def test_a_folder_beside_that_begins_with_the_same_name_is_outside(tmp_path: Path) -> None:
    (tmp_path / "exchange").mkdir()
    (tmp_path / "exchange2").mkdir()
    with pytest.raises(Refusal, match="not inside"):
        check(tmp_path / "exchange", str(tmp_path / "exchange2" / "x"))


def test_a_file_to_write_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        check(tmp_path, "none/x.json", to_write=True)


@pytest.mark.parametrize("path", ["x" * 300, "x" * 300 + "/y", "x/" * 3000 + "y", "loop", "loop/x"])
@pytest.mark.parametrize("to_write", [False, True])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, path: str, to_write: bool) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Refusal) as refused:
        check(tmp_path, path, to_write=to_write)
    assert len(refused.value.message) < 300
