"""What an operation prints: numbered blocks, the same in memory, in the database and as events."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import takewhile
from typing import Literal

Stream = Literal["stdout", "stderr", "progress"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr", "progress")

BLOCK = 16 * 1024
"""Bytes of a block at most; a sixteenth of the limit where that is less, but not below `SMALLEST`."""
SMALLEST = 64
FEWEST = 2000
"""Blocks that each half of an output may have in any case; else it is one for `SMALLEST` of its bytes."""
GATHER = 0.02
"""Seconds between two blocks, in which output gathers: an event for each line is of no use."""
PROGRESS_LIMIT = 256 * 1024
"""Bytes kept of the reports of progress, where the limit of the output is less."""


@dataclass(frozen=True)
class Block:
    """
    A piece of one stream, which never changes.

    :ivar seq: its number in the operation, from 1: the id of its event, the position to resume at, and its
        key in the database
    :ivar offset: bytes of the stream before it
    :ivar data: whole characters; of the stream `progress` one JSON object
    """

    seq: int
    stream: Stream
    offset: int
    at: datetime
    data: bytes

    @property
    def end(self) -> int:
        """Return the bytes of the stream up to the end of the block."""
        return self.offset + len(self.data)


class Transcript:
    """
    The output of one operation, while it runs in this process or is followed from here.

    Of each stream the blocks of the first and of the last half of ``limit`` bytes are kept; those that lie
    wholly between are dropped. Of tiny ones, as two streams that take turns make them, each half has a
    bounded number, for a block takes some hundred bytes besides its own. Adding never waits and never fails,
    so that no slow reader holds up a command. It belongs to one event loop.

    :param limit: bytes kept of each stream, and less than a block more
    :ivar last: the number of the newest block
    :ivar truncated: whether output of stdout or stderr was dropped
    :ivar version: grows with everything that is new
    :ivar ended: set once nothing more comes and the operation has ended
    """

    def __init__(self, limit: int) -> None:
        self._size = min(BLOCK, max(limit // 16, SMALLEST))
        self._half: dict[Stream, int] = dict.fromkeys(STREAMS, limit // 2)
        self._half["progress"] = max(limit, PROGRESS_LIMIT) // 2
        self._most = {stream: max(FEWEST, half // SMALLEST) for stream, half in self._half.items()}
        # Its reports are ours, and no command's.
        self._most["progress"] = self._half["progress"]
        self._heads: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        self._blocks: dict[int, Block] = {}
        self._tails: dict[Stream, deque[Block]] = {stream: deque() for stream in STREAMS}
        self._ends: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        self._partial: dict[Stream, bytes] = {}
        self._open: Stream | None = None
        self._opened = datetime.now(timezone.utc)
        self._gathered = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._closed_at = 0.0
        self._dropped: dict[Stream, tuple[int, int]] = {}
        self._settled = False
        self._waiting: set[asyncio.Future[None]] = set()
        self.last = 0
        self.truncated = False
        self.version = 0
        self.ended = False

    def add(self, stream: Stream, data: bytes, at: datetime | None = None) -> None:
        """Take the next bytes of a stream; of `progress` one JSON object."""
        if self._settled:
            return
        if stream != "progress":
            data = self._partial.pop(stream, b"") + data
            if (end := whole(data)) < len(data):
                data, self._partial[stream] = data[:end], data[end:]
        if data:
            self._gather(stream, data, at or datetime.now(timezone.utc))

    def take(self, block: Block) -> None:
        """Take a block that another API server has numbered; one that is known already is passed over."""
        if block.seq > self.last:
            self._keep(block)
            self.touch()

    def settle(self) -> None:
        """Take no more output; a character that has no end is shown as it is."""
        if not self._settled:
            self._settled = True
            for stream, data in self._partial.items():
                self._gather(stream, data, datetime.now(timezone.utc))
            self.close()

    def end(self) -> None:
        """Take no more: the operation has ended."""
        self.settle()
        self.ended = True
        self.touch()

    def close(self) -> None:
        """Make blocks of what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._open is None:
            return
        stream, data, self._open = self._open, bytes(self._gathered), None
        self._gathered.clear()
        self._closed_at = time.monotonic()
        for piece in (data,) if stream == "progress" else _pieces(data, self._size):
            self._keep(Block(self.last + 1, stream, self._ends[stream], self._opened, piece))
        self.touch()

    def touch(self) -> None:
        """Wake all who wait for something new."""
        self.version += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def changed(self, version: int, seconds: float) -> None:
        """Return once there is more than at ``version``, or after ``seconds``."""
        if self.version != version or seconds <= 0:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await asyncio.wait({waiting}, timeout=seconds)
        finally:
            self._waiting.discard(waiting)

    def since(self, seq: int, limit: int | None = None) -> list[Block]:
        """
        Return the blocks behind a position, in the order of printing.

        :param limit: bytes after which to stop; one block is always returned where there is one
        """
        newest_first = takewhile(lambda block: block.seq > seq, reversed(self._blocks.values()))
        found = list(newest_first)[::-1]
        size = 0
        for count, block in enumerate(found):
            size += len(block.data)
            if limit is not None and count and size > limit:
                return found[:count]
        return found

    def ends(self, seq: int) -> dict[Stream, int]:
        """Return the bytes of each stream up to a position, as far as blocks before it are kept."""
        ends: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        for block in takewhile(lambda block: block.seq <= seq, self._blocks.values()):
            ends[block.stream] = block.end
        return ends

    def behind(self, stream: Stream, offset: int) -> list[Block]:
        """Return the blocks of one stream that end behind an offset."""
        self.close()
        return [block for block in self._blocks.values() if block.stream == stream and block.end > offset]

    def text(self, stream: Stream) -> str:
        """Return what is kept of a stream as a text; a line in between tells how many bytes are missing."""
        self.close()
        return text_of(self._blocks.values(), stream)[0]

    @property
    def size(self) -> int:
        """Return the bytes that are kept."""
        return sum(len(block.data) for block in self._blocks.values())

    def take_dropped(self) -> dict[Stream, tuple[int, int]]:
        """
        Return what was dropped since the last call, to be deleted where it is stored.

        :return: by stream the first and the last number: no block of the stream between them is kept
        """
        dropped, self._dropped = self._dropped, {}
        return dropped

    def _gather(self, stream: Stream, data: bytes, at: datetime) -> None:
        if self._open not in (None, stream) or stream == "progress":
            self.close()
        if self._open is None:
            self._open, self._opened = stream, at
            delay = max(0.0, self._closed_at + GATHER - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self.close)
        self._gathered += data
        if len(self._gathered) >= self._size or stream == "progress":
            self.close()

    def _keep(self, block: Block) -> None:
        self.last, self._ends[block.stream] = block.seq, block.end
        self._blocks[block.seq] = block
        half, tail, most = self._half[block.stream], self._tails[block.stream], self._most[block.stream]
        if block.offset >= half or self._heads[block.stream] >= most:
            tail.append(block)
        else:
            self._heads[block.stream] += 1
        while tail and (tail[0].end <= block.end - half or len(tail) > most):
            gone = tail.popleft()
            del self._blocks[gone.seq]
            first, _ = self._dropped.get(gone.stream, (gone.seq, 0))
            self._dropped[gone.stream] = first, gone.seq
            self.truncated = self.truncated or gone.stream != "progress"


