"""A child of the engine as the API server sees it, and how a process is started in which one can live."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_rest_api import processes
from airflow_rest_api.engine.job import Limits

log = logging.getLogger(__name__)

SERVER_ONLY = ("_AIRFLOW_PROCESS_CONTEXT", "AIRFLOW_API_APPS", "AIRFLOW_DEV_RELOADER_PID")
"""Variables that Airflow's API server sets for itself; a command line does not have them."""

BOOTSTRAP = (
    "import sys; root, module, *rest = sys.argv[1:]; sys.path = [p for p in sys.path if p]; "
    "sys.path.append(root) if root not in sys.path else None; import importlib; "
    "importlib.import_module(module).main(int(rest[0]), *rest[1:])"
)
"""Finds this package where the API server found it, be it site-packages or the plugins folder."""


class ParentLost(Exception):
    """The warm parent is gone, and with it what it knew of its children."""


class NoRoom(Exception):
    """This machine has no room for one more process, or for its descriptors."""


class Child:
    """
    A process that waits for its job.

    :ivar exited: becomes its wait status (`os.waitstatus_to_exitcode`), or raises `ParentLost`
    """

    def __init__(
        self, pid: int, control: socket.socket, stdout: int, stderr: int, send_signal: Callable[[int], None]
    ) -> None:
        self.pid = pid
        self.control = control
        self.stdout = stdout
        self.stderr = stderr
        self.send_signal = send_signal
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting when the parent is lost.
        self.exited.add_done_callback(lambda future: future.cancelled() or future.exception())
        control.setblocking(False)
        for descriptor in (stdout, stderr):
            os.set_blocking(descriptor, False)

    def has_exited(self, code: int) -> None:
        """Note the end: its exit code, or its signal as a negative number."""
        if not self.exited.done():
            self.exited.set_result(code)

    def close(self) -> None:
        """Let go of the descriptors; a child that still waits for its job ends by that."""
        self.control.close()
        for name in ("stdout", "stderr"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)


def environment(limits: Limits) -> dict[str, str]:
    """Return the variables that every command gets: the server's own, for a terminal without colours."""
    kept = {name: value for name, value in os.environ.items() if name not in SERVER_ONLY}
    return {**kept, "COLUMNS": str(limits.columns), "NO_COLOR": "1", "TERM": "dumb"}


def interpreter(module: str, *rest: str) -> list[str]:
    root = str(Path(__file__).parents[2])
    return [sys.executable, "-c", BOOTSTRAP, root, f"airflow_rest_api.engine.{module}", *rest]


async def fresh_child(limits: Limits, folder: str) -> Child:
    """Start a new interpreter that waits for its job: slower by all of Airflow's imports, always possible."""
    ours, theirs = socket.socketpair()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()

    def start() -> subprocess.Popen[Any]:
        return subprocess.Popen(
            interpreter("child", str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=out_write,
            stderr=err_write,
            cwd=folder,
            env=environment(limits),
            start_new_session=True,
        )

    def let_go(*descriptors: int) -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    def abandoned(started: asyncio.Future[subprocess.Popen[Any]]) -> None:
        # Without its engine the child ends by itself; somebody has to take note of that.
        ours.close()
        theirs.close()
        let_go(out_read, err_read, out_write, err_write)
        if not started.cancelled() and started.exception() is None:
            threading.Thread(target=started.result().wait, daemon=True).start()

    starting = asyncio.ensure_future(asyncio.to_thread(start))
    try:
        process = await asyncio.shield(starting)
    except BaseException:
        # The thread may still be at it: a descriptor that it hands on must not be somebody else's by then.
        starting.add_done_callback(abandoned)
        raise
    theirs.close()
    let_go(out_write, err_write)

    known: processes.Processes = {}

    def send_signal(number: int) -> None:
        if process.returncode is None:
            known.update(processes.strays_of(process.pid))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            processes.signal_all(known, number)

    child = Child(process.pid, ours, out_read, err_read, send_signal)
    loop = asyncio.get_running_loop()

    def wait() -> None:
        # Not reaped yet: until the group is gone its number cannot be given to a stranger.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        processes.kill_all(known)
        code = process.wait()
        loop.call_soon_threadsafe(child.has_exited, code)

    threading.Thread(target=wait, name=f"airflow-command-{process.pid}", daemon=True).start()
    return child
