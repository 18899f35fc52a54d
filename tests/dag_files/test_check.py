"""Looking into DAG files, where the child that does cannot write."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from airflow_rest_api.dag_files.bundles import BundleInfo, Place
from airflow_rest_api.dag_files.check import CheckLimits, check
from airflow_rest_api.dag_files.upload import Bounds, Received
from airflow_rest_api.engine.job import Ending, Outcome
from airflow_rest_api.errors import ApiError
from airflow_rest_api.operations.conduct import Finished
from tests.small_disk import FULL, small_disk


class Child:
    """Runs no child, but does to the disk what one has done that has failed."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act

    async def run(self, job: object) -> Finished:
        self.act()
        return Finished(Outcome(Ending.EXITED, 1), b"", b"")

    def say(self, text: str, stream: str = "stdout") -> None:
        pass


def looked_into(disk: Path, root: Path, act: Callable[[], None]) -> Any:
    received = Received(Bounds(10, 10_000), "", disk)
    received.add("a.py", io.BytesIO(b"x = 1\n"))
    place = Place(BundleInfo("dags", "local", root, True, None), root, "")
    return asyncio.run(check(cast("Any", Child(act)), place, received, CheckLimits()))


@pytest.mark.parametrize("how", FULL)
def test_a_check_without_room_is_told_why(tmp_path: Path, how: str) -> None:
    with small_disk(tmp_path / "small") as disk:
        with pytest.raises(ApiError) as caught:
            looked_into(disk, tmp_path, lambda: FULL[how](disk))
        assert (caught.value.status, caught.value.detail["reason"]) == (507, "no_space")


def test_a_check_that_ends_for_another_reason_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    found = looked_into(tmp_path, tmp_path, lambda: None)
    assert "exit code 1" in found.errors[0].message
