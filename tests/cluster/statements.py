"""What a server asks PostgreSQL, read off the wire between them."""

from __future__ import annotations

import socket
import threading
from typing import Any

from tests.proxy import Proxy

TEXTS = {b"Q": 0, b"P": 1}
"""Messages that hold a statement, and how many texts come before it: its name."""


class Statements(Proxy):
    """
    A proxy in front of PostgreSQL that keeps the statements that pass.

    The connections must be without TLS: PGSSLMODE=disable. psycopg2 sends each statement with its text.
    """

    def __init__(self, host: str, port: int) -> None:
        self._readers: dict[socket.socket, _Reader] = {}
        self._seen: list[str] = []
        self._guard = threading.Lock()
        super().__init__(host, port)

    def since(self, mark: int = 0) -> list[str]:
        """Return the statements that came after so many."""
        with self._guard:
            return self._seen[mark:]

    @property
    def count(self) -> int:
        """How many there were so far."""
        with self._guard:
            return len(self._seen)

    def passed(self, source: socket.socket, data: bytes) -> None:
        """Take bytes that a client has sent, or the server, in which no statements are found."""
        if source.getsockname()[1] != self.port:
            return
        with self._guard:
            reader = self._readers.setdefault(source, _Reader())
        found = reader.feed(data)
        with self._guard:
            self._seen += found


class _Reader:
    """
    One connection, from its start-up message on.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    def __init__(self) -> None:
        self._data = b""
        self._begun = False

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes; return the statements that they complete."""
        self._data += data
        found = []
        while (message := self._next()) is not None:
            kind, body = message
            if kind in TEXTS:
                found.append(body.split(b"\0")[TEXTS[kind]].decode(errors="replace"))
        return found

    def _next(self) -> tuple[bytes, Any] | None:
        # The first message has no letter.
        head = 1 if self._begun else 0
        if len(self._data) < head + 4:
            return None
        end = head + int.from_bytes(self._data[head : head + 4], "big")
        if len(self._data) < end:
            return None
        kind, body = self._data[:head], self._data[head + 4 : end]
        self._data = self._data[end:]
        self._begun = True
        return kind, body
