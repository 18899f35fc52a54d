"""One stream of an operation: the chunks of its beginning and of its end; what lies between is let go."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import takewhile

from airflow_rest_api.operations.model import Chunk, Stream

JOINED = 16 * 1024
"""Bytes up to which a piece of output joins the one before it, and the time within which it does."""
JOINED_WITHIN = timedelta(milliseconds=100)


class Track:
    """
    The first and the last half of ``limit`` bytes, each chunk with the number of its turn among all streams.

    :param lines: the chunks are units, JSON objects, that are neither joined nor cut
    :ivar size: bytes that came, those let go included
    :ivar truncated: whether some were let go
    """

    def __init__(self, stream: Stream, limit: int, *, lines: bool = False) -> None:
        self._stream = stream
        self._head_room = limit - limit // 2
        self._tail_room = limit // 2
        self._head: list[tuple[int, Chunk]] = []
        self._tail: deque[tuple[int, Chunk]] = deque()
        self._head_open = True
        self._held = b""
        self._lines = lines
        self.size = 0
        self.truncated = False

    def add(self, data: bytes, at: datetime, turn: int) -> None:
        """Take the next bytes; the beginning of a character waits for its end."""
        data, self._held = self._held + data, b""
        if not self._lines:
            end = whole(data)
            data, self._held = data[:end], data[end:]
        if data:
            self.put(data, at, turn)

    def skip(self, offset: int) -> None:
        """Leave out the bytes up to an offset."""
        if offset > self.size:
            self.size = offset
            self._head_open, self.truncated = False, True

    def finish(self, turn: int) -> None:
        """Take the beginning of a character that has no end."""
        if self._held:
            data, self._held = self._held, b""
            self.put(data, datetime.now(timezone.utc), turn)

    def since(self, offset: int) -> Iterator[tuple[int, Chunk]]:
        """Yield what came after an offset: the cost is that of what is new, however much is there."""
        if offset >= self.size:
            return
        head = self._head[bisect_right(self._head, offset, key=_end) :]
        tail = list(takewhile(lambda entry: _end(entry) > offset, reversed(self._tail)))
        for turn, chunk in (*head, *reversed(tail)):
            if chunk.offset < offset:
                chunk = Chunk(chunk.stream, offset, chunk.at, chunk.data[offset - chunk.offset :])
            yield turn, chunk

    def put(self, data: bytes, at: datetime, turn: int) -> None:
        """Take the next bytes as they are."""
        if self._head_open:
            room = self._head_room - self.size
            fits = data if len(data) <= room else b"" if self._lines else data[: whole(data[:room])]
            self._head_open = len(data) <= room
            self._append(self._head, fits, at, turn)
            data = data[len(fits) :]
        self._append(self._tail, data, at, turn)
        kept = self.size - self._tail[0][1].offset if self._tail else 0
        while kept > self._tail_room:
            kept -= self._shorten(kept - self._tail_room)

    def _append(
        self, part: list[tuple[int, Chunk]] | deque[tuple[int, Chunk]], data: bytes, at: datetime, turn: int
    ) -> None:
        if not data:
            return
        if part and not self._lines:
            last_turn, last = part[-1]
            joins = turn == last_turn + 1 and len(last.data) + len(data) <= JOINED
            if joins and at - last.at <= JOINED_WITHIN:
                part[-1] = (turn, Chunk(self._stream, last.offset, last.at, last.data + data))
                self.size += len(data)
                return
        part.append((turn, Chunk(self._stream, self.size, at, data)))
        self.size += len(data)

    def _shorten(self, surplus: int) -> int:
        """Let go of bytes at the beginning of the tail; return how many they were."""
        self.truncated = True
        turn, chunk = self._tail.popleft()
        if self._lines or len(chunk.data) <= surplus:
            return len(chunk.data)
        cut = surplus + begins(chunk.data[surplus:])
        if cut < len(chunk.data):
            self._tail.appendleft((turn, Chunk(chunk.stream, chunk.offset + cut, chunk.at, chunk.data[cut:])))
        return cut


def whole(data: bytes) -> int:
    """Return the length of the bytes without a last character of UTF-8 that is not complete."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue  # inside a character
        length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return len(data) - back if length > back else len(data)
    return len(data)


def begins(data: bytes) -> int:
    """Return how many bytes belong to a character of UTF-8 that began before."""
    for place, byte in enumerate(data[:3]):
        if byte & 0xC0 != 0x80:
            return place
    return min(3, len(data))


def _end(entry: tuple[int, Chunk]) -> int:
    return entry[1].offset + len(entry[1].data)
