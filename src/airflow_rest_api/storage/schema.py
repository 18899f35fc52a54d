"""
What all our tables share: their metadata, the types of their columns, and how a row is read that is damaged.

Somebody else, or a disk, has changed it: what can be read of it is, and the rest is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import DateTime, LargeBinary, MetaData, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql, postgresql

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

T = TypeVar("T")

metadata = MetaData()
"""Every table of ours; each is called `rest_api_…`."""

TABLE_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
TABLE_OPTIONS |= {option.replace("mysql", "mariadb"): value for option, value in TABLE_OPTIONS.items()}
"""For `Table(...)`: what it takes for transactions and for every character."""

LONGEST_NAME = 512
NO_MOMENT = datetime(1, 1, 1, tzinfo=timezone.utc)
"""What stands in a row where a moment cannot be read."""


if TYPE_CHECKING:
    _Decorator = TypeDecorator[datetime]
    _BytesDecorator = TypeDecorator[bytes]
else:
    _Decorator = _BytesDecorator = TypeDecorator  # SQLAlchemy 1.4 has no types of types


class Utc(_Decorator):
    """A moment to the microsecond. Goes in with any time zone, comes out in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type: MySQL has seconds only unless asked, PostgreSQL knows time zones."""
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the database takes; a moment without a time zone is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        value = value.astimezone(timezone.utc)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Return what reads a moment; one that is damaged reads as `NO_MOMENT` (SQLite takes any text)."""
        process = super().result_processor(dialect, coltype)

        def read(value: Any) -> datetime | None:
            try:
                return process(value) if process is not None else value
            except (ValueError, TypeError, AttributeError):
                return NO_MOMENT

        return read

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def _on_mysql(everywhere: Any, there: Any) -> Any:
    return everywhere.with_variant(there, "mysql").with_variant(there, "mariadb")


def ascii_text(length: int) -> Any:
    """Return the type of ids and hashes: compared byte by byte, and so in every database alike."""
    here = _on_mysql(String(length), mysql.CHAR(length, charset="ascii", collation="ascii_bin"))
    return here.with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def name_text(length: int = LONGEST_NAME) -> Any:
    """Return the type of names; upper and lower case differ, on MySQL too."""
    return _on_mysql(String(length), mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"))


def long_text() -> Any:
    """Return the type of texts of any length."""
    return _on_mysql(Text(), mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"))


class _StoredBytes(_BytesDecorator):
    """Bytes; what is damaged comes out as it is, for who reads it: SQLite takes any text."""

    impl = LargeBinary
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what reads bytes; SQLAlchemy 1.4 raises TypeError for all rows at once."""
        process = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return process(value) if process is not None else value
            except TypeError:
                return value

        return read


def binary() -> Any:
    """Return the type of bytes; one value should stay below a megabyte: see `PART`."""
    return _on_mysql(_StoredBytes(), mysql.LONGBLOB())


PART = 1024 * 1024
"""Bytes of one value at most: a statement has to fit into the smallest `max_allowed_packet` in use (4 MB)."""


def storable(text: str | None, longest: int | None = None) -> str | None:
    """Return a text as every database takes it: without NUL and half characters, cut with an ellipsis."""
    if text is None:
        return None
    text = text.replace("\0", "�").encode(errors="replace").decode()
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    return text


EXIT_CODES = range(-64, 256)


class Row:
    """The columns of a row, each of the type that it should have; `damaged` names those that are not."""

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
