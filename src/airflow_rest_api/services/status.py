"""
What a keeper tells: a file in the private folder of its service. The standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from airflow_rest_api.room import no_room

NAME = "status.json"

SIZE = 4096
"""Bytes of the file, blanks behind the text: more than any text needs, and a block of most file systems."""

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


TEXTS = ("keeper_start", "state")
TEXTS_OR_NONE = ("pid_start", "message")
NUMBERS = ("keeper", "starts", "restarts")
SIZES = ("stdout_at", "stderr_at")
MOMENTS = ("started_at", "ended_at")
LARGEST_NUMBER = 2**31 - 1
LARGEST_SIZE = 2**53
LATEST = 32503680000.0  # the year 3000
LONGEST = 16 * 1024
LARGEST_FILE = 256 * 1024


def read(folder: Path) -> Status | None:
    """Return what the keeper of a folder has told last, None while it has told nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        with (folder / NAME).open("rb") as file:
            said = json.loads(file.read(LARGEST_FILE))
        known = {field.name for field in fields(Status)}
        status = Status(**{name: value for name, value in said.items() if name in known})
        return status if _is_one(status) else None
    return None


def _is_one(status: Status) -> bool:
    """Return whether each value is of its type and in its range: the component can write the file too."""
    said = asdict(status)
    return (
        all(_is_text(said[name]) for name in TEXTS)
        and all(said[name] is None or _is_text(said[name]) for name in TEXTS_OR_NONE)
        and all(_is_number(said[name], LARGEST_NUMBER) for name in NUMBERS)
        and all(_is_number(said[name], LARGEST_SIZE) for name in SIZES)
        and (status.pid is None or _is_number(status.pid, LARGEST_NUMBER))
        and all(said[name] is None or _is_moment(said[name]) for name in MOMENTS)
        and (status.exit_code is None or (type(status.exit_code) is int and -64 <= status.exit_code <= 255))
        and status.state in (UP, WAITING, STOPPING, STOPPED, FAILED)
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _is_number(value: object, largest: int) -> bool:
    return isinstance(value, int) and type(value) is int and 0 <= value <= largest


def _is_moment(value: object) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and 0 <= value <= LATEST
