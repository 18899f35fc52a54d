"""The use of the endpoints in the database: several API servers add to the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, case, delete, func, select

from airflow_rest_api.storage.schema import TABLE_OPTIONS, Utc, ascii_text, metadata, name_text

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

LONGEST_ADDRESS = 64
LONGEST_ARGUMENT = 100

USAGE = Table(
    "rest_api_legacy_usage",
    metadata,
    Column("key", ascii_text(64), primary_key=True),  # hash of endpoint, user, address and argument
    Column("caller", ascii_text(64), nullable=False),  # hash of endpoint, user and address
    Column("endpoint", ascii_text(32), nullable=False),
    Column("user", name_text(), nullable=False),
    Column("address", name_text(LONGEST_ADDRESS)),
    Column("argument", name_text(LONGEST_ARGUMENT)),
    Column("known", Boolean, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("first_at", Utc, nullable=False),
    Column("last_at", Utc, nullable=False),
    **TABLE_OPTIONS,
)
"""
One row for each caller of an endpoint, without an argument: all their calls. Beside it, one for each argument
that had no effect: the calls with it, which are among those of the first.
"""

Index(f"{USAGE.name}_caller", USAGE.c.caller)
Index(f"{USAGE.name}_endpoint", USAGE.c.endpoint, USAGE.c.user)


OTHER = "(other)"
"""In place of an address or an argument where there are too many different ones to keep each."""
MOST_ADDRESSES = 100
"""Addresses of one user that are kept apart at one endpoint."""
MOST_UNKNOWN = 1000
"""Rows of one endpoint for arguments that it does not have: their names are the clients' own words."""

Sort = Literal["calls", "last"]


class UsageKey(NamedTuple):
    """
    What is counted apart.

    :ivar argument: one that had no effect; None for the calls themselves
    :ivar known: whether the endpoint has the argument; True for the calls themselves
    """

    endpoint: str
    user: str
    address: str | None
    argument: str | None = None
    known: bool = True

    @property
    def of_calls(self) -> UsageKey:
        """The key of the calls that those with an argument are among."""
        return UsageKey(self.endpoint, self.user, self.address)


@dataclass
class Calls:
    """How many there were, and when the first and the last."""

    count: int
    first_at: datetime
    last_at: datetime

    def add(self, more: Calls) -> None:
        """Count others as well."""
        self.count += more.count
        self.first_at = min(self.first_at, more.first_at)
        self.last_at = max(self.last_at, more.last_at)


@dataclass(frozen=True)
class IgnoredArgument:
    """An argument without effect, and the calls with it."""

    argument: str
    known: bool
    calls: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class CallerUsage:
    """The calls of an endpoint that came from one user at one address."""

    endpoint: str
    user: str
    address: str | None
    calls: int
    first_at: datetime
    last_at: datetime
    ignored: list[IgnoredArgument] = field(default_factory=list)


def add(connection: Connection, counted: Mapping[UsageKey, Calls]) -> None:
    """Add to what was counted before; what finds no room for a row of its own goes to `(other)`."""
    room = _Room(connection, counted)
    found: dict[UsageKey, Calls] = {}
    for key, calls in counted.items():
        place = room.place(key)
        if place in found:
            found[place].add(calls)
        else:
            found[place] = Calls(calls.count, calls.first_at, calls.last_at)
    # In one order everywhere: two servers that add to the same rows would wait for each other for ever.
    rows = sorted((_row(key, calls) for key, calls in found.items()), key=lambda row: str(row["key"]))
    if rows:
        connection.execute(_upsert(connection.dialect.name), rows)


def read(
    connection: Connection, endpoint: str | None, user: str | None, sort: Sort, limit: int
) -> tuple[list[CallerUsage], int]:
    """Return the callers that match, the first in an order, and how many there are."""
    wanted: list[ColumnElement[bool]] = [USAGE.c.argument.is_(None)]
    if endpoint is not None:
        wanted.append(USAGE.c.endpoint == endpoint)
    if user is not None:
        wanted.append(USAGE.c.user == user)
    columns = (USAGE.c.calls, USAGE.c.last_at) if sort == "calls" else (USAGE.c.last_at, USAGE.c.calls)
    query = select(USAGE).where(*wanted).order_by(*(column.desc() for column in columns), USAGE.c.key)
    callers: dict[str, CallerUsage] = {}
    for row in connection.execute(query.limit(limit)):
        callers[row.caller] = CallerUsage(
            row.endpoint, row.user, row.address, row.calls, row.first_at, row.last_at
        )
    theirs = select(USAGE).where(USAGE.c.caller.in_(list(callers)), USAGE.c.argument.is_not(None))
    for row in connection.execute(theirs.order_by(USAGE.c.calls.desc(), USAGE.c.argument)):
        ignored = IgnoredArgument(row.argument, bool(row.known), row.calls, row.first_at, row.last_at)
        callers[row.caller].ignored.append(ignored)
    total = connection.execute(select(func.count()).select_from(USAGE).where(*wanted)).scalar_one()
    return list(callers.values()), total


