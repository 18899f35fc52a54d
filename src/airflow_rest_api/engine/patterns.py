"""Many byte strings looked for at once, in time that grows with the text and not with their number."""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import compress

LONGEST = 64
"""Bytes of one pattern at most: what has to be looked at again when the next piece of a text comes."""
WINDOW = 4
"""Bytes by which a place in the text is recognised as one where a pattern may begin."""
FEW = 100
"""Patterns that are put into their order one by one."""

Span = tuple[int, int]


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

    def add(self, text: bytes) -> None:
        """Add a byte string; a long one in pieces that are found one behind the other."""
        self.add_all((text,))

    def add_all(self, texts: Iterable[bytes]) -> None:
        """Add byte strings."""
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

        The comparisons are bounded by the length of the text. One that looks like the beginning of patterns
        all along is taken for the longest of them beyond that, without a closer look.
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

    def _matches(self, data: bytes) -> Iterator[Span]:
        """Yield the longest pattern at each place where there is one, in their order."""
        left = len(data)
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
