"""
The start of a component, in a child of the engine: Airflow is imported there, and it is no web server.

The component itself is a new program under a supervisor of its own; this child waits until it is ready, or
has failed, and prints that.
"""

# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from airflow_rest_api import processes
from airflow_rest_api.disk_full import has_room
from airflow_rest_api.engine.parent import interpreter
from airflow_rest_api.services import status
from airflow_rest_api.services.logs import NotOurs, open_to_add, open_to_read
from airflow_rest_api.services.status import State, Status, configured, is_ready
from airflow_rest_api.services.supervisor import OBEYED, Order

HOME = "rest_api"
"""The folder in AIRFLOW_HOME with the private folders of components."""

LAST_LINES = 4096
"""Bytes of a log that are looked at for its last lines."""


def log_name(kind: str, identifier: str) -> str:
    """Return the name of a component's log files, which end with `.out` and `.err`."""
    return f"rest-api-{kind}-{identifier}"


class StartRefused(Exception):
    """The component cannot be started like this, and nothing was done; the message is one sentence."""


def write_message(content: object) -> int:
    """Put something where no list of processes shows it; return the descriptor to read it from."""
    message = os.memfd_create("order")
    with os.fdopen(os.dup(message), "w") as file:
        json.dump(content, file)
    os.lseek(message, 0, os.SEEK_SET)
    return message


def open_log(folder: Path, name: str) -> int:
    """
    Open a file of the log folder at its end.

    :raises StartRefused: it is no file that a start of a component has made, or cannot be written
    """
    try:
        return open_to_add(folder / name)
    except NotOurs as error:
        text = f"The log file '{name}' cannot be written: {error}. Name another one, or take it away"
        raise StartRefused(text) from None
    except OSError as error:
        raise StartRefused(f"The log file '{name}' cannot be written: {error.strerror}") from None


def private_folder(home: Path, folder: Path) -> Path:
    """Make a folder below AIRFLOW_HOME, each part of the way to it for the user of this process alone."""
    place = home
    for part in folder.relative_to(home).parts:
        place = place / part
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StartRefused(f"{place} is no folder of the user that runs Airflow")
    return folder


def check_pid_file(home: Path, name: str) -> Path:
    """
    Return the path of a pid file that may be written.

    :raises StartRefused: what lies there is something else, or names a process that runs
    """
    path = home / name
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StartRefused(f"'{name}' exists and is no pid file")
            text = file.read(64).strip()
    except FileNotFoundError:
        return path
    except (OSError, UnicodeDecodeError):
        raise StartRefused(f"The pid file '{name}' cannot be written") from None
    if text and not (text.isascii() and text.isdigit()):
        raise StartRefused(f"'{name}' exists and is no pid file")
    if text and processes.start_of(int(text)):
        raise StartRefused(f"Process {text}, which the pid file '{name}' names, is running already")
    return path


