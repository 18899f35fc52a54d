from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_rest_api import processes
from airflow_rest_api.services import readiness
from airflow_rest_api.services.status import State, Status
from demo.ports import free_port
from tests.keeping import wait_for


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
        assert wait_for(lambda: readiness.shows({"port": str(port)}, process.pid, 0.0, ()))
        assert not readiness.listens(process.pid, free_port())
    finally:
        for pid in (*processes.family(process.pid), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_a_port_on_which_another_process_listens_is_no_sign() -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert readiness.listens(os.getpid(), port)
            assert not readiness.listens(other.pid, port)
    finally:
        other.kill()
        other.wait()


def test_a_file_counts_from_the_start_on(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    assert not readiness.shows({"file": str(path)}, 1, 0.0, ())
    path.touch()
    assert readiness.shows({"file": f"FILE:{path}"}, 1, time.time(), ())
    assert not readiness.shows({"file": str(path)}, 1, time.time() + 10, ())


def test_a_line_counts_from_the_start_on_in_either_log(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    out.write_text("I am ready.\n")
    err.write_text("")
    logs = [(str(out), out.stat().st_size), (str(err), 0)]
    probe = {"line": r"\bready\.\s*$"}
    assert not readiness.shows(probe, 1, 0.0, logs)
    err.write_text("[ready]\nnow ready. \n")
    assert readiness.shows(probe, 1, 0.0, logs)


def test_what_cannot_be_seen_is_ready_when_its_supervisor_reports_it() -> None:
    starting = Status(1, "x", pid=1)
    assert not readiness.is_visible({})
    assert not readiness.is_ready({}, starting)
    assert readiness.is_ready({}, Status(1, "x", State.RUNNING, pid=1))
    assert not readiness.is_ready({"job": "SchedulerJob"}, Status(1, "x", State.STOPPING, pid=1))
