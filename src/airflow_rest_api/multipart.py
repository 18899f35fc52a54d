"""Whether a multipart body has arrived whole: the parser silently leaves out a part that was cut off."""

from __future__ import annotations

from email.message import Message

TAIL = 512
"""Bytes kept of the end: a boundary has at most 70 characters (RFC 2046), and little may follow it."""


class Ending:
    """
    The end of a body as it passes by.

    :param content_type: the header, which names the boundary
    """

    def __init__(self, content_type: str) -> None:
        header = Message()
        header["content-type"] = content_type
        self._boundary = str(header.get_param("boundary") or "").encode("latin-1", "replace")
        self._tail = b""

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._tail = (self._tail + chunk)[-TAIL:]

    @property
    def complete(self) -> bool:
        """Whether the last boundary came."""
        return b"--" + self._boundary + b"--" in self._tail
