from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api import processes
from airflow_rest_api.airflow import installation
from airflow_rest_api.airflow.installation import AirflowJob
from airflow_rest_api.services.status import NAME, State, Status, is_ready, is_visible, listens, read, shows
from demo.ports import free_port
from tests.keeping import wait_for

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
        ("job", 5),
        ("supervisor", None),
        ("supervisor_start", None),
        *[("supervisor_start", value) for value in ("x" * 65, "\0", "ä", "\n")],
        *[("pid_start", value) for value in ("x" * 65, "\0", "ä", "\n")],
    ],
    ids=str,
)
def test_what_a_component_has_written_in_its_place_is_not_taken(tmp_path: Path, name: str, value: Any):
    (tmp_path / NAME).write_text(json.dumps({**asdict(GOOD), name: value}))
    assert read(tmp_path) is None


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / NAME)
    assert read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "5", "null", "[" * 100_000, "{}" + " " * 10**6])
def test_what_is_no_status_is_none(tmp_path: Path, text: str):
    (tmp_path / NAME).write_text(text)
    assert read(tmp_path) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_process_or_a_child_of_it_listens(address: str) -> None:
    port = free_port()
    program = (
        "import socket, sys, time; "
        f"s = socket.create_server(({address!r}, {port}), "
        f"family=socket.{'AF_INET6' if ':' in address else 'AF_INET'}); time.sleep(600)"
    )
    process = subprocess.Popen(["sh", "-c", '"$0" -c "$1"; true', sys.executable, program])
    try:
        assert wait_for(lambda: shows({"port": str(port)}, process.pid, 0.0, ()))
        assert not listens(process.pid, free_port())
    finally:
        for pid in (*processes.family(process.pid), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_a_port_on_which_another_process_listens_is_no_sign() -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert listens(os.getpid(), port)
            assert not listens(other.pid, port)
    finally:
        other.kill()
        other.wait()


def test_a_file_counts_from_the_start_on(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    assert not shows({"file": str(path)}, 1, 0.0, ())
    path.touch()
    assert shows({"file": f"FILE:{path}"}, 1, time.time(), ())
    assert not shows({"file": str(path)}, 1, time.time() + 10, ())


def test_a_line_counts_from_the_start_on_in_either_log(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    out.write_text("I am ready.\n")
    err.write_text("")
    logs = [(str(out), out.stat().st_size), (str(err), 0)]
    probe = {"line": r"\bready\.\s*$"}
    assert not shows(probe, 1, 0.0, logs)
    err.write_text("[ready]\nnow ready. \n")
    assert shows(probe, 1, 0.0, logs)


def test_what_cannot_be_seen_is_ready_when_its_supervisor_reports_it(tmp_path: Path) -> None:
    starting = Status(1, "x", pid=1)
    assert not is_visible({})
    assert not is_ready(starting, tmp_path)
    assert is_ready(Status(1, "x", State.RUNNING, pid=1), tmp_path)
    assert not is_ready(Status(1, "x", State.STOPPING, pid=1, job="SchedulerJob"), tmp_path)


class Started:
    """Schedulers of this machine that are starting, played by processes of our own, and what they report."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._jobs: list[AirflowJob] = []
        monkeypatch.setattr(installation, "running_jobs", lambda types: self._jobs)
        monkeypatch.setattr(installation, "places", lambda: installation.Places("", "", "here"))

    def component(self, name: str, started_at: float, *, alive: bool = True) -> Callable[[], bool]:
        """Have a component report; return what tells whether it is ready."""
        start = processes.start_of(os.getpid()) or ""
        said = Status(os.getpid(), start, job="SchedulerJob", started_at=started_at)
        said.pid, said.pid_start = os.getpid(), start if alive else "another:1"
        (self._folder / name).mkdir()
        said.write(str(self._folder / name))
        return lambda: is_ready(said, self._folder / name)

    def has_begun(self, moment: float, hostname: str = "here") -> None:
        """Put a job into Airflow's table."""
        began = datetime.fromtimestamp(moment, timezone.utc)
        job = AirflowJob(len(self._jobs), "SchedulerJob", "running", hostname, began, began, True)
        self._jobs.append(job)


@pytest.fixture
def schedulers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(tmp_path, monkeypatch)


def test_a_component_is_ready_once_a_job_of_this_host_has_begun_after_it(schedulers: Started) -> None:
    is_ready = schedulers.component("one", 100)
    schedulers.has_begun(99.5)
    schedulers.has_begun(103, hostname="there")
    assert not is_ready()
    schedulers.has_begun(103)
    assert is_ready()


def test_the_job_of_one_that_runs_does_not_make_the_next_one_ready(schedulers: Started) -> None:
    first, second = schedulers.component("one", 100), schedulers.component("two", 102)
    schedulers.has_begun(103)
    # Which of the two may have failed?
    assert not first()
    assert not second()
    schedulers.has_begun(105)
    assert first()
    assert second()


def test_what_has_ended_leaves_the_job_to_the_one_that_runs(schedulers: Started) -> None:
    first = schedulers.component("one", 100)
    schedulers.component("two", 102, alive=False)
    schedulers.has_begun(103)
    assert first()