def last_lines(path: Path, offset: int, most: int = 10) -> str:
    """Return the last lines that were written to a log after a place in it; raise OSError."""
    with os.fdopen(open_to_read(path), "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(offset, size - LAST_LINES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-most:])


MODULE = "airflow_rest_api.services.child_start"
ENTRY = f"{MODULE}:run_order"

ENGINES_OWN = ("COLUMNS", "NO_COLOR", "TERM")
"""What the engine sets for commands whose output it reads."""

REPORT_WITHIN = 30.0
"""Seconds in which a supervisor has started its component."""

Marks = list[tuple[Path, int]]
"""Log files, and how long they were when the component was started."""


def run_order(argv: list[str]) -> int:
    """Start a component; the only word is an `Order` as JSON."""
    order: dict[str, Any] = json.loads(argv[0])
    try:
        return start(Order(**order))
    except StartRefused as refusal:
        print(refusal, file=sys.stderr)
        return 1


def start(order: Order) -> int:
    """
    Start a component under a supervisor, and wait until it is ready or has failed.

    :return: the exit code to end with: not 0 where it has failed
    :raises StartRefused: a file cannot be written, or the process of another component has the pid file
    """
    pid_file = check_pid_file(Path(order.home), order.pid_file) if order.pid_file else None
    logs = Path(order.logs)
    try:
        logs.mkdir(parents=True, exist_ok=True)
        folder = private_folder(Path(order.home), Path(order.folder))
    except OSError as error:
        raise StartRefused(f"A folder cannot be made: {error}") from None
    if not has_room(folder):
        # Its supervisor could not report: the component would run, and not be known.
        raise StartRefused(f"The component cannot be started: no room is left on the disk of {folder}")
    output = open_log(logs, order.stdout)
    errors = open_log(logs, order.stderr) if order.stderr != order.stdout else output
    marks = [(logs / order.stdout, os.fstat(output).st_size)]
    if errors != output:
        marks.append((logs / order.stderr, os.fstat(errors).st_size))
    # The list of processes shows the arguments without secrets, and not who has started it.
    secret = {"argv": order.argv, "user": order.user}
    message = write_message(secret) if order.argv is not None else None
    order = replace(
        order,
        argv=None,
        pid_file=str(pid_file) if pid_file else None,
        ready=configured(order.ready),
        program=program_for(order, message),
        message=message,
    )
    supervisor = start_supervisor(order, output, errors)
    _await_report(folder, supervisor)
    return _follow(order, folder, marks)


def start_supervisor(order: Order, output: int, errors: int) -> int:
    """
    Start a supervisor in a session of its own: the end of this process, or of the engine, does not end it.

    :param output: descriptor for what the component prints
    :return: its process id
    """
    message = write_message(asdict(replace(order, starter=os.getpid())))
    inherited = [message] if order.message is None else [message, order.message]
    process = subprocess.Popen(
        interpreter("services.supervisor", str(message), order.kind, options=("-I", "-S")),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        cwd=order.home,
        env=_environment(order.folder),
        pass_fds=inherited,
        start_new_session=True,
        preexec_fn=_before_supervisor,
        umask=0o022,
    )
    os.close(message)
    # It is not ours to wait for; without this the interpreter would complain at its end.
    process.returncode = 0
    return process.pid


def program_for(order: Order, message: int | None) -> list[str]:
    """
    Return the program to run, and its arguments, without a secret among them.

    :param message: the descriptor from which Airflow's command line is read, where it is one of Airflow's
    """
    if order.argv is None:
        return [sys.executable, "-c", str(order.code)]
    shown = order.argv if order.shown is None else order.shown
    return interpreter("services.child_start", str(message), "airflow", *shown)


def main(message: int, name: str, *shown: str) -> None:
    """
    Be a component: Airflow's own command line, read from a descriptor.

    :param message: of a JSON object: `argv`, and the `user` whom Airflow's event log is to name, or None
    :param name: of the program, for the list of processes
    :param shown: `argv` without its secrets, for that list and for Airflow's own records
    """
    from airflow_rest_api.airflow import event_log
    from airflow_rest_api.airflow.child.setup import act_as, run_airflow

    with os.fdopen(message) as file:
        order = json.load(file)
    script = Path(sys.executable).with_name(name)
    sys.argv = [str(script) if script.is_file() else name, *shown]
    if order["user"] is not None:
        act_as(order["user"])
    event_log.shorten_command_rows()
    run_airflow(order["argv"])


def _await_report(folder: Path, supervisor: int) -> None:
    """Wait until a new supervisor has started its component."""
    until = time.monotonic() + REPORT_WITHIN
    while time.monotonic() < until:
        report = status.read(folder)
        if report is not None and report.supervisor == supervisor:
            return
        if processes.start_of(supervisor) is None:
            break
        time.sleep(0.02)
    if (start := processes.start_of(supervisor)) is not None:
        # It cannot report, and its component, which ends with it, would run without being known.
        processes.send(supervisor, start, signal.SIGKILL)
    raise StartRefused("The component could not be started: the server's log says more")


def _follow(order: Order, folder: Path, marks: Marks) -> int:
    until = time.monotonic() + order.wait
    while True:
        report = status.read(folder)
        if report is None or report.state.ended or report.pid is None:
            break
        if time.monotonic() >= until or is_ready(report, folder):
            print(f"Started {order.title} as process {report.pid}, output in {order.stdout}")
            return 0
        time.sleep(0.1)
    if report is not None and report.state is not State.STOPPED:
        return _print_failure(report, marks)
    print(f"Started {order.title}, which has ended, output in {order.stdout}")
    return 0


def _print_failure(report: Status, marks: Marks) -> int:
    """Print the last lines of a component's logs, and return an exit code like its own."""
    for path, begin in marks:
        # Taken away, or moved: what is there now is not what this component has printed.
        with contextlib.suppress(OSError):
            if lines := last_lines(path, begin):
                print(f"{path.name}:\n{lines}", file=sys.stderr)
    print(report.message, file=sys.stderr)
    code = report.exit_code if report.exit_code is not None else 1
    return code if code > 0 else 128 - code


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ENGINES_OWN}
    return {**kept, processes.MARK: Path(folder).name}


def _before_supervisor() -> None:
    # It asks for these signals when it is ready to obey them.
    signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
    # The engine's limit is for one command; where it is a hard one, only an administrator could lift it.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
