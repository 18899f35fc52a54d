"""Supervisors for tests: started as the engine's child does, with harmless programs to supervise."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow_rest_api import processes
from airflow_rest_api.operations.model import new_id
from airflow_rest_api.services import child_start, status
from airflow_rest_api.services.child_start import open_log
from airflow_rest_api.services.model import Service
from airflow_rest_api.services.supervisor import Order

PATIENCE = 60


class Kept:
    """A supervisor, and the folder in which it reports."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self.folder = folder
        self.start = processes.start_of(pid)

    @property
    def component(self) -> int:
        """The process of the component."""
        pid = self.until(lambda said: said.pid is not None).pid
        assert pid is not None
        return pid

    @property
    def log(self) -> str:
        """What the component and its supervisor have printed."""
        return (self.folder / "log").read_text()

    def until(self, holds: Callable[[status.Status], bool]) -> status.Status:
        """Wait until something holds of the report, and return that."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            said = status.read(self.folder)
            if said is not None and holds(said):
                return said
            time.sleep(0.01)
        raise TimeoutError(f"{status.read(self.folder)}: {self.log}")

    def send(self, number: int) -> None:
        """Send the supervisor a signal."""
        assert self.start is not None
        assert processes.send(self.pid, self.start, number)

    def is_gone(self) -> bool:
        """Wait for the end of the supervisor, and tell whether it came."""
        return wait_for(lambda: processes.start_of(self.pid) is None)

    def kill(self) -> None:
        """Leave nothing behind."""
        left = [self.pid, *processes.family(self.pid)]
        if (said := status.read(self.folder)) and said.pid and processes.is_alive(said.pid, said.pid_start):
            left += [said.pid, *processes.family(said.pid)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def keep(folder: Path, words: Sequence[str], **order: Any) -> Kept:
    """Have a program supervised; `order` is more for the supervisor, see there."""
    pid = starting(folder, words, **order)
    kept = Kept(pid, folder)
    kept.until(lambda said: said.supervisor == pid)
    return kept


def starting(folder: Path, words: Sequence[str], logs: Path | None = None, **order: Any) -> int:
    """Begin to have a program supervised; return the number of its supervisor."""
    known = dict.fromkeys(("stdout", "stderr"), "log") | dict.fromkeys(("kind", "title"), "test")
    known |= {"folder": str(folder)} | dict.fromkeys(("home", "logs"), str(logs or folder))
    log = open_log(logs or folder, "log")
    try:
        return child_start.start_supervisor(Order(**{**known, "program": list(words), **order}), log, log)
    finally:
        os.close(log)


def made(folder: Path, name: str, text: str | bytes = b"") -> Path:
    """Put a log file, as a start makes one, into a folder, with some content."""
    (folder / name).unlink(missing_ok=True)
    with os.fdopen(open_log(folder, name), "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    return folder / name


def wait_for(holds: Callable[[], bool]) -> bool:
    """Wait until something holds, and tell whether it does."""
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def sleeper(seconds: int = 600) -> subprocess.Popen[bytes]:
    """Start a program that does nothing, in a session of its own."""
    return subprocess.Popen(["sleep", str(seconds)], start_new_session=True)


def a_service(**values: Any) -> Service:
    """Return a service of this machine."""
    now = datetime.now(timezone.utc)
    known: dict[str, Any] = {
        "id": new_id(),
        "kind": "celery-worker",
        "command": "celery worker",
        "argv": ("celery", "worker"),
        "secret": False,
        "user": "admin",
        "host": socket.gethostname(),
        "place": processes.place(),
        "hostname": "airflow-says",
        "folder": "/nonexistent",
        "logs": "/nonexistent",
        "stdout": "out",
        "stderr": "err",
        "created_at": now,
        "seen_at": now,
    }
    return Service(**{**known, **values})
