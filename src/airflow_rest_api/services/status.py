"""
What a keeper tells: a file in the private folder of its service. The standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

NAME = "status.json"

UP, WAITING, STOPPING, STOPPED, FAILED = "up", "waiting", "stopping", "stopped", "failed"
"""Running; between a failure and the next start; asked to stop; ended as asked or by itself; failed."""
ENDED = (STOPPED, FAILED)


@dataclass
class Status:
    """
    How a component is, by the word of its keeper.

    :ivar state: one of the words above
    :ivar keeper_start: see `processes.start_of`; `pid_start` likewise
    :ivar pid: of the component, None while there is none
    :ivar starts: how often it was started
    :ivar restarts: how often it was started again because it had failed
    :ivar exit_code: of its last end; the number of a signal is negative
    :ivar started_at: seconds since 1970 of its last start, `ended_at` of its last end
    :ivar stdout_at: how long its log was at its last start, `stderr_at` likewise
    """

    keeper: int
    keeper_start: str
    state: str = UP
    pid: int | None = None
    pid_start: str | None = None
    starts: int = 0
    restarts: int = 0
    exit_code: int | None = None
    message: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    stdout_at: int = 0
    stderr_at: int = 0

    def write(self, folder: str) -> None:
        """Put it into a folder, so that a reader finds the old one or the new one."""
        path = os.path.join(folder, NAME)
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file)
        os.replace(f"{path}.new", path)


def read(folder: Path) -> Status | None:
    """Return what the keeper of a folder has told last, None while it has told nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        said = json.loads((folder / NAME).read_bytes())
        known = {field.name for field in fields(Status)}
        return Status(**{name: value for name, value in said.items() if name in known})
    return None