def forget(connection: Connection, before: datetime) -> int:
    """Delete what was not seen since; return how many rows that were."""
    return connection.execute(delete(USAGE).where(USAGE.c.last_at < before)).rowcount


class _Room:
    """Whether there is room for rows that are not there yet; several servers at once may exceed it."""

    def __init__(self, connection: Connection, counted: Iterable[UsageKey]) -> None:
        self._connection = connection
        self._addresses: dict[tuple[str, str], int] = {}
        self._unknown: dict[str, int] = {}
        asked = {_hash(each) for key in counted for each in (key, key.of_calls)}
        there = select(USAGE.c.key).where(USAGE.c.key.in_(asked))
        self._there = set(connection.execute(there).scalars())

    def place(self, key: UsageKey) -> UsageKey:
        """Return under what something is counted."""
        if _hash(key) in self._there:
            return key
        calls = key.of_calls
        if _hash(calls) not in self._there and not self._is_new_address(calls):
            key = key._replace(address=OTHER)
        if not key.known and key.argument != OTHER and not self._is_new_argument(key):
            key = key._replace(argument=OTHER)
        return key

    def _is_new_address(self, key: UsageKey) -> bool:
        caller = (key.endpoint, key.user)
        if caller not in self._addresses:
            self._addresses[caller] = self._count(
                USAGE.c.endpoint == key.endpoint, USAGE.c.user == key.user, USAGE.c.argument.is_(None)
            )
        if self._addresses[caller] >= MOST_ADDRESSES:
            return False
        self._addresses[caller] += 1
        self._there.add(_hash(key))
        return True

    def _is_new_argument(self, key: UsageKey) -> bool:
        if key.endpoint not in self._unknown:
            self._unknown[key.endpoint] = self._count(
                USAGE.c.endpoint == key.endpoint, USAGE.c.known.is_(False), USAGE.c.argument != OTHER
            )
        if self._unknown[key.endpoint] >= MOST_UNKNOWN:
            return False
        self._unknown[key.endpoint] += 1
        self._there.add(_hash(key))
        return True

    def _count(self, *wanted: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(USAGE).where(*wanted)
        return int(self._connection.execute(query).scalar_one())


def _hash(key: UsageKey) -> str:
    return hashlib.sha256(json.dumps(key[:4]).encode()).hexdigest()


def _row(key: UsageKey, calls: Calls) -> dict[str, Any]:
    return {
        "key": _hash(key),
        "caller": _hash(key.of_calls),
        **key._asdict(),
        "calls": calls.count,
        "first_at": calls.first_at,
        "last_at": calls.last_at,
    }


def _upsert(dialect: str) -> Any:
    """Return the statement that makes a row, or adds to the one that is there."""
    if dialect in ("mysql", "mariadb"):
        from sqlalchemy.dialects.mysql import insert as of_mysql

        statement = of_mysql(USAGE)
        return statement.on_duplicate_key_update(_sum(statement.inserted))
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as of_postgresql

        theirs = of_postgresql(USAGE)
        return theirs.on_conflict_do_update(index_elements=["key"], set_=_sum(theirs.excluded))
    from sqlalchemy.dialects.sqlite import insert as of_sqlite

    ours = of_sqlite(USAGE)
    return ours.on_conflict_do_update(index_elements=["key"], set_=_sum(ours.excluded))


def _sum(new: Any) -> dict[str, Any]:
    # The functions for the greater of two values have a name of its own in each database.
    return {
        "calls": USAGE.c.calls + new["calls"],
        "first_at": case((new["first_at"] < USAGE.c.first_at, new["first_at"]), else_=USAGE.c.first_at),
        "last_at": case((new["last_at"] > USAGE.c.last_at, new["last_at"]), else_=USAGE.c.last_at),
    }
