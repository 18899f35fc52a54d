"""What is open in the warm parent, in its children."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_rest_api.engine import descriptors
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Hooks
from tests.engine.conftest import Run, act, outcome
from tests.engine.test_surroundings import rested


def test_what_a_plugin_holds_open_is_not_what_a_command_has_opened(
    run: Run[Any], new_engine: Callable[..., Engine], tmp_path: Path
):
    log = tmp_path / "plugin.log"
    engine = new_engine(Hooks(warm="acts:hold"), residents=1, preload=(str(log),))
    pids = []
    for _ in range(3):
        how, process = run(
            outcome(engine, act("use_what_is_held", str(tmp_path / "of_command"), resident=True))
        )
        *said, pid = process.stdout.text.splitlines()

        assert how.ending is Ending.EXITED
        assert process.stderr.text == ""
        assert said == ["OSError", "a message False", "[]"]
        pids.append(pid)
        run(rested(engine))
    assert log.read_text() == "a line\n" * 3
    assert len(set(pids)) == 1


def test_a_number_that_stands_for_something_else_by_now_is_closed(tmp_path: Path):
    nothing, number = (os.open(tmp_path / name, os.O_CREAT | os.O_RDWR) for name in ("nothing", "first"))
    held = descriptors.held(range(number))
    with open(tmp_path / "other", "w") as other, open(tmp_path / "log", "w") as log:
        os.dup2(other.fileno(), number)
        known = {number: held[number], log.fileno(): descriptors.held(())[log.fileno()]}
        if os.fork() == 0:
            code = 1
            with contextlib.suppress(BaseException):
                stay = descriptors.close_from(number, known, nothing)
                code = 0 if stay == [log.fileno()] and set(descriptors.held(range(number))) == {*stay} else 2
            os._exit(code)
        _, status = os.wait()
    os.close(number)
    os.close(nothing)

    assert os.waitstatus_to_exitcode(status) == 0
