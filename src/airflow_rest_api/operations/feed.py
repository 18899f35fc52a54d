"""What an operation prints, in memory, for all who follow it: in order, with positions to resume at."""

from __future__ import annotations

import asyncio
import heapq
import re
from dataclasses import dataclass
from datetime import datetime, timezone

from airflow_rest_api.operations.model import STREAMS, Chunk, Stream
from airflow_rest_api.operations.track import Track

PROGRESS_LIMIT = 256 * 1024
BEYOND = 10**15
"""More bytes than any stream has."""
_POSITION = re.compile(r"(\d{1,15})\.(\d{1,15})\.(\d{1,15})", re.ASCII)


@dataclass(frozen=True)
class Position:
    """A place in the three streams of an operation: the bytes of each that come before it."""

    stdout: int = 0
    stderr: int = 0
    progress: int = 0

    def __str__(self) -> str:
        """Return the position as it is shown to clients."""
        return f"{self.stdout}.{self.stderr}.{self.progress}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that a client was shown; raise ValueError for any other text."""
        match = _POSITION.fullmatch(text)
        if match is None:
            raise ValueError(f"no position in an operation: {text[:80]!r}")
        return cls(*map(int, match.groups()))

    def after(self, chunk: Chunk) -> Position:
        """Return the position behind a chunk."""
        offsets = self.offsets()
        offsets[chunk.stream] = chunk.offset + len(chunk.data)
        return Position(**offsets)

    def offsets(self) -> dict[Stream, int]:
        """Return the bytes by stream."""
        return {"stdout": self.stdout, "stderr": self.stderr, "progress": self.progress}


class Feed:
    """
    The output of one operation, while it runs in this process or is followed from here.

    Of each stream the first and the last half of ``limit`` are kept, in pieces that never split a character.
    Adding never waits and never fails, so that nobody who reads slowly holds up a command. It belongs to one
    event loop.

    :param limit: bytes kept of each stream
    """

    def __init__(self, limit: int) -> None:
        self._tracks = {stream: Track(stream, limit) for stream in STREAMS}
        self._tracks["progress"] = Track("progress", max(limit, PROGRESS_LIMIT), lines=True)
        self._count = 0
        self._settled = False
        self._waiting: set[asyncio.Future[None]] = set()
        self.version = 0
        """Grows with everything that is new."""
        self.ended = False

    def add(self, stream: Stream, data: bytes, at: datetime | None = None) -> None:
        """Take the next bytes of a stream."""
        if data and not self._settled:
            self._count += 1
            self._tracks[stream].add(data, at or datetime.now(timezone.utc), self._count)
            self.touch()

    def take(self, chunk: Chunk) -> None:
        """Take a chunk that somebody else counted; what was there already is passed over."""
        track = self._tracks[chunk.stream]
        known = track.size - chunk.offset
        if known < len(chunk.data):
            self._count += 1
            track.skip(chunk.offset)
            track.put(chunk.data[max(0, known) :], chunk.at, self._count)
            self.touch()

    def settle(self) -> None:
        """Take no more output; that which was held back as half a character is there now."""
        if not self._settled:
            self._settled = True
            for track in self._tracks.values():
                self._count += 1
                track.finish(self._count)
            self.touch()

    def end(self) -> None:
        """Nothing more comes, and the operation has ended."""
        self.settle()
        self.ended = True
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

    @property
    def position(self) -> Position:
        """The end of what is here."""
        return Position(**{stream: track.size for stream, track in self._tracks.items()})

    @property
    def truncated(self) -> bool:
        """Whether output was let go."""
        return any(track.truncated for track in (self._tracks["stdout"], self._tracks["stderr"]))

    def since(self, position: Position, limit: int | None = None) -> list[Chunk]:
        """
        Return what came after a position, in the order in which it was printed.

        :param limit: bytes after which to stop; one chunk is always returned where there is one
        """
        offsets = position.offsets()
        found: list[Chunk] = []
        size = 0
        for _, chunk in heapq.merge(*(self._tracks[s].since(offsets[s]) for s in STREAMS), key=_order):
            if limit is not None and found and size + len(chunk.data) > limit:
                break
            found.append(chunk)
            size += len(chunk.data)
        return found

    def text(self, stream: Stream) -> str:
        """Return what is kept of a stream as text; a line in between says how many bytes are missing."""
        pieces: list[str] = []
        position = 0
        for _, chunk in self._tracks[stream].since(0):
            if missing := chunk.offset - position:
                pieces.append(f"\n… {missing} bytes left out …\n")
            pieces.append(chunk.data.decode(errors="replace"))
            position = chunk.offset + len(chunk.data)
        return "".join(pieces)


def _order(entry: tuple[int, Chunk]) -> int:
    return entry[0]
