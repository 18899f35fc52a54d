from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from airflow_rest_api.dag_files.control import can_make, control_folder, effective_user
from airflow_rest_api.dag_files.names import CONTROL
from airflow_rest_api.errors import BundleNotWritable, NoSpace


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o2775])
def test_a_missing_bundle_is_made_with_the_mode_and_the_group_of_the_folder_above(tmp_path: Path, mode: int):
    above = tmp_path / "home"
    above.mkdir()
    above.chmod(mode)

    assert control_folder(above / "dags") == above / "dags" / CONTROL
    status = (above / "dags").stat()
    assert stat.S_IMODE(status.st_mode) == mode
    assert status.st_gid == above.stat().st_gid


def test_only_the_last_folder_on_the_way_is_made(tmp_path: Path):
    assert not can_make(tmp_path / "not" / "mounted")
    with pytest.raises((BundleNotWritable, NoSpace)):
        control_folder(tmp_path / "not" / "mounted")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_in_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)

    assert not can_make(tmp_path / "dags")


def test_what_is_there_is_not_made(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert not any(can_make(tmp_path / name) for name in ("folder", "file", "link"))


def test_a_user_is_named_with_the_number_and_one_without_a_name_by_it(monkeypatch: pytest.MonkeyPatch):
    assert effective_user() == f"{pwd.getpwuid(os.geteuid()).pw_name}, uid {os.geteuid()}"
    monkeypatch.setattr(os, "geteuid", lambda: 987654321)
    assert effective_user() == "uid 987654321"
