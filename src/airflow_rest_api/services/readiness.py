"""By what a component shows that it is ready."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil

from airflow_rest_api.services.logs import open_to_read

TAIL = 64 * 1024


class Signs:
    """
    Looks for one sign: a port that it listens on, its row among Airflow's jobs, a file, or a line in its log.

    :param wanted: at most one of `port` (a number), `job` (its type), `file` (a path), `line` (a regular
        expression); a list is section and option of Airflow's configuration, which has the value. Without
        any, nobody can tell
    :param logs: its log files, and how long they were when it was started
    """

    def __init__(self, wanted: Mapping[str, Any], logs: Sequence[tuple[Path, int]]) -> None:
        self._wanted = {name: _configured(value) for name, value in wanted.items()}
        self._logs = logs

    def ready(self, pid: int, started_at: float) -> bool:
        """Return whether a component is ready, as far as can be told; `started_at`: seconds since 1970."""
        if port := self._wanted.get("port"):
            return listens(pid, int(port))
        if job := self._wanted.get("job"):
            return _reports(str(job), started_at)
        if file := self._wanted.get("file"):
            return _written(str(file), started_at)
        if line := self._wanted.get("line"):
            return any(_says(path, begin, str(line)) for path, begin in self._logs)
        return False


def _configured(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    from airflow_rest_api.airflow.installation import configured

    return configured(*value)


def listens(pid: int, port: int) -> bool:
    """Return whether a process, or one that it started, listens on a port."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error, AttributeError):
                found = one.net_connections("inet") if hasattr(one, "net_connections") else one.connections()
                if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found):
                    return True
    return False


def _reports(job_type: str, started_at: float) -> bool:
    from airflow_rest_api.airflow.installation import places
    from airflow_rest_api.airflow.jobs import beats

    since = datetime.fromtimestamp(started_at, timezone.utc) - timedelta(seconds=1)
    here = places().hostname
    return any(
        beat.hostname == here and beat.started_at is not None and beat.started_at >= since
        for beat in beats([job_type])
    )


def _written(path: str, started_at: float) -> bool:
    with contextlib.suppress(OSError):
        # The clock of a file system can lag behind a little.
        return os.stat(path.removeprefix("FILE:")).st_mtime >= started_at - 0.05
    return False


def _says(path: Path, begin: int, pattern: str) -> bool:
    with contextlib.suppress(OSError), os.fdopen(open_to_read(path), "rb") as file:
        file.seek(begin)
        return re.search(pattern, file.read(TAIL).decode(errors="replace"), re.MULTILINE) is not None
    return False
