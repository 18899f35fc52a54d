from __future__ import annotations

import stat
from pathlib import Path

import pytest

from airflow_rest_api.dag_files.bundles import can_make
from airflow_rest_api.dag_files.journal import control_folder
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.errors import BundleNotWritable


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
    with pytest.raises(BundleNotWritable):
        control_folder(tmp_path / "not" / "mounted")
    assert list(tmp_path.iterdir()) == []
