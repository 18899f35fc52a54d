"""
Whether a component is ready: what its supervisor sees of it, and what Airflow's table of jobs says.

The standard library only, for the supervisor; Airflow is imported where it is there already.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_rest_api import processes
from airflow_rest_api.services.status import State, Status

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
* `job`, a type of Airflow's jobs: it is one that has reported

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


def is_ready(probe: Probe, status: Status) -> bool:
    """Return whether a component is ready, by the report of its supervisor or by Airflow's table of jobs."""
    if status.state is not State.STARTING:
        return status.state is State.RUNNING
    job = probe.get("job")
    if not job or status.pid is None:
        return False
    try:
        return _reports(str(job), status.started_at or 0.0)
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


def _reports(job_type: str, started_at: float) -> bool:
    from datetime import datetime, timedelta, timezone

    from airflow_rest_api.airflow.installation import places, running_jobs

    since = datetime.fromtimestamp(started_at, timezone.utc) - timedelta(seconds=1)
    here = places().hostname
    return any(
        job.hostname == here and job.started_at is not None and job.started_at >= since
        for job in running_jobs([job_type])
    )


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
