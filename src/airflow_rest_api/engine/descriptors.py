"""
What the warm parent has open when it is ready, and what becomes of that in its children.

A log file that a plugin has opened, a socket to a collector of metrics: the objects that hold them live on in
each fork, and use the number of their descriptor whatever it stands for by then.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass

DESCRIPTORS = "/proc/self/fd"
"""The folder of those of a process, by their numbers."""


@dataclass(frozen=True)
class Held:
    """
    A descriptor that something holds which was imported in the warm parent.

    :ivar file: what it stands for: device and inode
    :ivar shared: whether several processes can use it beside each other: no connection, and no pipe
    """

    file: tuple[int, int]
    shared: bool


def held(besides: Collection[int]) -> dict[int, Held]:
    """Return what this process has open, but for some numbers."""
    found = {}
    for number in map(int, os.listdir(DESCRIPTORS)):
        if number not in besides:
            # That of the listing is gone.
            with contextlib.suppress(OSError):
                found[number] = Held(_file(number), _is_shared(number))
    return found


def close_from(first: int, known: Mapping[int, Held], nothing: int) -> list[int]:
    """
    Close the descriptors of this process from a number on that nothing holds which lives on in it.

    The others stay open where they can be shared. A connection can not, and its number must not become that
    of a file or a database of this process: it leads nowhere.

    :param known: what the process had that this one was forked from, by number
    :param nothing: a descriptor that leads nowhere
    :return: the numbers that stay
    """
    stay = sorted(number for number, one in known.items() if number >= first and _is_still(number, one))
    for number in stay:
        os.closerange(first, number)
        first = number + 1
        if not known[number].shared:
            os.dup2(nothing, number, inheritable=False)
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
    return stay


def _file(number: int) -> tuple[int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino


def _is_still(number: int, one: Held) -> bool:
    try:
        return _file(number) == one.file
    except OSError:
        return False


def _is_shared(number: int) -> bool:
    mode = os.fstat(number).st_mode
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(number)) as one:
            return one.type == socket.SOCK_DGRAM
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISDIR(mode)
