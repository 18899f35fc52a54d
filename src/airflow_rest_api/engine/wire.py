"""
Messages between the engine, the warm parent and its children: JSON objects behind their length.

Those of a child are checked when they are read: the code that its command runs can write to the socket too.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

HEADER = struct.Struct("!I")
DESCRIPTORS = 3
"""The most file descriptors that travel with one message."""
LONGEST = 64 * 1024
"""Bytes of a message that a child may send: its longest are the message of a parser, and a few secrets."""
LONGEST_OF_PARENT = 16 * 1024 * 1024
"""Bytes of a message of the warm parent, which lists all files that it was made from."""
EXIT_CODES = range(256)
LONGEST_USAGE = 4 * 1024
"""Characters of the parser's message that a child passes on."""

Message = Mapping[str, Any]


class Malformed(Exception):
    """What came is no message, or a longer one than may be sent."""


def pack(message: Message) -> bytes:
    """Return the bytes of one message."""
    body = json.dumps(message).encode()
    return HEADER.pack(len(body)) + body


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message on a blocking socket, open file descriptors with it."""
    data = pack(message)
    if descriptors:
        sent = socket.send_fds(channel, [data], descriptors)
        data = data[sent:]
    channel.sendall(data)


def receive(channel: socket.socket) -> Message | None:
    """Wait for one message on a blocking socket; None when the other side is gone."""
    header = _exactly(channel, HEADER.size)
    if header is None:
        return None
    body = _exactly(channel, HEADER.unpack(header)[0])
    return None if body is None else json.loads(body)


def receive_with_descriptors(channel: socket.socket) -> tuple[Message | None, list[int]]:
    """Wait for one message on a blocking socket, and for the file descriptors that came with it."""
    try:
        begun, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, DESCRIPTORS)
    except ConnectionError:
        return None, []
    rest = _exactly(channel, HEADER.size - len(begun)) if begun else None
    if rest is None:
        return None, descriptors
    body = _exactly(channel, HEADER.unpack(begun + rest)[0])
    return (None if body is None else json.loads(body)), descriptors


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = channel.recv(size - len(parts))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


class Inbox:
    """
    Put messages and descriptors together from whatever pieces a non-blocking socket hands out.

    :param longest: bytes that a message may have
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._bytes = bytearray()
        self._descriptors: list[int] = []
        self._longest = longest

    def feed(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Take what was just received."""
        self._bytes += data
        self._descriptors += descriptors

    def take(self) -> tuple[Message, list[int]] | None:
        """
        Return the next whole message, if it is here, with the descriptors that it announces.

        :raises Malformed: it is no JSON object, or is announced with more bytes than it may have
        """
        if len(self._bytes) < HEADER.size:
            return None
        length = HEADER.unpack_from(self._bytes)[0]
        if length > self._longest:
            raise Malformed(f"a message of {length} bytes")
        end = HEADER.size + length
        if len(self._bytes) < end:
            return None
        try:
            message = json.loads(self._bytes[HEADER.size : end])
        except (ValueError, RecursionError):
            raise Malformed("no JSON") from None
        if not isinstance(message, dict):
            raise Malformed("no object")
        del self._bytes[:end]
        count = message.pop("descriptors", 0)
        if count not in range(DESCRIPTORS + 1):
            raise Malformed("no number of descriptors")
        descriptors, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return message, descriptors


@dataclass(frozen=True)
class ExitReport:
    """
    The last message of a child.

    :ivar exit_code: what its process is going to return
    :ivar usage: the message of the command's own parser, where it refused the arguments
    """

    exit_code: int
    usage: str | None = None


@dataclass(frozen=True)
class Leaves:
    """
    A child's answer to whether it takes another job: it does not.

    :ivar why: what its job has left behind, in some words
    """

    why: str


ChildMessage = ExitReport | Leaves | tuple[str, ...] | Literal["begun", "becomes", "again"]
"""Its end, texts that it must not print; that it has its job, becomes another program, takes another job."""


SAID: tuple[Literal["begun", "becomes", "again"], ...] = ("begun", "becomes", "again")


def read(message: Message) -> ChildMessage | None:
    """Return the message of a child, None where it is none: of another type, out of range."""
    if "exit_code" in message:
        code, usage = message["exit_code"], message.get("usage")
        if type(code) is not int or code not in EXIT_CODES or not isinstance(usage, (str, type(None))):
            return None
        # Half a surrogate pair cannot be written as UTF-8.
        return ExitReport(code, usage and usage[:LONGEST_USAGE].encode(errors="replace").decode())
    if "secrets" in message:
        texts = message["secrets"]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return None
        return tuple(texts)
    if isinstance(why := message.get("leaves"), str):
        return Leaves(why[:LONGEST_USAGE])
    for word in SAID:
        if message.get(word) is True:
            return word
    return None
