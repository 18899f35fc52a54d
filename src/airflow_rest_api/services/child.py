"""
What runs in the engine's child to start a component: Airflow is imported there, and it is no web server.

The component itself is a new program under a keeper of its own, see `keeper`; this child waits until it is
ready, or has failed, and tells.
"""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_rest_api.engine.parent import BOOTSTRAP
from airflow_rest_api.room import has_room
from airflow_rest_api.services import processes, status
from airflow_rest_api.services.files import (
    StartRefused,
    check_pid_file,
    last_lines,
    open_log,
    private_folder,
    write_letter,
)
from airflow_rest_api.services.readiness import Signs
from airflow_rest_api.services.status import Status
from airflow_rest_api.services.supervisor import OBEYED

ENGINES_OWN = ("COLUMNS", "NO_COLOR", "TERM")
"""What the engine sets for commands whose output it reads."""

KEEPER_PATIENCE = 30.0
"""Seconds in which a keeper has started its component."""
ROOT = str(Path(__file__).parents[2])

Marks = list[tuple[Path, int]]
"""Log files, and how long they were when the component was started."""


@dataclass(frozen=True)
class Order:
    """
    A component to be started.

    :ivar argv: of Airflow, or None with `code` for the interpreter
    :ivar shown: `argv` without its secrets, None where it has none
    :ivar folder: its private folder, made here
    :ivar stdout: name of a file in the log folder `logs`, `stderr` another or the same
    :ivar pid_file: name of a file in AIRFLOW_HOME, or None
    :ivar words: the component in the client's words
    :ivar user: the Airflow user who starts it, None for the user of the operating system
    :ivar again: whether to start it again after a failure; `pauses` and `grace`: see `keeper.Keeper`
    :ivar wait: seconds to wait at most until it is ready or has failed
    :ivar ready: how to tell that it is ready: see `signs.Signs`
    """

    id: str
    kind: str
    folder: str
    home: str
    logs: str
    stdout: str
    stderr: str
    words: str
    user: str | None = None
    argv: list[str] | None = None
    code: str | None = None
    shown: list[str] | None = None
    pid_file: str | None = None
    again: bool = False
    pauses: tuple[float, float, float] = (1, 60, 60)
    grace: float = 60
    wait: float = 20
    ready: dict[str, Any] | None = None


def main(argv: list[str]) -> int:
    """Start a component; the only word is an `Order` as JSON."""
    order: dict[str, Any] = json.loads(argv[0])
    try:
        return start(Order(**order))
    except StartRefused as refusal:
        print(refusal, file=sys.stderr)
        return 1


def start(order: Order) -> int:
    """
    Start a component under a keeper, and wait until it is ready or has failed.

    :return: the exit code to end with: not 0 where it has failed
    :raises StartRefused: a file cannot be written, or somebody else's component has the pid file
    """
    pid_file = check_pid_file(Path(order.home), order.pid_file) if order.pid_file else None
    logs = Path(order.logs)
    try:
        logs.mkdir(parents=True, exist_ok=True)
        folder = private_folder(Path(order.home), Path(order.folder))
    except OSError as error:
        raise StartRefused(f"A folder cannot be made: {error}") from None
    if not has_room(folder):
        # Its keeper could not tell of it, and nobody would know that it runs.
        raise StartRefused(f"The component cannot be started: no room is left on the disk of {folder}")
    output = open_log(logs, order.stdout)
    errors = open_log(logs, order.stderr) if order.stderr != order.stdout else output
    marks = [(logs / order.stdout, os.fstat(output).st_size)]
    if errors != output:
        marks.append((logs / order.stderr, os.fstat(errors).st_size))
    # The words that anybody sees are without secrets, and who started it is nobody's business there.
    letter = write_letter({"argv": order.argv, "user": order.user}) if order.argv is not None else None
    keepers_order = {
        "words": words_for(order, letter),
        "folder": str(folder),
        "letter": letter,
        "pid_file": str(pid_file) if pid_file else None,
        "again": order.again,
        "pauses": list(order.pauses),
        "grace": order.grace,
    }
    keeper = start_keeper(keepers_order, output, errors, Path(order.home), order.kind)
    _first_word(folder, keeper)
    return _follow(order, folder, marks)


def start_keeper(order: dict[str, Any], output: int, errors: int, home: Path, shown: str) -> int:
    """
    Start a keeper in a session of its own: neither the end of this process nor that of the engine ends it.

    :param output: descriptor for what the component prints
    :param shown: for the list of processes
    :return: its process id
    """
    letter = write_letter(order)
    inherited = [letter] if order["letter"] is None else [letter, order["letter"]]
    words = [sys.executable, "-I", "-S", "-c", BOOTSTRAP, ROOT, "airflow_rest_api.services.supervisor"]
    process = subprocess.Popen(
        [*words, str(letter), shown],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        cwd=home,
        env=_environment(order["folder"]),
        pass_fds=inherited,
        start_new_session=True,
        preexec_fn=_before_keeper,
        umask=0o022,
    )
    os.close(letter)
    # It is not ours to wait for; without this the interpreter would complain at its end.
    process.returncode = 0
    return process.pid


def words_for(order: Order, letter: int | None) -> list[str]:
    """
    Return the program to run, and its arguments, without a secret among them.

    :param letter: the descriptor from which Airflow's command line is read, where it is one of Airflow's
    """
    if order.argv is None:
        return [sys.executable, "-c", str(order.code)]
    module = "airflow_rest_api.services.component"
    shown = order.argv if order.shown is None else order.shown
    return [sys.executable, "-c", BOOTSTRAP, ROOT, module, str(letter), "airflow", *shown]


def _first_word(folder: Path, keeper: int) -> None:
    """Wait until a new keeper has started its component."""
    until = time.monotonic() + KEEPER_PATIENCE
    while time.monotonic() < until:
        said = status.read(folder)
        if said is not None and said.keeper == keeper:
            return
        if processes.start_of(keeper) is None:
            break
        time.sleep(0.02)
    if (start := processes.start_of(keeper)) is not None:
        # It cannot tell of its component, which ends with it: nobody would know that it runs.
        processes.send(keeper, start, signal.SIGKILL)
    raise StartRefused("The component could not be started: the server's log says more")


def _follow(order: Order, folder: Path, marks: Marks) -> int:
    signs = Signs(order.ready or {}, marks)
    until = time.monotonic() + order.wait
    while True:
        said = status.read(folder)
        if said is None or said.state in (*status.ENDED, status.WAITING):
            break
        late = time.monotonic() >= until
        if said.pid and (late or signs.ready(said.pid, said.started_at or 0.0)):
            print(f"Started {order.words} as process {said.pid}, output in {order.stdout}")
            return 0
        time.sleep(0.1)
    if said is not None and said.state != status.STOPPED:
        return _tell_failure(said, marks)
    print(f"Started {order.words}, which has ended, output in {order.stdout}")
    return 0


def _tell_failure(said: Status, marks: Marks) -> int:
    """Print what a component said last, and return an exit code like its own."""
    for path, begin in marks:
        # Taken away, or moved aside: what is there now is not what it said.
        with contextlib.suppress(OSError):
            if lines := last_lines(path, begin):
                print(f"{path.name}:\n{lines}", file=sys.stderr)
    print(said.message, file=sys.stderr)
    code = said.exit_code if said.exit_code is not None else 1
    return code if code > 0 else 128 - code


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ENGINES_OWN}
    return {**kept, processes.MARK: Path(folder).name}


def _before_keeper() -> None:
    # It asks for these signals when it is ready to obey them.
    signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
    # The engine's limit is for one command; where it is a hard one, only an administrator could lift it.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
