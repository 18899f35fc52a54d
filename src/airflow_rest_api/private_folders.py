"""
Private folders for files of one operation, and the end of those whose process was killed.

The process that makes one removes it. One that was killed cannot: so the name holds its id and start, and the
next server that starts beside it removes it, as there may be secrets in it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path

from airflow_rest_api import processes

log = logging.getLogger(__name__)

PREFIX = "airflow-rest-api-"


def make(parent: Path | None = None) -> Path:
    """Make a folder that only this user can enter; in the system's temporary folder by default."""
    pid = os.getpid()
    owner = f"{_short(processes.place())}-{pid}-{_short(processes.start_of(pid) or '')}"
    # mkdtemp makes it 0700.
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{owner}-", dir=parent))


def is_there(folder: str) -> bool:
    """Return whether a folder that was made is there: what cleans up temporary folders removes old ones."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def abandoned(parent: Path | None = None) -> list[Path]:
    """Return the folders of processes of this boot and container that have ended. Blocks."""
    found = []
    place = _short(processes.place())
    for folder in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}{place}-*-*-*"):
        pid, start = folder.name.removeprefix(f"{PREFIX}{place}-").split("-")[:2]
        if not (pid.isascii() and pid.isdigit()) or start == _short(processes.start_of(int(pid)) or ""):
            continue
        try:
            status = folder.lstat()
        except FileNotFoundError:
            # Another server that starts at the same time was faster.
            continue
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            found.append(folder)
    return found


def sweep(parent: Path | None = None) -> list[Path]:
    """Remove the folders of processes of this boot and container that have ended; return them. Blocks."""
    found = abandoned(parent)
    for folder in found:
        log.info("Removing %s: the process that made it was killed", folder)
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
