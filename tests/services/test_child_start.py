"""What the engine's child does to start a component."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from airflow_rest_api import processes
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Job, Limits
from airflow_rest_api.operations.model import new_id
from airflow_rest_api.services import status
from airflow_rest_api.services.child_start import (
    ENTRY,
    StartRefused,
    check_pid_file,
    last_lines,
    open_log,
    private_folder,
    program_for,
    start,
    write_message,
)
from airflow_rest_api.services.supervisor import Order
from tests.keeping import made
from tests.small_disk import FULL, make_room, small_disk


@pytest.mark.slow
@pytest.mark.parametrize("how", FULL)
def test_a_component_without_room_is_not_started_and_it_is_said_why(tmp_path: Path, how: str) -> None:
    with small_disk(tmp_path / "small") as home:
        order = Order(
            kind="log-server",
            folder=str(home / "services" / "one"),
            home=str(home),
            logs=str(home),
            stdout="out",
            stderr="out",
            title="the test",
            code="print('begun', flush=True)",
        )
        FULL[how](home)
        before = processes.family(os.getpid())
        with pytest.raises(StartRefused, match=r"[Nn]o (room|space) (is )?left"):
            start(order)
        assert processes.family(os.getpid()) == before
        make_room(home)
        assert start(order) == 0
        assert (home / "out").read_text().startswith("begun")


@pytest.mark.slow
def test_a_component_that_is_not_ready_yet_outlives_the_api_server(tmp_path: Path) -> None:
    folder = tmp_path / "services" / new_id()
    order = an_order(
        **dict.fromkeys(("home", "logs"), str(tmp_path)),
        folder=str(folder),
        code="import time; time.sleep(600)",
        ready={"line": "never"},
        wait=60,
    )

    async def cut_off() -> status.Status | None:
        engine = Engine(Limits(fork=False))
        engine.submit(Job([json.dumps(asdict(order))], entry=ENTRY))
        while (said := status.read(folder)) is None:
            await asyncio.sleep(0.05)
        await engine.stop()
        return said

    said = asyncio.run(cut_off())
    assert said is not None
    try:
        assert processes.is_alive(said.supervisor, said.supervisor_start)
        assert processes.is_alive(said.pid, said.pid_start)
    finally:
        processes.kill_all(processes.marked(folder.name))


def test_a_log_is_added_to(tmp_path: Path) -> None:
    made(tmp_path, "x.log", "old\n")
    descriptor = open_log(tmp_path, "x.log")
    os.write(descriptor, b"new\n")
    os.close(descriptor)
    assert (tmp_path / "x.log").read_text() == "old\nnew\n"


def test_a_link_does_not_lead_out_of_the_log_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").symlink_to(outside)
    with pytest.raises(StartRefused, match="cannot be written"):
        open_log(tmp_path / "logs", "x.log")
    assert not outside.exists()


def test_what_is_no_file_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(StartRefused, match=name):
            open_log(tmp_path, name)


def test_a_pid_file_may_be_new_or_of_a_process_that_has_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert check_pid_file(tmp_path, "x.pid") == tmp_path / "x.pid"
    for text in ("", "\n", f"{ended.pid}\n"):
        (tmp_path / "x.pid").write_text(text)
        assert check_pid_file(tmp_path, "x.pid") == tmp_path / "x.pid"


def test_a_pid_file_of_a_process_that_runs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.pid").write_text(f"{os.getpid()}\n")
    with pytest.raises(StartRefused, match=f"Process {os.getpid()}, which .* is running"):
        check_pid_file(tmp_path, "x.pid")


def test_nothing_but_a_pid_file_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "other.pid").write_text("something else")
    (tmp_path / "binary.pid").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.pid").mkdir()
    (tmp_path / "link.pid").symlink_to(tmp_path / "nowhere")
    for name in ("other.pid", "binary.pid", "folder.pid", "link.pid"):
        with pytest.raises(StartRefused, match=name):
            check_pid_file(tmp_path, name)


def test_a_pipe_is_no_pid_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pid")
    with pytest.raises(StartRefused, match="is no pid file"):
        check_pid_file(tmp_path, "x.pid")


def test_a_log_that_nobody_made_here_is_named_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("of somebody else")
    with pytest.raises(StartRefused, match=r"'x\.log' cannot be written: .* has made it\. Name another"):
        open_log(tmp_path, "x.log")


def test_a_private_folder_is_for_nobody_else(tmp_path: Path) -> None:
    folder = private_folder(tmp_path, tmp_path / "a" / "b")
    for each in (folder, folder.parent):
        assert each.stat().st_mode & 0o777 == 0o700
    assert private_folder(tmp_path, folder) == folder


def test_a_private_folder_is_not_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartRefused, match="is no folder of the user"):
        private_folder(tmp_path, tmp_path / "a" / "b")


def test_the_last_lines_are_those_since_the_start(tmp_path: Path) -> None:
    log = made(tmp_path, "log", "before\n" + "".join(f"{number}\n\n" for number in range(20)))
    assert last_lines(log, 0, most=2) == "18\n19"
    assert last_lines(log, len("before\n"), most=100).splitlines()[0] == "0"
    assert last_lines(log, log.stat().st_size) == ""


def test_a_message_is_in_no_folder_and_can_be_read() -> None:
    message = write_message(["a", "secret"])
    assert os.read(message, 100) == b'["a", "secret"]'
    assert "memfd" in os.readlink(f"/proc/self/fd/{message}")
    os.close(message)


def an_order(**values: object) -> Order:
    known = dict.fromkeys(("kind", "folder", "home", "logs", "stdout", "stderr", "title"), "x")
    return Order(**{**known, **values})  # type: ignore[arg-type]


@pytest.mark.airflow
def test_a_command_line_with_a_secret_is_in_no_list_of_processes_and_arrives() -> None:
    shown = ["users", "create", "--password=***"]
    argv = ["config", "get-value", "core", "hunter22"]
    message = write_message({"argv": argv, "user": None})
    program = program_for(an_order(argv=argv, shown=shown), message)

    done = subprocess.run(
        program, pass_fds=[message], capture_output=True, text=True, timeout=120, check=False
    )
    os.close(message)

    assert "hunter22" not in " ".join(program)
    assert program[-3:] == shown
    # What ran is what was in the message.
    assert "[core/hunter22] not found" in done.stdout + done.stderr


@pytest.mark.airflow
def test_without_a_secret_the_list_of_processes_shows_the_command() -> None:
    program = program_for(an_order(argv=["celery", "worker"]), 7)
    assert program[0] == sys.executable
    assert program[-3:] == ["airflow", "celery", "worker"]
