"""JSON that a client wrote: looked over for its size and depth before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any

MOST_VALUES = 100_000
"""Values, with those in others: Python's JSON parser lets no other thread run before it is done with all."""

DEEPEST = 100
"""Objects and arrays inside of each other. Where Python gives up depends on its version."""

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(_STEPS)))


class TooMany(ValueError):
    """The JSON has too many values; the message is what is to be said of it."""


class TooDeep(ValueError):
    """The JSON is nested too deeply; the message is what is to be said of it."""

    def __init__(self) -> None:
        super().__init__(f"it is nested more than {DEEPEST} levels deep")


def check(text: str) -> None:
    """
    See that a text, should it be JSON, has no more and no deeper values than are taken.

    :raises TooMany: it has more
    :raises TooDeep: it has deeper ones
    """
    if sum(map(text.count, "[{,")) <= MOST_VALUES and text.count("[") + text.count("{") <= DEEPEST:
        return
    outside = _outside_of_strings(text)
    if sum(map(outside.count, "[{,")) > MOST_VALUES:
        raise TooMany(f"has more than {MOST_VALUES} values")
    brackets = outside.encode("ascii", "replace").translate(None, _NO_BRACKETS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEEPEST:
        raise TooDeep


def _outside_of_strings(text: str) -> str:
    """Return a JSON text without what is in its strings."""
    # Backslashes are nowhere else, and pairs of them first: then a quotation mark behind one is no end.
    bare = text.replace("\\\\", "").replace('\\"', "")
    # Each string is a value or the name of one.
    if bare.count('"') > 4 * MOST_VALUES:
        raise TooMany(f"has more than {MOST_VALUES} values")
    return "".join(bare.split('"')[::2])


def loads(
    content: str | bytes,
    parse_constant: Callable[[str], Any] | None = None,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """
    Return what a JSON text says.

    :param parse_constant: is given `NaN`, `Infinity` and `-Infinity`, which are no JSON
    :param object_pairs_hook: makes an object of its members, the innermost first
    :raises ValueError: it is none, or has more values or levels than are taken (`TooMany`, `TooDeep`)
    """
    if not isinstance(content, str):
        content = content.decode(json.detect_encoding(content), "surrogatepass")
    check(content)
    try:
        return json.loads(content, parse_constant=parse_constant, object_pairs_hook=object_pairs_hook)
    except RecursionError:
        raise TooDeep from None
