"""Services in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Column, Index, Integer, Table, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.errors import UnknownService
from airflow_rest_api.services.model import DesiredState, Restart, Service
from airflow_rest_api.services.status import LONGEST_START, State
from airflow_rest_api.storage.schema import (
    LONGEST_NAME,
    TABLE_OPTIONS,
    Row,
    Utc,
    ascii_text,
    json_object,
    long_text,
    metadata,
    moment_of,
    name_text,
    storable,
    texts,
    truth,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.storage.database import Database

SERVICE = Table(
    "rest_api_service",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("kind", ascii_text(32), nullable=False),
    Column("command", name_text(255), nullable=False),
    Column("argv", long_text(), nullable=False),  # JSON, secrets masked
    Column("secret", Boolean, nullable=False),
    Column("user", name_text(), nullable=False),
    Column("host", name_text(255), nullable=False),
    Column("place", ascii_text(64), nullable=False),
    Column("hostname", name_text(), nullable=False),
    Column("folder", long_text(), nullable=False),
    Column("logs", long_text(), nullable=False),
    Column("stdout", name_text(255), nullable=False),
    Column("stderr", name_text(255), nullable=False),
    Column("pid_file", name_text(255)),
    Column("created_at", Utc, nullable=False),
    Column("identity", ascii_text(64)),
    Column("claim", ascii_text(64)),
    Column("ready", long_text(), nullable=False),  # JSON
    Column("state", ascii_text(16), nullable=False),
    Column("wish", ascii_text(16), key="desired"),
    Column("wished_by", name_text(), key="desired_by"),
    Column("pid", Integer),
    Column("pid_start", ascii_text(LONGEST_START)),
    Column("keeper", Integer, key="supervisor"),
    Column("keeper_start", ascii_text(LONGEST_START), key="supervisor_start"),
    Column("restart", ascii_text(16), nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("exit_code", Integer),
    Column("message", long_text()),
    Column("started_at", Utc),
    Column("ended_at", Utc),
    Column("seen_at", Utc),
    Column("operation", ascii_text(32)),
    Column("version", Integer, nullable=False),
    **TABLE_OPTIONS,
)
"""
One row for each component that was started and is not forgotten; its columns are its fields.

