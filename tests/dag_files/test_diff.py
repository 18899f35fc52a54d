from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from airflow_rest_api.dag_files.diff import MOST_BYTES, MOST_LINES, diff
from airflow_rest_api.errors import TooLarge


def test_equal_files_have_no_difference() -> None:
    assert diff(b"a\n", b"a\n", "old", "new") == ""
    assert diff(None, None, "old", "new") == ""


def test_a_file_that_is_not_there_is_dev_null() -> None:
    assert diff(None, b"a\n", "old", "new").splitlines()[:2] == ["--- /dev/null", "+++ new"]
    assert diff(b"a\n", None, "old", "new").splitlines()[:2] == ["--- old", "+++ /dev/null"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n"),
        (b"a\nb", b"a\nb\n"),
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"", b"a\x0cb\n\xe2\x80\xa8x"),
        (b"x\n" * 50 + b"y", b"x\n" * 50 + b"z"),
    ],
)
def test_the_difference_leads_from_one_to_the_other(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Given to the program `patch`, it makes the new file of the old one."""
    if shutil.which("patch") is None:
        pytest.skip("This test needs the program patch")
    (tmp_path / "file").write_bytes(old)
    subprocess.run(
        ["patch", "--binary", "-p0", "file"],
        input=diff(old, new, "file", "file").encode(),
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "file").read_bytes() == new


def test_binary_files_only_differ() -> None:
    assert diff(b"\0", b"\1\0", "old", "new") == "Binary files old and new differ\n"


def test_what_would_take_for_ever_is_not_compared() -> None:
    with pytest.raises(TooLarge):
        diff(b"x\n" * (MOST_LINES + 1), b"", "old", "new")
    with pytest.raises(TooLarge):
        diff(b"x" * (MOST_BYTES + 1), b"", "old", "new")
