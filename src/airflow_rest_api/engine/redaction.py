"""
Secrets taken out of what a command prints, byte by byte, before it is shown.

They are looked for at once, in time that grows with the text and not with their number.
"""

from __future__ import annotations

import functools
import html
import json
import sys
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import compress
from urllib.parse import quote, quote_plus

LONGEST = 64
"""Bytes of one pattern at most: what has to be looked at again when the next piece of a text comes."""
WINDOW = 4
"""Bytes by which a place in the text is recognised as one where a pattern may begin."""
FEW = 100
"""Patterns that are put into their order one by one."""
ENOUGH = 4096
"""Comparisons in a text, however short it is: for one place of it there may be as many as lengths."""


class Patterns:
    """
    A set of byte strings, to which more can be added at any time.

    Only every second place of a text is looked at, as a number of four bytes, in loops that are not Python's:
    each pattern is known by its bytes 0 to 3 and 1 to 4, one of which begins at an even place. What is found
    is compared in full, the longest pattern first.
    """

    def __init__(self) -> None:
        self._all: set[bytes] = set()
        self._ordered: list[bytes] = []
        self._windows: set[int] = set()
        self._lengths: dict[bytes, tuple[int, ...]] = {}
        """By the first bytes: the lengths of the patterns that begin with them, the longest first."""
        self._short: set[int] = set()
        """Lengths of patterns that are too short for two windows."""
        self._inner: set[bytes] = set()
        self.size = 0
        """Bytes of all patterns."""

    def __len__(self) -> int:
        return len(self._all)

    def add_all(self, texts: Iterable[bytes]) -> None:
        """Add byte strings; a long one in pieces that are found one behind the other."""
        new: list[bytes] = []
        for text in texts:
            for place, piece in enumerate(_pieces(text)):
                if place:
                    self._inner.add(piece)
                if piece not in self._all:
                    self._all.add(piece)
                    new.append(piece)
                    self._note(piece)
        if len(new) <= FEW:
            for piece in new:
                insort(self._ordered, piece)
        else:
            self._ordered = sorted([*self._ordered, *new])

    def spans(self, data: bytes) -> list[list[int]]:
        """
        Return where patterns are, from and to; those that overlap, and the pieces of a long one, are one.

        The comparisons are bounded by the length of the text, or `ENOUGH`. One that looks like the beginning
        of patterns all along is taken for the longest of them beyond that, without a closer look.
        """
        found: list[list[int]] = []
        for start, end in self._matches(data):
            last = found[-1] if found else None
            if last is not None and (
                start < last[1] or (start == last[1] and data[start:end] in self._inner)
            ):
                last[1] = max(last[1], end)
            else:
                found.append([start, end])
        return found

    def continues(self, data: bytes) -> bool:
        """Return whether a text begins with a piece of a long pattern that is not its first."""
        return data[:LONGEST] in self._inner

    def open_end(self, data: bytes) -> int:
        """Return where the end of a text begins that may yet become a pattern; its length if none does."""
        for start in range(max(0, len(data) - LONGEST + 1), len(data)):
            rest = data[start:]
            place = bisect_left(self._ordered, rest)
            if place < len(self._ordered) and self._ordered[place] == rest:
                place += 1  # there as a whole, and maybe the beginning of a longer one
            if place < len(self._ordered) and self._ordered[place].startswith(rest):
                return start
        return len(data)

    def _note(self, piece: bytes) -> None:
        self.size += len(piece)
        if len(piece) <= WINDOW:
            self._short.add(len(piece))
            return
        self._windows.add(int.from_bytes(piece[:WINDOW], sys.byteorder))
        self._windows.add(int.from_bytes(piece[1 : WINDOW + 1], sys.byteorder))
        known = self._lengths.get(piece[:WINDOW], ())
        if len(piece) not in known:
            self._lengths[piece[:WINDOW]] = tuple(sorted((*known, len(piece)), reverse=True))

    def _matches(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the longest pattern at each place where there is one, in their order."""
        left = max(len(data), ENOUGH)
        everything, lengths_of = self._all, self._lengths
        for start in self._candidates(data):
            for length in lengths_of.get(data[start : start + WINDOW], ()):
                left -= 1
                if data[start : start + length] in everything or left < 0:
                    yield start, min(start + length, len(data))
                    break
            else:
                for length in self._short:
                    if data[start : start + length] in everything:
                        yield start, min(start + length, len(data))

    def _candidates(self, data: bytes) -> Iterable[int]:
        if self._short:
            return range(len(data))
        view = memoryview(data)
        places: list[int] = []
        for begin in (0, WINDOW // 2):
            end = begin + max(0, len(data) - begin) // WINDOW * WINDOW
            known = map(self._windows.__contains__, view[begin:end].cast("I"))
            places += compress(range(begin, end, WINDOW), known)
        places.sort()
        return _with_those_before(places)


def _with_those_before(places: list[int]) -> Iterator[int]:
    last = -1
    for place in places:
        if place - 1 > last:
            yield place - 1
        yield place
        last = place


def _pieces(text: bytes) -> Iterator[bytes]:
    """Yield a text in pieces of one length: a short one at the end would be found everywhere."""
    if len(text) <= LONGEST:
        yield text
        return
    size = LONGEST
    for start in range(0, len(text) - size, size):
        yield text[start : start + size]
    yield text[-size:]


MASK = b"***"
SHORTEST_LINE = 16
"""Characters from which a line of a secret is one too: a key is printed line by line, behind prefixes."""
SHORTEST_REST = 5
"""Bytes from which the beginning of a secret at the end of a stream is taken for one that was cut off."""
MOST = 10_000
MOST_BYTES = 4 * 1024 * 1024
"""Secrets of one command, and bytes of them and of how they can come out; beyond, nothing is shown."""
MOST_RARE_BYTES = MOST_BYTES // 8
"""Bytes of how they can come out in rare cases, which are looked for on top as long as there are no more."""
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
        self._rare = 0
        """Bytes of the patterns for what is rarely written."""
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Learn secrets."""
        for text in texts:
            if not text or text in self._texts or self.too_many:
                continue
            self._texts.add(text)
            self.patterns.add_all(_often(text) if len(text) <= OFTEN else _forms(text))
            self._size += len(text)
            if len(text) <= OFTEN and self._rare < MOST_RARE_BYTES:
                before = self.patterns.size
                self.patterns.add_all(_rarely(text))
                self._rare += self.patterns.size - before
            size = self._size + self.patterns.size - self._rare
            self.too_many = len(self._texts) > MOST or size > MOST_BYTES
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


@functools.lru_cache(maxsize=256)
def _rarely(text: str) -> tuple[bytes, ...]:
    secrets = (secret for secret in _parts(text) if not _is_plain(secret))
    return tuple(form.encode(errors="replace") for secret in secrets for form in _rarely_written(secret))


def _forms(text: str) -> Iterator[bytes]:
    """Yield a secret in the ways in which it can come out."""
    for secret in _parts(text):
        if _is_plain(secret):
            yield secret.encode()
            continue
        for form in _written(secret):
            yield form.encode(errors="replace")


def _parts(text: str) -> set[str]:
    """Return a secret as it is, without the blanks around it, and each of its lines that is worth it."""
    lines = [line.strip() for line in text.splitlines()]
    bare = text.strip()
    if len(bare) < SHORTEST_REST:
        bare = text
    return {text, bare, *(line for line in lines if len(line) >= SHORTEST_LINE)}


def _is_plain(secret: str) -> bool:
    """Return whether a secret is written in one way everywhere."""
    return secret.isascii() and secret.isalnum()


def _written(secret: str) -> set[str]:
    return {
        secret,
        repr(secret)[1:-1],
        *(write(secret) for write in _INSIDE),
        quote(secret, safe="/", errors="replace"),
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
    }


def _rarely_written(secret: str) -> set[str]:
    inside = {repr(secret)[1:-1], *(write(secret) for write in _INSIDE)}
    return {
        # JSON in JSON, as the extra fields of connections are, and the repr of such a text.
        *(write(text) for text in inside for write in _INSIDE),
        # URL.render_as_string of SQLAlchemy 2.0 and 1.4.
        quote(secret, safe=" +", errors="replace"),
        secret.translate(_URL_1_4),
        _as_json(secret).translate(_TOJSON),
        html.escape(secret),
        secret.translate(_MARKUP),
        secret.replace("'", "''"),  # single-quoted YAML
        _as_yaml(secret),
    }


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _as_readable_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _as_repr(text: str) -> str:
    """Return what `repr` makes of a part of a text in which there are quotes of both kinds."""
    return repr("'\"" + text)[4:-1]


def _as_yaml(text: str) -> str:
    """Return what PyYAML makes of a text in double quotes: `Emitter.write_double_quoted`."""
    return "".join(
        _YAML.get(sign) or (sign if " " <= sign <= "~" else _in_hexadecimal(ord(sign))) for sign in text
    )


def _in_hexadecimal(code: int) -> str:
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


_INSIDE = (_as_json, _as_readable_json, _as_repr)
"""How a text is written that is a part of another one."""
_URL_1_4 = str.maketrans({sign: f"%{ord(sign):X}" for sign in ":@/"})
_TOJSON = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&'"})
"""What `jinja2.utils.htmlsafe_json_dumps` changes of JSON."""
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})
"""`markupsafe.escape`, which writes quotes in another way than `html.escape`."""
_YAML = {
    sign: f"\\{after}"
    for sign, after in zip(
        '\0\x07\x08\t\n\x0b\x0c\r\x1b\x85\xa0\u2028\u2029"\\', '0abtnvfreN_LP"\\', strict=True
    )
}
