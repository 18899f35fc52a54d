"""Secrets taken out of what a command prints, byte by byte, before it is shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from airflow_rest_api.engine.patterns import Patterns

MASK = b"***"
SHORTEST_LINE = 16
"""Characters from which a line of a secret is one too: a key is printed line by line, behind prefixes."""
SHORTEST_REST = 5
"""Bytes from which the beginning of a secret at the end of a stream is taken for one that was cut off."""
MOST = 10_000
MOST_BYTES = 4 * 1024 * 1024
"""Secrets of one command, and bytes of them and of how they can come out; beyond, nothing is shown."""
OFTEN = 256
"""Characters of a secret whose ways to come out are remembered: most commands know the same few."""
WITHHELD = b"*** (more secrets than can be masked: nothing of what follows is shown)\n"


class Redactor:
    """
    Replaces secrets in a stream that comes in pieces, wherever the pieces end.

    The end of a piece is held back only as long as it can be the beginning of a secret.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._held = b""
        self._covered = 0
        """Bytes of what is held back that belong to a secret whose mask is out already."""
        self._ends_masked = False
        """Whether the last that was shown is a mask: the next piece of a long secret has no other."""
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, return what may be seen of all that is here."""
        if self._secrets.too_many:
            return self._withhold()
        patterns = self._secrets.patterns
        if not patterns:
            return data
        data = self._held + data
        spans = self._spans(data)
        end = patterns.open_end(data)
        goes_on = self._covered > 0 or (self._ends_masked and patterns.continues(data))
        pieces: list[bytes] = []
        position = covered = 0
        for start, stop in spans:
            # The rest of a secret whose beginning is out has its mask already.
            if start or not goes_on:
                if start >= end:
                    break
                pieces += (data[position:start], MASK)
            position = min(stop, end)
            covered = max(0, stop - end)
        self._held, self._covered = data[end:], covered
        if end:
            self._ends_masked = position == end
        return b"".join((*pieces, data[position:end])) if pieces or position else data[:end]

    def finish(self) -> bytes:
        """Return what was held back at the end of the stream."""
        if self._secrets.too_many:
            return self._withhold() if self._held else b""
        rest, covered = self._held, self._covered
        self._held, self._covered = b"", 0
        unmasked = rest[covered:]
        if len(rest) < SHORTEST_REST or not unmasked.strip():
            return unmasked
        return b"" if covered else MASK

    def _spans(self, data: bytes) -> list[list[int]]:
        spans = self._secrets.patterns.spans(data)
        if self._covered:
            goes_on = self._secrets.patterns.continues(data[self._covered :])
            if spans and spans[0][0] < self._covered + goes_on:
                spans[0] = [0, max(self._covered, spans[0][1])]
            else:
                spans.insert(0, [0, self._covered])
        return spans

    def _withhold(self) -> bytes:
        shown, self._over, self._held = self._over, True, b""
        return b"" if shown else WITHHELD


class Secrets:
    """
    The secrets of one command: those that were known before, and those that it came across.

    :ivar patterns: the bytes to look for
    :ivar too_many: whether there are more than can be looked for: then nothing may be shown
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.patterns = Patterns()
        self.too_many = False
        self._texts: set[str] = set()
        self._size = 0
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Learn secrets."""
        for text in texts:
            if not text or text in self._texts or self.too_many:
                continue
            self._texts.add(text)
            self.patterns.add_all(_often(text) if len(text) <= OFTEN else _forms(text))
            self._size += len(text)
            self.too_many = len(self._texts) > MOST or self._size + self.patterns.size > MOST_BYTES
        if self.too_many:
            # None is looked for any more.
            self.patterns, self._texts = Patterns(), set()

    def mask(self, text: str) -> str:
        """Return a text without the secrets in it, one that was cut off at its end included."""
        redactor = Redactor(self)
        shown = redactor.feed(text.encode(errors="surrogateescape")) + redactor.finish()
        return shown.decode(errors="surrogateescape")


@functools.lru_cache(maxsize=256)
def _often(text: str) -> tuple[bytes, ...]:
    return tuple(_forms(text))


def _forms(text: str) -> Iterator[bytes]:
    """Yield a secret in the ways in which it can come out."""
    lines = [line.strip() for line in text.splitlines()]
    bare = text.strip()
    if len(bare) < SHORTEST_REST:
        bare = text
    for secret in {text, bare, *(line for line in lines if len(line) >= SHORTEST_LINE)}:
        for form in {secret} if secret.isascii() and secret.isalnum() else _written(secret):
            yield form.encode(errors="replace")


def _written(secret: str) -> set[str]:
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe="/", errors="replace"),
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
    }