def text_of(blocks: Iterable[Block], stream: Stream) -> tuple[str, bool]:
    """
    Return a stream as a text, with a line wherever bytes are missing; and whether any are.

    :param blocks: of any stream, in the order of printing
    """
    parts: list[str] = []
    position, truncated = 0, False
    for block in blocks:
        if block.stream != stream:
            continue
        if (missing := block.offset - position) > 0:
            parts.append(f"\n… {missing} bytes left out …\n")
            truncated = True
        parts.append(block.data.decode(errors="replace"))
        position = block.end
    return "".join(parts), truncated


def joined(blocks: Iterable[Block], offset: int, limit: int) -> tuple[int, bytes, bool]:
    """
    Return the bytes of a stream from an offset on, as far as nothing is missing.

    :param blocks: those of the stream that end behind the offset
    :param limit: bytes after which to stop, at a whole character
    :return: where they begin, the bytes, and whether they are those of all blocks; they begin later than at
        the offset where output was dropped
    """
    start, data = offset, bytearray()
    for block in blocks:
        begin = max(block.offset, offset)
        if not data:
            start = begin
        elif begin != start + len(data) or len(data) >= limit:
            return start, _cut(data, limit), False
        data += block.data[begin - block.offset :]
    return start, _cut(data, limit), len(data) <= limit


def _cut(data: bytearray, limit: int) -> bytes:
    """Return bytes up to a limit, at a whole character; one byte at least."""
    return bytes(data if len(data) <= limit else data[: max(1, whole(bytes(data[:limit])))])


def whole(data: bytes) -> int:
    """Return the length of the bytes without a last character of UTF-8 that is not complete."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue  # inside a character
        length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return len(data) - back if length > back else len(data)
    return len(data)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Yield the bytes in pieces of that size at most, none of which splits a character."""
    start = 0
    while len(data) - start > size:
        end = start + (whole(data[start : start + size]) or size)
        yield data[start:end]
        start = end
    yield data[start:]
