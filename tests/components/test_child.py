"""What the engine's child does to start a component."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_rest_api.services import processes
from airflow_rest_api.services.child import Order, start
from airflow_rest_api.services.files import StartRefused
from tests.small_disk import FULL, make_room, small_disk


@pytest.mark.slow
@pytest.mark.parametrize("how", FULL)
def test_a_component_without_room_is_not_started_and_it_is_said_why(tmp_path: Path, how: str) -> None:
    with small_disk(tmp_path / "small") as home:
        order = Order(
            id="0" * 32,
            kind="log-server",
            folder=str(home / "services" / "one"),
            home=str(home),
            logs=str(home),
            stdout="out",
            stderr="out",
            words="the test",
            code="print('begun', flush=True)",
        )
        FULL[how](home)
        with pytest.raises(StartRefused, match=r"[Nn]o (room|space) (is )?left"):
            start(order)
        assert processes.family(os.getpid()) == []
        make_room(home)
        assert start(order) == 0
        assert (home / "out").read_text().startswith("begun")
