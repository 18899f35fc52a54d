"""Supervisors with harmless programs in place of components."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_rest_api import processes
from airflow_rest_api.services import status
from airflow_rest_api.services.status import State, Status
from tests.keeping import Kept, keep, wait_for
from tests.small_disk import FULL, small_disk

# Real processes, which take their time.
pytestmark = pytest.mark.slow

SLEEPS = "import time; time.sleep(600)"
IGNORES = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); time.sleep(600)"
)
OBEYS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); "
    "print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[list[Kept]]:
    """Return a list of supervisors; what is left of them afterwards is killed."""
    found: list[Kept] = []
    yield found
    for one in found:
        one.kill()


def run(kept: list[Kept], folder: Path, program: str, **order: object) -> Kept:
    kept.append(keep(folder, [sys.executable, "-c", program], **order))
    return kept[-1]


def test_the_exit_code_of_a_component_is_told(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, "raise SystemExit(7)")
    told = one.until(lambda said: said.state is State.FAILED)
    assert told.exit_code == 7
    assert told.message == "The component ended with exit code 7."
    assert told.pid is None
    assert one.is_gone()


def test_a_component_that_ends_by_itself_without_an_error_has_stopped(
    kept: list[Kept], tmp_path: Path
) -> None:
    told = run(kept, tmp_path, "").until(lambda said: said.state.ended)
    assert (told.state, told.exit_code) == (State.STOPPED, 0)


@pytest.mark.parametrize("restart", [False, True])
def test_a_machine_without_room_for_one_more_process_is_a_failure_like_others(
    tmp_path: Path, restart: bool
) -> None:
    # In a process of its own, as it adopts orphans and waits for whatever ends.
    program = (
        "import errno, os, sys; from dataclasses import replace\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from airflow_rest_api.services.supervisor import Order, Supervisor\n"
        "fork, refused = os.fork, []\n"
        "def full():\n"
        "    if not refused:\n"
        "        refused.append(1)\n"
        "        raise BlockingIOError(errno.EAGAIN, 'Resource temporarily unavailable')\n"
        "    return fork()\n"
        "os.fork = full\n"
        f"order = Order('test', {str(tmp_path)!r}, '', '', '', '', 'test', restart={restart}, "
        "pauses=(0.1, 0.1, 600), program=['/bin/true'])\n"
        "Supervisor(order).run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    words = "The component could not be started: Resource temporarily unavailable."
    assert words in done.stderr
    told = status.read(tmp_path)
    assert told is not None
    if restart:
        assert (told.state, told.restarts, told.exit_code) == (State.STOPPED, 1, 0)
    else:
        assert (told.state, told.message) == (State.FAILED, words)


def test_the_signal_that_ended_a_component_is_told(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, SLEEPS)
    os.kill(one.component, signal.SIGSEGV)
    told = one.until(lambda said: said.state is State.FAILED)
    assert told.exit_code == -signal.SIGSEGV
    assert told.message == "The component was ended by signal SIGSEGV."


def test_what_cannot_be_run_has_failed_and_its_log_says_why(kept: list[Kept], tmp_path: Path) -> None:
    kept.append(keep(tmp_path, ["/nonexistent/program"]))
    told = kept[-1].until(lambda said: said.state is State.FAILED)
    assert told.exit_code == 127
    assert "No such file or directory" in kept[-1].log


def test_stop_is_passed_on_to_the_component_and_its_end_is_no_failure(
    kept: list[Kept], tmp_path: Path
) -> None:
    one = run(kept, tmp_path, OBEYS)
    assert wait_for(lambda: "ready" in one.log)
    one.send(signal.SIGTERM)
    told = one.until(lambda said: said.state.ended)
    assert (told.state, told.exit_code) == (State.STOPPED, 3)


def test_a_component_that_does_not_obey_is_killed_after_the_grace_time(
    kept: list[Kept], tmp_path: Path
) -> None:
    one = run(kept, tmp_path, IGNORES, grace=0.5)
    assert wait_for(lambda: "ready" in one.log)
    one.send(signal.SIGTERM)
    assert one.until(lambda said: said.state is not State.STARTING).state in (State.STOPPING, State.STOPPED)
    told = one.until(lambda said: said.state.ended)
    assert (told.state, told.exit_code) == (State.STOPPED, -signal.SIGKILL)


def test_force_does_not_wait(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, IGNORES, grace=600)
    assert wait_for(lambda: "ready" in one.log)
    one.send(signal.SIGTERM)
    one.until(lambda said: said.state is State.STOPPING)
    one.send(signal.SIGUSR2)
    told = one.until(lambda said: said.state.ended)
    assert (told.state, told.exit_code) == (State.STOPPED, -signal.SIGKILL)


def test_everything_that_a_component_started_ends_with_it(kept: list[Kept], tmp_path: Path) -> None:
    # One in its group, one in a session of its own whose parent has left it, and one that does not obey.
    program = (
        "import subprocess, sys\n"
        f"sleeps, ignores = {SLEEPS!r}, {IGNORES!r}\n"
        "near = subprocess.Popen([sys.executable, '-c', sleeps])\n"
        "code = 'import subprocess, sys; print(subprocess.Popen([sys.executable, \"-c\", sys.argv[1]], '\n"
        "code += 'start_new_session=True, stdout=subprocess.DEVNULL).pid)'\n"
        "far = subprocess.check_output([sys.executable, '-c', code, ignores]).decode()\n"
        "print('all', near.pid, far, flush=True)\n"
        "near.wait()\n"
    )
    one = run(kept, tmp_path, program)
    assert wait_for(lambda: "all" in one.log)
    _, near, far = one.log.split()
    members = {int(pid): processes.start_of(int(pid)) for pid in (near, far)}
    assert all(members.values())
    one.send(signal.SIGTERM)
    one.until(lambda said: said.state.ended)
    assert not any(processes.is_alive(pid, start) for pid, start in members.items())


def from_elsewhere(folder: Path, then: str) -> str:
    """Return a program that has another component supervised in a folder, and ends."""
    return (
        f"import os, sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path; from tests.keeping import keep, starting\n"
        f"folder, words = Path({str(folder)!r}), [sys.executable, '-c', {SLEEPS!r}]\n{then}\n"
    )


def test_what_an_api_server_has_started_that_is_a_component_itself_outlives_it(
    kept: list[Kept], tmp_path: Path
) -> None:
    server, other = tmp_path / "server", tmp_path / "other"
    server.mkdir()
    other.mkdir()
    program = (
        f"import subprocess, sys, time; starts = {from_elsewhere(other, 'keep(folder, words)')!r}; "
        "subprocess.run([sys.executable, '-c', starts], check=True); print('started', flush=True); "
        "time.sleep(600)"
    )
    one = run(kept, server, program)
    assert wait_for(lambda: "started" in one.log)
    said = status.read(other)
    assert said is not None
    kept.append(Kept(said.supervisor, other))
    one.send(signal.SIGTERM)
    one.until(lambda ended: ended.state.ended)
    assert one.is_gone()
    assert processes.is_alive(said.supervisor, said.supervisor_start)
    assert processes.is_alive(said.pid, said.pid_start)


def test_a_supervisor_that_could_not_report_ends_with_whoever_has_started_it(tmp_path: Path) -> None:
    # Its folder is not there, so that it cannot.
    program = from_elsewhere(tmp_path / "gone", "print(starting(folder, words, logs=folder.parent))")
    pid = int(subprocess.check_output([sys.executable, "-c", program]))
    assert wait_for(lambda: processes.start_of(pid) is None)
    assert wait_for(lambda: not processes.marked("gone"))


def test_after_a_failure_it_is_started_again_with_growing_pauses(kept: list[Kept], tmp_path: Path) -> None:
    program = "import time; print(time.monotonic(), flush=True); raise SystemExit(1)"
    one = run(kept, tmp_path, program, restart=True, pauses=[0.2, 600, 600])
    assert wait_for(lambda: len(starts(one)) >= 4)
    moments = starts(one)
    assert [later - earlier for earlier, later in itertools.pairwise(moments)][2] >= 0.8
    told = one.until(lambda said: said.state is State.RESTARTING and said.restarts >= 4)
    assert told.exit_code == 1
    assert told.message == "The component ended with exit code 1. It is started again after 1.6 s."
    one.send(signal.SIGTERM)
    assert one.until(lambda said: said.state.ended).state is State.STOPPED
    assert one.is_gone()


def starts(one: Kept) -> list[float]:
    return [float(line) for line in one.log.splitlines() if line.replace(".", "").isdigit()]


def test_a_failure_after_a_good_while_counts_as_the_first(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, "raise SystemExit(1)", restart=True, pauses=[0.1, 600, 0])
    told = one.until(lambda said: said.restarts >= 5)
    assert "after 0.1 s" in str(told.message) or told.state is State.STARTING
    assert "after 0.2 s" not in one.log


def test_a_pause_is_never_longer_than_the_longest(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, "raise SystemExit(1)", restart=True, pauses=[0.1, 0.1, 600])
    one.until(lambda said: said.restarts >= 4)
    assert "after 0.2 s" not in one.log


def test_a_component_runs_once_it_shows_that_it_is_ready(kept: list[Kept], tmp_path: Path) -> None:
    program = "import time; time.sleep(1); print('now ready', flush=True); time.sleep(600)"
    one = run(kept, tmp_path, program, ready={"line": "ready$"})
    assert one.until(lambda said: said.pid is not None).state is State.STARTING
    one.until(lambda said: said.state is State.RUNNING)
    assert "now ready" in one.log


def test_it_reports_as_which_job_airflow_knows_the_component(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, OBEYS, ready={"job": "SchedulerJob"})
    assert one.until(lambda said: said.pid is not None).job == "SchedulerJob"


def test_restart_ends_the_component_and_starts_it_anew(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, OBEYS)
    before = one.component
    assert wait_for(lambda: "ready" in one.log)
    one.send(signal.SIGUSR1)
    told = one.until(lambda said: said.state is State.STARTING and said.pid != before)
    assert processes.start_of(before) is None
    assert told.restarts == 0


def test_a_restart_that_comes_while_the_component_fails_is_done(kept: list[Kept], tmp_path: Path) -> None:
    # What it leaves behind does not obey, so that its end takes a while.
    program = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IGNORES!r}], "
        "start_new_session=True); sys.stdin.close(); import time; time.sleep(2); sys.exit(1)"
    )
    one = run(kept, tmp_path, program)
    before = one.component
    assert wait_for(lambda: processes.start_of(before) is None)
    one.send(signal.SIGUSR1)
    told = one.until(lambda said: said.state.ended or said.pid not in (None, before))
    assert told.state is State.STARTING


def test_a_stop_counts_more_than_a_restart(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, IGNORES, grace=5)
    assert wait_for(lambda: "ready" in one.log)
    for order in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
        one.send(order)
    told = one.until(lambda said: said.state.ended)
    assert (told.state, one.log.count("ready")) == (State.STOPPED, 1)


def test_a_component_ends_when_its_supervisor_is_killed(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, OBEYS)
    assert wait_for(lambda: "ready" in one.log)
    component, start = one.component, processes.start_of(one.component)
    os.kill(one.pid, signal.SIGKILL)
    assert wait_for(lambda: not processes.is_alive(component, start))


def test_a_message_is_read_again_at_each_start(kept: list[Kept], tmp_path: Path) -> None:
    message = os.memfd_create("secret")
    os.write(message, b"the secret")
    program = "import os, sys; print(os.read(int(sys.argv[1]), 100), flush=True); sys.exit(1)"
    words = [sys.executable, "-c", program, str(message)]
    kept.append(keep(tmp_path, words, message=message, restart=True, pauses=[0, 0, 0]))
    os.close(message)
    assert wait_for(lambda: kept[-1].log.count("b'the secret'") >= 3)


def test_the_pid_file_holds_the_component_and_goes_with_it(kept: list[Kept], tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    one = run(kept, tmp_path, SLEEPS, pid_file=str(path))
    assert path.read_text() == f"{one.component}\n"
    one.send(signal.SIGTERM)
    one.until(lambda said: said.state.ended)
    assert not path.exists()


@pytest.mark.parametrize("kind", ["file", "link", "hard link", "pipe"])
def test_nothing_is_written_where_the_pid_file_leads(kept: list[Kept], tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "x.pid", tmp_path / "other"
    other.write_text("of somebody else")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "hard link":
        path.hardlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("1")
    one = run(kept, tmp_path, SLEEPS, pid_file=str(path))
    assert path.read_text() == f"{one.component}\n"
    assert path.lstat().st_nlink == 1
    assert other.read_text() == "of somebody else"


def test_a_pid_file_that_somebody_else_has_put_there_stays(kept: list[Kept], tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    one = run(kept, tmp_path, SLEEPS, pid_file=str(path))
    (tmp_path / "new").write_text("1\n")
    (tmp_path / "new").replace(path)
    one.send(signal.SIGTERM)
    one.until(lambda said: said.state.ended)
    assert path.read_text() == "1\n"
    assert not list(tmp_path.glob(".x.pid*"))


def test_a_component_starts_as_any_program_does(kept: list[Kept], tmp_path: Path) -> None:
    program = (
        "import json, os, signal; print(json.dumps({"
        "'blocked': [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())], "
        "'open': sorted(map(int, os.listdir('/proc/self/fd'))), "
        "'sid': os.getsid(0) == os.getpid(), 'stdin': os.readlink('/proc/self/fd/0')}), flush=True)"
    )
    one = run(kept, tmp_path, program)
    one.until(lambda said: said.state.ended)
    said = json.loads(one.log.splitlines()[0])
    assert said["blocked"] == []
    assert len(said["open"]) == 4  # the three of every program, and the folder it reads them from
    assert said["sid"]
    assert said["stdin"] == "/dev/null"


def test_the_status_is_private(kept: list[Kept], tmp_path: Path) -> None:
    run(kept, tmp_path, SLEEPS)
    assert (tmp_path / status.NAME).stat().st_mode & 0o777 == 0o600


def test_a_supervisor_is_small(kept: list[Kept], tmp_path: Path) -> None:
    one = run(kept, tmp_path, SLEEPS)
    text = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
    private = [int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")]
    assert sum(private) < 20 * 1024


def test_a_status_that_is_no_status_says_nothing(tmp_path: Path) -> None:
    assert status.read(tmp_path) is None
    for text in ("", "{", "[]", '{"pid": 1}', "null"):
        (tmp_path / status.NAME).write_text(text)
        assert status.read(tmp_path) is None
    Status(1, "x").write(str(tmp_path))
    assert status.read(tmp_path) == Status(1, "x")


@pytest.mark.parametrize("how", FULL)
def test_a_component_that_ends_on_a_full_disk_is_known_to_have_ended(
    kept: list[Kept], tmp_path: Path, how: str
) -> None:
    with small_disk(tmp_path / "small") as folder:
        program = f"import os, time\nwhile not os.path.exists({str(folder / 'filled')!r}): time.sleep(0.05)\n"
        one = run(kept, folder, program + "raise SystemExit(7)")
        (folder / "reserve").touch()
        FULL[how](folder)
        (folder / "reserve").rename(folder / "filled")
        # The reason comes a moment after the state: the first report finds no room.
        told = one.until(lambda said: said.state is State.FAILED and "no room" in str(said.message))
        assert told.exit_code == 7
        assert str(told.message).startswith("The component ended with exit code 7.")
        assert one.is_gone()


@pytest.mark.parametrize("how", FULL)
def test_a_component_that_is_stopped_on_a_full_disk_has_stopped(
    kept: list[Kept], tmp_path: Path, how: str
) -> None:
    with small_disk(tmp_path / "small") as folder:
        one = run(kept, folder, SLEEPS)
        FULL[how](folder)
        one.send(signal.SIGTERM)
        assert one.until(lambda said: said.state.ended).state is State.STOPPED
        assert one.is_gone()
