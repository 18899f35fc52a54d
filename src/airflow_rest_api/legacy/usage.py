"""Who still calls what: each call of a 1.x endpoint is counted, and added to rows in the database."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import random
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import BigInteger, Boolean, Column, Index, Table, case, delete, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from airflow_rest_api.api.models import Model
from airflow_rest_api.errors import Unavailable
from airflow_rest_api.storage.schema import (
    LONGEST_NAME,
    TABLE_OPTIONS,
    Utc,
    ascii_text,
    metadata,
    name_text,
    storable,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

    from airflow_rest_api.legacy.model import Endpoint
    from airflow_rest_api.storage.database import Database

log = logging.getLogger(__name__)

LONGEST_ADDRESS = 64
LONGEST_ARGUMENT = 100
UNKNOWN = "(unknown)"
"""Counts the requests to an endpoint that there is not; what the client called it is not kept."""

EVERY = 2.0
"""Seconds that a call waits for others before it is written."""
ROOM = 10_000
"""Rows that wait while the database is away; what would be one more is counted more coarsely."""
TOGETHER = 400
"""Rows in one transaction."""
MOST_ARGUMENTS = 20
"""Arguments without effect that are counted of one call; those beyond it are one: `(other)`."""
KEPT = timedelta(days=365)
"""For so long a row is kept after its last call."""
FORGET_EVERY = 3600.0

OTHER = "(other)"
"""In place of an address or an argument where there are too many different ones to keep each."""
MOST_ADDRESSES = 100
"""Addresses of one user that are kept apart at one endpoint."""
MOST_UNKNOWN = 1000
"""Rows of one endpoint for arguments that it does not have: their names are the clients' own words."""

_NAME = re.compile(rf"[^\W\d][\w.-]{{0,{LONGEST_ARGUMENT - 1}}}")
"""A text that can be meant as a name. Others are not kept: a body sent as the wrong type is one long name."""

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


@dataclass(frozen=True)
class Calls:
    """How many there were, and when the first and the last."""

    count: int
    first_at: datetime
    last_at: datetime


class IgnoredArgumentBody(Model):
    """An argument that has no effect, and the calls that had it."""

    argument: str = Field(description="Its name; `(other)` for those that are not told apart.")
    known: bool = Field(
        description="Whether the endpoint has it; without effect, as Airflow has none like it."
    )
    calls: int = Field(description="Among those of the caller.")
    first_at: datetime
    last_at: datetime


class LegacyCallerBody(Model):
    """The calls of an endpoint that came from one user at one address."""

    endpoint: str = Field(
        description="`(unknown)` counts the calls of endpoints that there are not.", examples=["trigger_dag"]
    )
    user: str
    address: str | None = Field(description="Where they came from; `(other)` for those not told apart.")
    calls: int = Field(description="All of them, also those that were refused.")
    first_at: datetime
    last_at: datetime
    ignored: list[IgnoredArgumentBody] = Field(description="The arguments of these calls without effect.")


