"""Reading the log files of services: a part, the end, and what is added to them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_rest_api.errors import NoLog, NoLogYet
from airflow_rest_api.services.log_files import NotOurs, open_to_read
from airflow_rest_api.services.model import State

if TYPE_CHECKING:
    from airflow_rest_api.services.model import Service

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
    descriptor = _open(service, stream)
    try:
        size = os.fstat(descriptor).st_size
        offset = min(offset, size)
        return Part(offset, os.pread(descriptor, limit, offset), size)
    finally:
        os.close(descriptor)


def tail_offset(service: Service, stream: str, lines: int, limit: int) -> int:
    """Return where the last lines of a log file begin, not more than `limit` bytes before its end. Blocks."""
    descriptor = _open(service, stream)
    try:
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
    finally:
        os.close(descriptor)


def whole_characters(data: bytes) -> int:
    """Return how many bytes of some text in UTF-8 are whole characters: a rest may have to wait."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if length > back else len(data)
    return len(data)


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
