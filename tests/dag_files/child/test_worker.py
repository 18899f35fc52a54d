"""What is done ahead of the files, in a process without their limits."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from airflow_rest_api.dag_files.child import worker
from airflow_rest_api.dag_files.child.worker import LARGEST_AHEAD, import_ahead
from tests.processes import in_child

pytestmark = pytest.mark.airflow

MODULE = "airflow.providers.standard.operators.latest_only"
IMPORT = f"import {MODULE}\n"


def imported(*files: Path) -> bool:
    """Return whether what files import is there before them."""

    def work() -> int:
        signal.alarm(60)
        sys.modules.pop(MODULE, None)
        import_ahead(files)
        return int(MODULE in sys.modules)

    code = in_child(work)
    assert code in (0, 1)
    return bool(code)


def of_size(path: Path, size: int) -> Path:
    path.write_text(IMPORT.ljust(size, "#"))
    return path


def test_a_file_that_is_small_or_a_link_to_one_is_read_ahead(tmp_path: Path):
    file = of_size(tmp_path / "a.py", LARGEST_AHEAD)
    (tmp_path / "b.py").symlink_to(file)

    assert imported(file)
    assert imported(tmp_path / "b.py")


def test_a_large_file_imports_for_itself_within_its_limits(tmp_path: Path):
    large, small = of_size(tmp_path / "a.py", LARGEST_AHEAD + 1), of_size(tmp_path / "b.py", 1)

    assert not imported(large)
    assert imported(large, small)


def test_what_is_no_file_or_not_pythons_is_not_opened_ahead(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "device.py").symlink_to("/dev/zero")
    (tmp_path / "dangling.py").symlink_to("nowhere")
    (tmp_path / "folder.py").mkdir()
    others = [*tmp_path.iterdir(), tmp_path / "gone.py", of_size(tmp_path / "a.zip", 1)]

    assert not imported(*others)
    assert imported(*others, of_size(tmp_path / "b.py", 1))


def test_there_is_an_end_to_what_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "first.py").write_text("x = 1\n" * 20)
    files = [tmp_path / "first.py", of_size(tmp_path / "a.py", 100)]
    assert imported(*files)

    monkeypatch.setattr(worker, "MOST_AHEAD", 200)
    assert not imported(*files)
