from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.services.status import NAME, Status, read

GOOD = Status(supervisor=7, supervisor_start="1.5", pid=8, pid_start="1.6", exit_code=-9, started_at=5.0)


def test_what_a_supervisor_has_written_is_read(tmp_path: Path):
    GOOD.write(str(tmp_path))
    assert read(tmp_path) == GOOD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("exit_code", value) for value in ("x", 10**30, 256, -65, True, 1.5, [])],
        *[("pid", value) for value in ("x", 10**30, 0.5, {})],
        *[("started_at", value) for value in ("x", -1, 1e300, True, [])],
        *[("state", value) for value in ("x", None, 5, "lost")],
        *[("message", value) for value in (5, ["x"], "x" * 10**5)],
        ("supervisor", None),
        ("supervisor_start", None),
    ],
    ids=str,
)
def test_what_a_component_has_written_in_its_place_is_not_taken(tmp_path: Path, name: str, value: Any):
    (tmp_path / NAME).write_text(json.dumps({**asdict(GOOD), name: value}))
    assert read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "5", "null", "[" * 100_000, "{}" + " " * 10**6])
def test_what_is_no_status_is_none(tmp_path: Path, text: str):
    (tmp_path / NAME).write_text(text)
    assert read(tmp_path) is None