Where a column has a key of its own, it bears the name that its field had once.
"""

# Of rows without a claim there may be any number: NULL is like no other NULL.
Index(f"{SERVICE.name}_claim", SERVICE.c.claim, unique=True)
Index(f"{SERVICE.name}_host", SERVICE.c.host, SERVICE.c.state)


LIVE = tuple(state.value for state in State if not state.ended)
ENDED = tuple(state.value for state in State if state.ended)
LIMITS = {"user": LONGEST_NAME, "desired_by": LONGEST_NAME, "hostname": LONGEST_NAME, "host": 255}
JSON = {"argv", "ready"}
TEXTS = (
    *("id", "kind", "command", "user", "host", "place"),
    *("hostname", "folder", "logs", "stdout", "stderr"),
)
TEXTS_OR_NONE = (
    *("identity", "claim", "pid_file", "desired_by", "pid_start"),
    *("supervisor_start", "message", "operation"),
)
NOTHING: list[str] = []
NO_PROBE: dict[str, Any] = {}


class Taken(Exception):
    """
    The claim of a service is another one's.

    :ivar service: the one whose it is; None where it let go in this moment
    """

    def __init__(self, service: Service | None) -> None:
        super().__init__("taken")
        self.service = service


class ServiceStore:
    """Reads and writes the rows; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, service: Service) -> None:
        """Add a service; raise Taken where another one has its claim."""
        row = _to_row(asdict(service))
        try:
            await self._database.run(lambda connection: connection.execute(SERVICE.insert().values(row)))
        except IntegrityError:
            if await self._select(SERVICE.c.id == service.id):
                return  # It was this very row: the answer of the database had got lost.
            raise Taken(await self._holder(service.claim)) from None

    async def get(self, identifier: str) -> Service:
        """Return a service; raise UnknownService."""
        return await self._one(SERVICE.c.id == identifier)

    async def everything(self) -> list[Service]:
        """Return all services, the newest first."""
        return await self._select()

    async def due(self, host: str, since: datetime) -> list[Service]:
        """Return the services of a host that live, were lost recently, or are to be changed."""
        lost = and_(SERVICE.c.state == State.LOST.value, SERVICE.c.ended_at >= since)
        return await self._select(
            SERVICE.c.host == host, or_(SERVICE.c.state.in_(LIVE), SERVICE.c.desired.is_not(None), lost)
        )

    async def change(self, service: Service, **values: Any) -> Service | None:
        """
        Change a service that is still as it was read; return it as it is now, None where it is not.

        :raises Taken: another one has the claim that it shall get
        """
        row = _to_row({**values, "version": service.version + 1})
        same = (SERVICE.c.id == service.id, SERVICE.c.version == service.version)
        chosen = update(SERVICE).where(*same).values(row)
        try:
            changed = await self._database.run(lambda connection: connection.execute(chosen).rowcount)
        except IntegrityError:
            raise Taken(await self._holder(values.get("claim"))) from None
        return await self.get(service.id) if changed else None

    async def started_by(self, service: Service, operation: str) -> None:
        """Note the operation that starts a service; whatever else changes at the same time."""
        chosen = update(SERVICE).where(SERVICE.c.id == service.id).values(operation=operation)
        await self._database.run(lambda connection: connection.execute(chosen))

    async def of_operation(self, operation: str) -> Service:
        """Return the service that an operation has started; raise UnknownService."""
        return await self._one(SERVICE.c.operation == operation)

    async def seen(self, host: str, place: str, now: datetime, before: datetime) -> None:
        """Note that the living services of a place are looked after, where that was noted long ago."""
        here = (SERVICE.c.host == host, SERVICE.c.place == place, SERVICE.c.state.in_(LIVE))
        long_ago = or_(SERVICE.c.seen_at.is_(None), SERVICE.c.seen_at < before)
        chosen = update(SERVICE).where(*here, long_ago).values(seen_at=now)
        await self._database.run(lambda connection: connection.execute(chosen))

    async def delete(self, service: Service) -> bool:
        """Remove a service that is still as it was read; return whether it was."""
        chosen = delete(SERVICE).where(SERVICE.c.id == service.id, SERVICE.c.version == service.version)
        return bool(await self._database.run(lambda connection: connection.execute(chosen).rowcount))

    async def oldest_ended(self, host: str, keep: int) -> list[Service]:
        """Return the ended services of a host but for the newest ones."""
        ended = await self._select(SERVICE.c.host == host, SERVICE.c.state.in_(ENDED))
        return ended[keep:]

    async def _one(self, condition: Any) -> Service:
        if not (found := await self._select(condition)):
            raise UnknownService
        return found[0]

    async def _holder(self, claim: str | None) -> Service | None:
        found = await self._select(SERVICE.c.claim == claim) if claim else []
        return found[0] if found else None

    async def _select(self, *conditions: Any) -> list[Service]:
        chosen = select(SERVICE).where(*conditions).order_by(SERVICE.c.id.desc())

        def read(connection: Connection) -> list[Mapping[str, Any]]:
            return [dict(zip(SERVICE.c.keys(), row, strict=True)) for row in connection.execute(chosen)]

        return [_from_row(row) for row in await self._database.run(read)]


def _to_row(values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
    for name in row.keys() & {*LIMITS, "message"}:
        row[name] = storable(row[name], LIMITS.get(name))
    for name in row.keys() & JSON:
        row[name] = json.dumps(row[name])
    return row


def _from_row(row: Mapping[str, Any]) -> Service:
    """Return the service of a row; what is damaged in it is left out, its message names it."""
    columns = Row(row)
    values: dict[str, Any] = {
        **{name: columns.text(name) for name in TEXTS},
        **{name: columns.text_or_none(name) for name in TEXTS_OR_NONE},
        **{name: columns.number_or_none(name) for name in ("pid", "supervisor", "exit_code")},
        **{name: columns.number(name) for name in ("restarts", "version")},
        **{name: columns.moment(name) for name in ("started_at", "ended_at", "seen_at")},
        "created_at": columns.moment("created_at") or moment_of(str(row["id"])),
        "argv": tuple(columns.take("argv", lambda value: texts(json.loads(value)), NOTHING)),
        "ready": columns.take("ready", json_object, NO_PROBE),
        "secret": columns.take("secret", truth, True),
        "state": columns.take("state", State, State.LOST),
        "desired": columns.take("desired", lambda value: DesiredState(value) if value else None, None),
        "restart": columns.take("restart", Restart, Restart.NEVER),
    }
    if (warning := columns.warning("component")) is not None:
        values["message"] = warning
    return Service(**values)
