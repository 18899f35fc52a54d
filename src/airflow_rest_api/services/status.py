"""The states of a component, and the file in which its supervisor reports them. The standard library only."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from airflow_rest_api.disk_full import no_room

NAME = "status.json"

SIZE = 4096
"""Bytes of the file, blanks behind the text: more than any text needs, and a block of most file systems."""


class ServiceState(str, Enum):
    """
    Where a service stands: for its supervisor, which reports all but `lost`, and for clients.

    ==========  =======  ======================================================================
    State       Process  Next
    ==========  =======  ======================================================================
    starting    yes      running, once it is ready or has lived for a while; or as after running
    running     yes      stopping, restarting; stopped after exit code 0, else failed
    stopping    yes      stopped, however it ends
    restarting  either   starting: when the former process has ended, or the pause after a failure
    stopped     no       starting, where a client asks for it
    failed      no       starting, where a client asks for it
    lost        no       starting, where a client asks for it
    ==========  =======  ======================================================================
    """

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """It ended because it was asked to, or by itself with exit code 0."""
    FAILED = "failed"
    RESTARTING = "restarting"
    """It failed, or was asked to, and is about to be started again."""
    LOST = "lost"
    """Its supervisor is gone without a report, and so is the component."""

    @property
    def ended(self) -> bool:
        """Whether nothing runs any more."""
        return self in (State.STOPPED, State.FAILED, State.LOST)


State = ServiceState
"""The short name; the long one is what the OpenAPI document calls it."""


@dataclass
class Status:
    """
    How a component is, as its supervisor reports it.

    :ivar supervisor_start: see `processes.start_of`; `pid_start` likewise
    :ivar pid: of the component, None while there is none
    :ivar restarts: how often it was started again because it had failed
    :ivar exit_code: of its last end; the number of a signal is negative
    :ivar started_at: seconds since 1970 of its last start, `ended_at` of its last end
    """

    supervisor: int
    supervisor_start: str
    state: State = State.STARTING
    pid: int | None = None
    pid_start: str | None = None
    restarts: int = 0
    exit_code: int | None = None
    message: str | None = None
    started_at: float | None = None
    ended_at: float | None = None

    def write(self, folder: str) -> bool:
        """
        Put it into a folder, so that a reader finds the old one or the new one.

        Each is as long as the next one can be: where there is no room for a new one, it goes in the place of
        the old one, at once and whole, and the end of a component is known all the same.

        :return: whether there was room
        """
        path = os.path.join(folder, NAME)
        content = json.dumps(asdict(self)).encode().ljust(SIZE)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            _put(f"{path}.new", flags, content)
            os.replace(f"{path}.new", path)
        except OSError as error:
            if not no_room(error):
                raise
            with contextlib.suppress(OSError):
                os.unlink(f"{path}.new")
            _put(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, content)
            return False
        return True


def _put(path: str, flags: int, content: bytes) -> None:
    descriptor = os.open(path, flags, 0o600)
    try:
        written = os.write(descriptor, content)
        if written < len(content):
            # Some of it found room; the rest says why it does not.
            os.write(descriptor, content[written:])
    finally:
        os.close(descriptor)


LARGEST_NUMBER = 2**31 - 1
LATEST = 32503680000.0  # the year 3000
LONGEST = 16 * 1024
LARGEST_FILE = 256 * 1024


def read(folder: Path) -> Status | None:
    """Return the last report in a folder, None while there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        with (folder / NAME).open("rb") as file:
            found = json.loads(file.read(LARGEST_FILE))
        known = {field.name for field in fields(Status)}
        found = {name: value for name, value in found.items() if name in known}
        status = Status(**{**found, "state": State(found.get("state"))})
        return status if _is_one(status) else None
    return None


def _is_one(status: Status) -> bool:
    """Return whether each value is of its type and in its range: the component can write the file too."""
    code = status.exit_code
    return (
        _is_text(status.supervisor_start)
        and all(text is None or _is_text(text) for text in (status.pid_start, status.message))
        and all(_is_number(number) for number in (status.supervisor, status.restarts))
        and (status.pid is None or _is_number(status.pid))
        and all(moment is None or _is_moment(moment) for moment in (status.started_at, status.ended_at))
        and (code is None or (type(code) is int and -64 <= code <= 255))
        and status.state is not State.LOST
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_NUMBER


def _is_moment(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= LATEST
