"""The files of a service: logs, pid file, private folder, and the letter that no list of processes shows."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from airflow_rest_api.services import processes
from airflow_rest_api.services.log_files import NotOurs, open_to_add, open_to_read

HOME = "rest_api"
"""The folder in AIRFLOW_HOME with the private folders of components."""

LAST_LINES = 4096
"""Bytes of a log that are looked at for its last lines."""


def log_name(kind: str, identifier: str) -> str:
    """Return the name of a component's log files, which end with `.out` and `.err`."""
    return f"rest-api-{kind}-{identifier}"


class StartRefused(Exception):
    """The component cannot be started like this, and nothing was done; the message is one sentence."""


def write_letter(content: object) -> int:
    """Put something where no list of processes shows it; return the descriptor to read it from."""
    letter = os.memfd_create("order")
    with os.fdopen(os.dup(letter), "w") as file:
        json.dump(content, file)
    os.lseek(letter, 0, os.SEEK_SET)
    return letter


def open_log(folder: Path, name: str) -> int:
    """
    Open a file of the log folder at its end.

    :raises StartRefused: it is no file that a start of a component has made, or cannot be written
    """
    try:
        return open_to_add(folder / name)
    except NotOurs as error:
        text = f"The log file '{name}' cannot be written: {error}. Name another one, or take it away"
        raise StartRefused(text) from None
    except OSError as error:
        raise StartRefused(f"The log file '{name}' cannot be written: {error.strerror}") from None


def private_folder(home: Path, folder: Path) -> Path:
    """Make a folder below AIRFLOW_HOME, each part of the way to it for the user of this process alone."""
    place = home
    for part in folder.relative_to(home).parts:
        place = place / part
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StartRefused(f"{place} is no folder of the user that runs Airflow")
    return folder


def check_pid_file(home: Path, name: str) -> Path:
    """
    Return the path of a pid file that may be written.

    :raises StartRefused: what lies there is something else, or names a process that runs
    """
    path = home / name
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StartRefused(f"'{name}' exists and is no pid file")
            text = file.read(64).strip()
    except FileNotFoundError:
        return path
    except (OSError, UnicodeDecodeError):
        raise StartRefused(f"The pid file '{name}' cannot be written") from None
    if text and not (text.isascii() and text.isdigit()):
        raise StartRefused(f"'{name}' exists and is no pid file")
    if text and processes.start_of(int(text)):
        raise StartRefused(f"Process {text}, which the pid file '{name}' names, is running already")
    return path


def last_lines(path: Path, offset: int, most: int = 10) -> str:
    """Return the last lines that were written to a log after a place in it; raise OSError."""
    with os.fdopen(open_to_read(path), "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(offset, size - LAST_LINES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-most:])
