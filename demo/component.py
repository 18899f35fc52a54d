"""One running Airflow process with its children, from start to the last of them gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def on_host(name: str, command: Sequence[str]) -> list[str]:
    """Return a command that finds itself on a host of another name, where this system lets us.

    The name is of a namespace of its own (uts_namespaces(7)); the process stays the same.
    """
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    if os.geteuid() != 0:
        named[1:1] = ["--user", "--map-current-user", "--keep-caps"]
    try:
        subprocess.run([*named, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return list(command)
    return [*named, *command]


class Component:
    """A command in its own process group, printing into a file."""

    def __init__(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: Path
    ) -> None:
        self.name = name
        self.output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def last_line(self) -> str:
        """Return the last line printed that says something."""
        text = self.output.read_bytes()[-8192:].decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip(" -=")]
        return lines[-1] if lines else ""


def stop(components: Iterable[Component], grace: float = 8.0) -> None:
    """End the components and everything they started.

    A task's shell command runs in a session of its own, so process groups alone would miss it: the
    descendants are noted before their parents go.
    """
    components = list(components)
    descendants: set[psutil.Process] = set()
    for component in components:
        with contextlib.suppress(psutil.Error):
            descendants.update(psutil.Process(component.process.pid).children(recursive=True))
    for component in components:
        _signal(component, signal.SIGTERM)
    deadline = time.monotonic() + grace
    for component in components:
        with contextlib.suppress(subprocess.TimeoutExpired):
            component.process.wait(max(0.0, deadline - time.monotonic()))
    _, alive = psutil.wait_procs(descendants, timeout=1.0)
    for component in components:
        _signal(component, signal.SIGKILL)
        component.process.wait()
    kill(alive)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def _signal(component: Component, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(component.process.pid, number)


def _end_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it is killed (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
