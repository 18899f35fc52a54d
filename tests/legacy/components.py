"""Components that the 1.x endpoints leave running: start them, look at them, and leave none behind."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.legacy.client import Client


@dataclass(frozen=True)
class Started:
    """A component: its process and the log file that takes its output."""

    process: psutil.Process
    log: Path

    @property
    def words(self) -> list[str]:
        """The command line."""
        return self.process.cmdline()

    @property
    def output(self) -> str:
        """What it has written to its log."""
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def started(client: Client, method: str = "GET", **arguments: str) -> Iterator[Started]:
    """Start a component; in the end it is stopped, with everything it started."""
    answer = client.ask(method, **arguments)
    name = answer["output"]["stdout"].rpartition("output in ")[2].strip()
    each = Started(psutil.Process(process_of(answer)), client.stack.home / "logs" / name)
    try:
        yield each
    finally:
        end(each.process)


def end(process: psutil.Process, grace: float = 15) -> None:
    """End a process as an administrator would, then kill what is left of it and of its children."""
    family = [process]
    with contextlib.suppress(psutil.Error):
        family += process.children(recursive=True)
    with contextlib.suppress(psutil.Error):
        process.terminate()
    eventually(lambda: not any(is_running(each.pid) for each in family), grace)
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.kill()
    assert eventually(lambda: not any(is_running(each.pid) for each in family), grace)


def process_of(answer: dict[str, Any]) -> int:
    """Return the process id that an answer names."""
    match = re.search(r"as process (\d+), output in", answer["output"]["stdout"])
    assert match, answer
    return int(match[1])


def is_running(pid: int) -> bool:
    """Tell whether a process has not ended; one that nobody has waited for has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def answers(port: int) -> bool:
    """Tell whether somebody takes connections on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


def eventually(holds: Callable[[], bool], seconds: float = 240) -> bool:
    """Wait until something holds, and tell whether it does."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.3)
    return holds()