class Usage:
    """
    Counts in memory, and adds that to the rows in the database every few seconds.

    While the database is away the counts wait. An outage in the middle of a commit can count a call twice; an
    API server that is killed loses those of the last seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UsageKey, Calls] = {}
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # A moment after the start, and not by all API servers in the same one.
        self._forget_at = time.monotonic() + random.uniform(60, 120)

    def count(
        self,
        endpoint: Endpoint | None,
        user: str,
        address: str | None,
        at: datetime,
        ignored: Iterable[str] = (),
    ) -> None:
        """
        Count a call; returns at once.

        :param endpoint: None where the client named none that there is
        :param ignored: the names of the arguments that had no effect
        """
        name = UNKNOWN if endpoint is None else endpoint.name
        key = UsageKey(name, storable(user, LONGEST_NAME) or "", storable(address, LONGEST_ADDRESS))
        self._add(key, Calls(1, at, at))
        if endpoint is not None:
            for argument, known in _named(endpoint, ignored).items():
                self._add(key._replace(argument=argument, known=known), Calls(1, at, at))

    async def read(
        self, endpoint: str | None, user: str | None, sort: Sort, limit: int
    ) -> tuple[list[LegacyCallerBody], int]:
        """Return who has called, the first `limit` in an order, and how many they are; raise Unavailable."""
        user = storable(user, LONGEST_NAME)
        return await self._database.run(lambda connection: read(connection, endpoint, user, sort, limit))

    def start(self) -> None:
        """Begin to write, in the background."""
        self._task = asyncio.create_task(self._rounds())

    async def stop(self, seconds: float = 5.0) -> None:
        """Write what waits, for no longer than that."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._waiting:
            log.warning("%d rows of the use of the 1.x endpoints could not be written", len(self._waiting))

    async def flush(self) -> None:
        """Write what waits; raise Unavailable, and go on to keep it, where the database is away."""
        while self._waiting:
            batch = dict(islice(self._waiting.items(), TOGETHER))
            for key in batch:
                del self._waiting[key]
            try:
                await self._database.run_to_the_end(partial(add, counted=batch))
            except (Unavailable, asyncio.CancelledError):
                for key, calls in batch.items():
                    self._add(key, calls)
                raise

    def _add(self, key: UsageKey, calls: Calls) -> None:
        if key not in self._waiting and len(self._waiting) >= ROOM:
            key = self._coarse(key)
        _count_among(self._waiting, key, calls)

    def _coarse(self, key: UsageKey) -> UsageKey:
        """Return a key without what clients choose freely, in the row of its calls."""
        if key.of_calls not in self._waiting:
            key = key._replace(address=OTHER)
        return key if key.known else key._replace(argument=OTHER)

    async def _rounds(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), EVERY)
            try:
                await self.flush()
                await self._forget()
            except Unavailable:
                log.debug("The database is away; the use of the 1.x endpoints is written later")
            except Exception as error:
                # The words of SQLAlchemy hold the values.
                log.error("The use of the 1.x endpoints could not be written: %s", type(error).__name__)

    async def _forget(self) -> None:
        if time.monotonic() < self._forget_at or self._closing.is_set():
            return
        self._forget_at = time.monotonic() + FORGET_EVERY
        before = datetime.now(timezone.utc) - KEPT
        await self._database.run(lambda connection: forget(connection, before))


def _count_among(counted: dict[UsageKey, Calls], key: UsageKey, calls: Calls) -> None:
    """Add calls to those of a key."""
    if key in counted:
        before = counted[key]
        first_at, last_at = min(before.first_at, calls.first_at), max(before.last_at, calls.last_at)
        calls = Calls(before.count + calls.count, first_at, last_at)
    counted[key] = calls


def _named(endpoint: Endpoint, names: Iterable[str]) -> dict[str, bool]:
    """Return the names under which arguments are counted, and whether the endpoint has each."""
    found: dict[str, bool] = {}
    for name in names:
        known = endpoint.argument(name) is not None
        if len(found) < MOST_ARGUMENTS and (known or _NAME.fullmatch(name)):
            found[name] = known
        elif name not in found:
            found[OTHER] = False
        if len(found) > MOST_ARGUMENTS:
            break
    return found


def add(connection: Connection, counted: Mapping[UsageKey, Calls]) -> None:
    """Add to what was counted before; what finds no room for a row of its own goes to `(other)`."""
    room = _Room(connection, counted)
    found: dict[UsageKey, Calls] = {}
    for key, calls in counted.items():
        _count_among(found, room.place(key), calls)
    # In one order everywhere: two servers that add to the same rows would wait for each other for ever.
    rows = sorted((_row(key, calls) for key, calls in found.items()), key=lambda row: str(row["key"]))
    if rows:
        connection.execute(_upsert(connection.dialect.name), rows)


