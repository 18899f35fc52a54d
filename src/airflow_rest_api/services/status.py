"""
The states of a component, the file in which its supervisor reports them, and what shows that it is ready.

The standard library only, for the supervisor; Airflow is imported where it is there already.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from airflow_rest_api import processes
from airflow_rest_api.disk_full import no_room
from airflow_rest_api.plain_files import open_file

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
    :ivar job: what Airflow's jobs of its kind are called, None where it is none
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
    job: str | None = None

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
LONGEST_START = 64
"""Characters of `processes.start_of` at most, as its columns have them: no database takes a longer one."""
LARGEST_FILE = 256 * 1024


def read(folder: Path) -> Status | None:
    """Return the last report in a folder, None while there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        with open_file(folder / NAME) as file:
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
        _is_start(status.supervisor_start)
        and (status.pid_start is None or _is_start(status.pid_start))
        and all(text is None or _is_text(text) for text in (status.message, status.job))
        and all(_is_number(number) for number in (status.supervisor, status.restarts))
        and (status.pid is None or _is_number(status.pid))
        and all(moment is None or _is_moment(moment) for moment in (status.started_at, status.ended_at))
        and (code is None or (type(code) is int and -64 <= code <= 255))
        and status.state is not State.LOST
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _is_start(value: Any) -> bool:
    return _is_text(value) and len(value) <= LONGEST_START and value.isascii() and value.isprintable()


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_NUMBER


def _is_moment(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= LATEST


TAIL = 64 * 1024
"""Bytes of a log in which a line is looked for, from where the component began to write."""
LISTENING = "0A"
"""The state of a socket in /proc/net/tcp: see proc(5)."""

Probe = Mapping[str, Any]
"""
What shows that a component is ready, at most one of:

* `port`, a number: it listens there
* `file`, a path: it has written that
* `line`, a regular expression: it has printed that
* `job`, a type of Airflow's jobs: there is one that can only be its own

Without any, it cannot be seen. A list is section and option of Airflow's configuration: see `configured`.
"""


def configured(probe: Probe) -> dict[str, Any]:
    """Return a probe with values of Airflow's configuration in place of their names."""
    from airflow_rest_api.airflow.installation import configured as value_of

    return {name: value_of(*value) if isinstance(value, list) else value for name, value in probe.items()}


def is_visible(probe: Probe) -> bool:
    """Return whether a supervisor can see that its component is ready."""
    return any(probe.get(name) for name in ("port", "file", "line"))


def shows(probe: Probe, pid: int, started_at: float, logs: Iterable[tuple[str, int]]) -> bool:
    """
    Return whether a component shows that it is ready.

    :param started_at: seconds since 1970
    :param logs: its log files, and how long they were when it was started
    """
    if port := probe.get("port"):
        return listens(pid, int(port))
    if file := probe.get("file"):
        return _written(str(file), started_at)
    line = probe.get("line")
    return bool(line) and any(_prints(path, begin, str(line)) for path, begin in logs)


def is_ready(status: Status, folder: Path) -> bool:
    """
    Return whether a component is ready, by the report of its supervisor or by Airflow's table of jobs.

    :param folder: of the report, beside those of the other components of this machine
    """
    if status.state is not State.STARTING:
        return status.state is State.RUNNING
    if not status.job or status.pid is None:
        return False
    try:
        return _has_job(status, folder)
    except Exception:
        # Airflow's database may be away: time will tell.
        return False


def listens(pid: int, port: int) -> bool:
    """Return whether a process, or one that it started, listens on a port."""
    wanted = set()
    for family in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{family}") as file:
            for fields in map(str.split, file.readlines()[1:]):
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    wanted.add(f"socket:[{fields[9]}]")
    return bool(wanted) and any(_has_open(each, wanted) for each in (pid, *processes.family(pid)))


def _has_open(pid: int, names: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") in names:
                    return True
    return False


def _has_job(status: Status, folder: Path) -> bool:
    """Return whether a job has begun since the start of a component that no other one may have begun."""
    from airflow_rest_api.airflow.installation import places, running_jobs

    here, started_at = places().hostname, status.started_at or 0.0
    found = [job for job in running_jobs([str(status.job)]) if job.hostname == here]
    begun = sorted(job.started_at.timestamp() for job in found if job.started_at is not None)
    if not begun or begun[-1] < started_at:
        return False
    # A job does not say whose it is: each of the others is left the first that can be its own.
    for other in sorted(_others_began(status, folder)):
        with contextlib.suppress(StopIteration):
            begun.remove(next(moment for moment in begun if moment >= other))
    return any(moment >= started_at for moment in begun)


def _others_began(status: Status, folder: Path) -> Iterator[float]:
    """Yield when the other components of the same kind that run on this machine were started."""
    for path in folder.parent.iterdir():
        other = read(path) if path != folder else None
        if other is not None and other.job == status.job and processes.is_alive(other.pid, other.pid_start):
            yield other.started_at or 0.0


def _written(path: str, started_at: float) -> bool:
    with contextlib.suppress(OSError):
        # The clock of a file system can lag behind a little.
        return os.stat(path.removeprefix("FILE:")).st_mtime >= started_at - 0.05
    return False


def _prints(path: str, begin: int, pattern: str) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(begin)
        return re.search(pattern, file.read(TAIL).decode(errors="replace"), re.MULTILINE) is not None
    return False
