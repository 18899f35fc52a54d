"""What a command printed on one stream, within a bound."""

from __future__ import annotations

from collections import deque


class Output:
    """
    The beginning and the end of a stream of bytes; what lies between is counted and let go.

    Adding never fails and never blocks, so that a command that prints more than we keep runs on undisturbed.
    """

    def __init__(self, limit: int) -> None:
        self._head_room = limit - limit // 2
        self._tail_room = limit // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.size += len(data)
        if room := self._head_room - len(self._head):
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= self._tail_room:
            self._tail_size -= len(self._tail.popleft())

    @property
    def truncated(self) -> bool:
        """Whether bytes were let go."""
        return self.size > self._head_room + self._tail_room

    @property
    def data(self) -> bytes:
        """The bytes kept; a line in between says how many are missing."""
        if not self.truncated:
            return bytes(self._head) + b"".join(self._tail)
        tail = b"".join(self._tail)
        tail = tail[len(tail) - self._tail_room :]
        missing = self.size - len(self._head) - len(tail)
        return bytes(self._head) + f"\n… {missing} bytes left out …\n".encode() + tail

    @property
    def text(self) -> str:
        """The bytes kept, as text; what is no UTF-8 is shown as the replacement character."""
        return self.data.decode(errors="replace")