def read(
    connection: Connection, endpoint: str | None, user: str | None, sort: Sort, limit: int
) -> tuple[list[LegacyCallerBody], int]:
    """Return the callers that match, the first in an order, and how many there are."""
    wanted: list[ColumnElement[bool]] = [USAGE.c.argument.is_(None)]
    if endpoint is not None:
        wanted.append(USAGE.c.endpoint == endpoint)
    if user is not None:
        wanted.append(USAGE.c.user == user)
    columns = (USAGE.c.calls, USAGE.c.last_at) if sort == "calls" else (USAGE.c.last_at, USAGE.c.calls)
    query = select(USAGE).where(*wanted).order_by(*(column.desc() for column in columns), USAGE.c.key)
    callers: dict[str, LegacyCallerBody] = {}
    for row in connection.execute(query.limit(limit)):
        callers[row.caller] = LegacyCallerBody.model_validate({**row._mapping, "ignored": []})
    theirs = select(USAGE).where(USAGE.c.caller.in_(list(callers)), USAGE.c.argument.is_not(None))
    for row in connection.execute(theirs.order_by(USAGE.c.calls.desc(), USAGE.c.argument)):
        callers[row.caller].ignored.append(IgnoredArgumentBody.model_validate(row))
    total = connection.execute(select(func.count()).select_from(USAGE).where(*wanted)).scalar_one()
    return list(callers.values()), total


def forget(connection: Connection, before: datetime) -> int:
    """Delete what was not seen since; return how many rows that were."""
    return connection.execute(delete(USAGE).where(USAGE.c.last_at < before)).rowcount


class _Room:
    """Whether there is room for rows that are not there yet; several servers at once may exceed it."""

    def __init__(self, connection: Connection, counted: Iterable[UsageKey]) -> None:
        self._connection = connection
        self._found: dict[tuple[str, ...], int] = {}
        asked = {_hash(each) for key in counted for each in (key, key.of_calls)}
        there = select(USAGE.c.key).where(USAGE.c.key.in_(asked))
        self._there = set(connection.execute(there).scalars())

    def place(self, key: UsageKey) -> UsageKey:
        """Return under what something is counted."""
        if _hash(key) in self._there:
            return key
        calls, made_up = key.of_calls, not key.known and key.argument != OTHER
        of_user = (USAGE.c.user == key.user, USAGE.c.argument.is_(None))
        if _hash(calls) not in self._there and not self._takes(calls, MOST_ADDRESSES, *of_user):
            key = key._replace(address=OTHER)
        of_names = (USAGE.c.known.is_(False), USAGE.c.argument != OTHER)
        if made_up and not self._takes(key, MOST_UNKNOWN, *of_names):
            key = key._replace(argument=OTHER)
        return key

    def _takes(self, key: UsageKey, most: int, *like_it: ColumnElement[bool]) -> bool:
        """Count a new row among those of its endpoint that are like it; False where they are that many."""
        group = (key.endpoint, key.user) if key.argument is None else (key.endpoint,)
        if group not in self._found:
            there = select(func.count()).select_from(USAGE).where(USAGE.c.endpoint == key.endpoint, *like_it)
            self._found[group] = int(self._connection.execute(there).scalar_one())
        if self._found[group] >= most:
            return False
        self._found[group] += 1
        self._there.add(_hash(key))
        return True


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
        statement = mysql.insert(USAGE)
        return statement.on_duplicate_key_update(_sum(statement.inserted))
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    ours = insert(USAGE)
    return ours.on_conflict_do_update(index_elements=["key"], set_=_sum(ours.excluded))


def _sum(new: Any) -> dict[str, Any]:
    # The functions for the greater of two values have a name of its own in each database.
    return {
        "calls": USAGE.c.calls + new["calls"],
        "first_at": case((new["first_at"] < USAGE.c.first_at, new["first_at"]), else_=USAGE.c.first_at),
        "last_at": case((new["last_at"] > USAGE.c.last_at, new["last_at"]), else_=USAGE.c.last_at),
    }
