"""Reading the log files of services: a part, the end, and what is added to them."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_rest_api.errors import NoLog, NoLogYet
from airflow_rest_api.services.status import State

if TYPE_CHECKING:
    from airflow_rest_api.services.model import Service

NOTES = ".rest_api"
"""The private folder, below the log folder: no client's name begins with a dot."""
MANY_NOTES = 500
"""From so many notes on, those of files that are gone are removed when one is added."""
PATIENCE = 0.5
"""Seconds in which another start, which has just made a file, notes it."""

# <linux/fcntl.h> and <linux/stat.h>: where `struct statx` has its mask and the time of birth.
AT_EMPTY_PATH, STATX_BTIME, STATX_SIZE, BORN_AT = 0x1000, 0x800, 256, 80

CAREFULLY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""A link would lead out of the log folder, and a pipe would never end."""


class NotOurs(OSError):
    """A file was not made by the start of a component; the message is a sentence without its name."""


def open_to_add(path: Path) -> int:
    """
    Open a log file at its end, a new one or one that was made here before; return the descriptor.

    :raises NotOurs: there is another one
    :raises OSError: it cannot be made, or written
    """
    adding = os.O_WRONLY | os.O_APPEND | CAREFULLY
    notes = _private(path.parent)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, adding | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            _note(notes, descriptor)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        os.set_blocking(descriptor, True)
        return descriptor
    descriptor = os.open(path, adding)
    try:
        until = time.monotonic() + PATIENCE
        while not is_ours(path.parent, descriptor):
            if time.monotonic() >= until:
                raise NotOurs("it is there already, and no start of a component has made it")
            time.sleep(PATIENCE / 10)
    except BaseException:
        os.close(descriptor)
        raise
    os.set_blocking(descriptor, True)
    return descriptor


def open_to_read(path: Path) -> int:
    """
    Open a log file that a start has made; return the descriptor.

    :raises NotOurs: it is another one
    :raises OSError: it is not there, or cannot be read
    """
    descriptor = os.open(path, os.O_RDONLY | CAREFULLY)
    if not is_ours(path.parent, descriptor):
        os.close(descriptor)
        raise NotOurs("no start of a component has made it")
    return descriptor


def is_ours(folder: Path, descriptor: int) -> bool:
    """Return whether an open file is one that was made here, in a log folder."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    with contextlib.suppress(OSError):
        return stat.S_ISREG(os.lstat(folder / NOTES / _identity(descriptor)).st_mode)
    return False


def _note(notes: Path, descriptor: int) -> None:
    known = os.listdir(notes)
    if len(known) >= MANY_NOTES:
        _forget_gone(notes, known)
    os.close(os.open(notes / _identity(descriptor), os.O_WRONLY | os.O_CREAT | CAREFULLY, 0o600))


def _forget_gone(notes: Path, known: list[str]) -> None:
    # A file is made before it is noted: what was noted a moment ago is found now.
    there = set()
    for name in os.listdir(notes.parent):
        with contextlib.suppress(OSError):
            descriptor = os.open(notes.parent / name, os.O_PATH | CAREFULLY)
            there.add(_identity(descriptor))
            os.close(descriptor)
    for name in set(known) - there:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notes / name)


def _private(folder: Path) -> Path:
    notes = folder / NOTES
    notes.mkdir(mode=0o700, exist_ok=True)
    found = notes.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(0, f"{NOTES} is no folder of the user that runs Airflow", str(notes))
    return notes


def _identity(descriptor: int) -> str:
    """
    Return what tells a file from all others of its folder, the former ones included.

    The number of its inode alone does not: a file system gives it to the next one.
    """
    return f"{os.fstat(descriptor).st_ino}-{_born(descriptor)}"


def _born(descriptor: int) -> str:
    """Return when a file was made, as far as its file system knows (statx(2)); Python does not ask for it."""
    found = ctypes.create_string_buffer(STATX_SIZE)
    statx = getattr(ctypes.CDLL(None), "statx", None)
    if statx is None or statx(descriptor, b"", AT_EMPTY_PATH, STATX_BTIME, found) != 0:
        return ""
    if not int.from_bytes(found.raw[:4], "little") & STATX_BTIME:
        return ""
    return found.raw[BORN_AT : BORN_AT + 12].hex()


STREAMS = ("stdout", "stderr")
BLOCK = 64 * 1024


@dataclass(frozen=True)
class Part:
    """A part of a log file: where it begins, what it holds, and how long the file is."""

    offset: int
    data: bytes
    size: int

    @property
    def next(self) -> int:
        """Where to read on."""
        return self.offset + len(self.data)


def streams(service: Service) -> tuple[str, ...]:
    """Return the streams that have a file of their own."""
    return STREAMS if service.stderr != service.stdout else STREAMS[:1]


def read(service: Service, stream: str, offset: int, limit: int) -> Part:
    """
    Return a part of a log file. Blocks.

    :param offset: bytes before it; behind the end of the file there is nothing
    :param limit: bytes at most
    :raises NoLog: there is none here that may be read
    """
    with os.fdopen(_open(service, stream), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = min(offset, size)
        return Part(offset, os.pread(file.fileno(), limit, offset), size)


def tail_offset(service: Service, stream: str, lines: int, limit: int) -> int:
    """Return where the last lines of a log file begin, not more than `limit` bytes before its end. Blocks."""
    with os.fdopen(_open(service, stream), "rb") as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        # The line break at the very end ends the last line, and begins none.
        position, left = size, lines + 1 if size and os.pread(descriptor, 1, size - 1) == b"\n" else lines
        least = max(0, size - limit)
        while position > least:
            start = max(least, position - BLOCK)
            block = os.pread(descriptor, position - start, start)
            while (found := block.rfind(b"\n")) >= 0:
                left -= 1
                if left == 0:
                    return start + found + 1
                block = block[:found]
            position = start
        return least


def whole_characters(data: bytes) -> int:
    """Return how many bytes of some text in UTF-8 are whole characters: a rest may have to wait."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(data)
    waiting, _ = decoder.getstate()
    return len(data) - len(waiting)


def _open(service: Service, stream: str) -> int:
    name = service.stdout if stream == "stdout" else service.stderr
    if not name or name != os.path.basename(name):
        raise NoLog("This service was not started through this API; its log is not available here.")
    try:
        return open_to_read(Path(service.logs, name))
    except NotOurs as error:
        raise NoLog(f"{name} is not shown: {error}.") from None
    except OSError as error:
        if isinstance(error, FileNotFoundError) and service.state is State.STARTING:
            raise NoLogYet(f"{name} is not there yet: the component is being started.") from None
        raise NoLog(
            f"{name} cannot be read here: {error.strerror}. It is a file of {service.host}."
        ) from None
