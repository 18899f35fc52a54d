"""Secrets taken out of what a command prints, byte by byte, before anybody gets to see it."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"
LONGEST = 4096
"""Bytes of one pattern; a longer secret is looked for in pieces of this length."""
SHORTEST_LINE = 16
"""Characters from which a line of a secret is one too: a key is printed line by line, behind prefixes."""
SHORTEST_REST = 5
"""Bytes from which the beginning of a secret at the end of a stream is taken for one that was cut off."""


class Redactor:
    """
    Replaces secrets in a stream that comes in pieces, wherever the pieces end.

    The end of a piece is held back only as long as it can be the beginning of a secret.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, return what may be seen of all that is here."""
        patterns = self._secrets.patterns
        if not patterns:
            return data
        data = self._held + data
        end = len(data)
        for pattern in patterns:
            end = min(end, open_end(data, pattern))
        pieces: list[bytes] = []
        position = 0
        if any(pattern in data for pattern in patterns):
            for match in self._secrets.expression.finditer(data):
                if match.end() > end:
                    # Two that overlap, or one that may yet become a longer one: the next bytes will tell.
                    end = min(end, match.start())
                    break
                pieces += (data[position : match.start()], MASK)
                position = match.end()
        end = max(end, position)
        self._held = data[end:]
        return b"".join((*pieces, data[position:end])) if pieces else data[:end]

    def finish(self) -> bytes:
        """Return what was held back at the end of the stream."""
        rest, self._held = self._held, b""
        if not rest:
            return rest
        shown = self._secrets.expression.sub(MASK, rest)
        start = min((open_end(shown, pattern) for pattern in self._secrets.patterns), default=len(shown))
        return shown[:start] + MASK if len(shown) - start >= SHORTEST_REST else shown


class Secrets:
    """The secrets of one command: those that were known before, and those that it came across."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: set[str] = set()
        self._made: tuple[tuple[bytes, ...], re.Pattern[bytes]] | None = None
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Learn secrets."""
        new = {text for text in texts if text} - self._texts
        if new:
            self._texts |= new
            self._made = None

    def mask(self, text: str) -> str:
        """Return a text without the secrets in it."""
        return self.expression.sub(MASK, text.encode(errors="surrogateescape")).decode(
            errors="surrogateescape"
        )

    @property
    def patterns(self) -> tuple[bytes, ...]:
        """The bytes to look for, the longest first."""
        return self._ready()[0]

    @property
    def expression(self) -> re.Pattern[bytes]:
        """A regular expression that finds any of the patterns."""
        return self._ready()[1]

    def _ready(self) -> tuple[tuple[bytes, ...], re.Pattern[bytes]]:
        if self._made is None:
            self._made = _compiled(frozenset(self._texts))
        return self._made


# Most commands know the same few secrets, those of the configuration.
@functools.lru_cache(maxsize=8)
def _compiled(texts: frozenset[str]) -> tuple[tuple[bytes, ...], re.Pattern[bytes]]:
    found = {piece for text in texts for form in _forms(text) for piece in _pieces(form)}
    patterns = tuple(sorted(found, key=lambda pattern: (-len(pattern), pattern)))
    return patterns, re.compile(b"|".join(map(re.escape, patterns)) or b"(?!)")


def _forms(text: str) -> Iterator[str]:
    """Yield a secret in the ways in which it can come out."""
    lines = [line.strip() for line in text.splitlines()]
    bare = text.strip() or text
    for secret in {text, bare, *(line for line in lines if len(line) >= SHORTEST_LINE)}:
        yield secret
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]
        yield repr(secret)[1:-1]
        yield quote(secret, safe="/", errors="replace")
        yield quote(secret, safe="", errors="replace")
        yield quote_plus(secret, errors="replace")


def _pieces(form: str) -> Iterator[bytes]:
    data = form.encode(errors="replace")
    # Pieces of the same length: a short one at the end would be found everywhere.
    size = math.ceil(len(data) / math.ceil(len(data) / LONGEST))
    for start in range(0, len(data), size):
        yield data[start : start + size]


def open_end(data: bytes, pattern: bytes) -> int:
    """Return where the end of ``data`` begins that may become ``pattern``; the length of ``data`` if none."""
    start = data.find(pattern[:1], max(0, len(data) - len(pattern) + 1))
    while start >= 0:
        if pattern.startswith(data[start:]):
            return start
        start = data.find(pattern[:1], start + 1)
    return len(data)
