from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest

from airflow_rest_api import processes
from tests.keeping import sleeper, wait_for


def test_a_process_is_known_by_its_start() -> None:
    start = processes.start_of(os.getpid())
    assert start == processes.start_of(os.getpid())
    assert processes.is_alive(os.getpid(), start)
    assert start != processes.start_of(1)


def test_a_process_that_ended_is_not_alive_even_before_somebody_waited_for_it() -> None:
    process = subprocess.Popen(["true"])
    assert wait_for(lambda: processes.start_of(process.pid) is None)
    process.wait()
    assert processes.start_of(process.pid) is None


@pytest.mark.parametrize("pid", [None, 0, 2**22 + 1])
def test_a_number_that_is_no_process_is_not_alive(pid: int | None) -> None:
    assert processes.start_of(pid) is None
    assert not processes.is_alive(pid, "anything")
    assert not processes.is_alive(os.getpid(), None)


def test_a_signal_reaches_the_process_that_is_meant() -> None:
    process = sleeper()
    start = processes.start_of(process.pid)
    assert start is not None
    assert processes.send(process.pid, start, signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    assert not processes.send(process.pid, start, signal.SIGTERM)


def test_a_stranger_who_got_the_number_later_is_never_touched() -> None:
    stranger = sleeper()
    try:
        before = f"{processes.boot()}:1"
        assert not processes.is_alive(stranger.pid, before)
        assert not processes.send(stranger.pid, before, signal.SIGKILL)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_same_number_and_tick_of_another_boot_is_a_stranger() -> None:
    tick = str(processes.start_of(os.getpid())).partition(":")[2]
    assert not processes.is_alive(os.getpid(), f"0badb007:{tick}")


def test_the_family_of_a_process_is_what_it_started_and_what_that_started() -> None:
    program = (
        "import subprocess, sys; "
        'code = \'import subprocess; subprocess.run(["sleep", "600"])\'; '
        "subprocess.run([sys.executable, '-c', code])"
    )
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        assert wait_for(lambda: len(processes.family(process.pid)) == 2)
        assert set(processes.family(process.pid)) < set(processes.session(process.pid))
        assert processes.session(process.pid)[process.pid] == processes.start_of(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_marked_processes_are_found_wherever_they_are() -> None:
    # The other interpreters may run this at the same time.
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        ["sleep", "600"], env={**os.environ, processes.MARK: mark}, start_new_session=True
    )
    try:
        assert wait_for(lambda: process.pid in processes.marked(mark))
        assert processes.marked(mark[:-1]) == {}
    finally:
        process.kill()
        process.wait()
    assert processes.marked(mark) == {}


def test_a_program_whose_name_has_spaces_and_brackets_is_read_right(tmp_path: object) -> None:
    script = f"{tmp_path}/x) S 1 (y"
    with open(script, "w") as file:
        file.write("#!/bin/sh\nsleep 600\n")
    os.chmod(script, 0o755)
    process = subprocess.Popen([script], start_new_session=True)
    try:
        assert wait_for(lambda: len(processes.family(process.pid)) == 1)
        assert processes.start_of(process.pid) is not None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
