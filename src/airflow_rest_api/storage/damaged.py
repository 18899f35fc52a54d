"""Rows that somebody else has changed, or a disk: what can be read of them is, and the rest is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar

from airflow_rest_api.storage.schema import NO_MOMENT

T = TypeVar("T")

EXIT_CODES = range(-64, 256)


class Row:
    """
    The columns of a row, each of the type that it should have.

    :ivar damaged: names of those that could not be read
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self.damaged: list[str] = []

    def take(self, name: str, read: Callable[[Any], T], otherwise: T) -> T:
        """Return what is read off a column; ``otherwise`` where that fails, and note it."""
        try:
            return read(self._row[name])
        except (KeyError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            self.note(name)
            return otherwise

    def note(self, name: str) -> None:
        """Note that something could not be read."""
        if name not in self.damaged:
            self.damaged.append(name)

    def text(self, name: str) -> str:
        """Return a text."""
        return self.take(name, _text, "")

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None."""
        return self.take(name, lambda value: None if value is None else _text(value), None)

    def moment(self, name: str) -> datetime | None:
        """Return a moment, or None."""
        return self.take(name, lambda value: None if value is None else _moment(value), None)

    def number(self, name: str) -> int:
        """Return a whole number."""
        return self.take(name, _number, 0)

    def number_or_none(self, name: str) -> int | None:
        """Return a whole number, or None."""
        return self.take(name, lambda value: None if value is None else _number(value), None)

    def warning(self, noun: str) -> str | None:
        """Return what is said to who looks at an operation, or what it is; None where all could be read."""
        if not self.damaged:
            return None
        return f"The record of this {noun} is damaged: {', '.join(self.damaged)} cannot be read."


def exit_code(value: Any) -> int | None:
    """Return an exit code; raise ValueError for what is none."""
    if value is None or (type(value) is int and value in EXIT_CODES):
        return value
    raise ValueError("no exit code")


def truth(value: Any) -> bool:
    """Return true or false; raise ValueError for anything else."""
    if value in (0, 1):
        return bool(value)
    raise ValueError("neither true nor false")


def json_object(value: Any) -> dict[str, Any]:
    """Return a JSON object; raise ValueError for another text."""
    found = json.loads(value)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def texts(value: Any) -> list[str]:
    """Return a list of texts; raise TypeError for anything else."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise TypeError("no list of texts")


def moment_of(identifier: str) -> datetime:
    """Return when an operation was made, by its id: see `model.new_id`."""
    try:
        return datetime.fromtimestamp(int(identifier[:12], 16) / 1000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, timezone.utc)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("no text")


def _number(value: Any) -> int:
    if type(value) is int:
        return value
    raise TypeError("no number")


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime) and value != NO_MOMENT:
        return value
    raise TypeError("no moment")
