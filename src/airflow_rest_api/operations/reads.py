"""What is read about one operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import select

from airflow_rest_api.operations import packing, rows
from airflow_rest_api.operations.errors import NoSuchFile, NoSuchOperation
from airflow_rest_api.operations.model import STREAMS, Chunk, Operation, State, Stream
from airflow_rest_api.operations.tables import FILE, LIGHT, OPERATION, OUTPUT
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def summary(connection: Connection, identifier: str) -> Operation:
    """Return an operation without output and result; raise NoSuchOperation."""
    row = connection.execute(select(*LIGHT).where(OPERATION.c.id == identifier)).mappings().first()
    if row is None:
        raise NoSuchOperation(identifier)
    return rows.from_row(dict(row))


def whole(connection: Connection, identifier: str, output_limit: int) -> Operation:
    """Return an operation with all that belongs to it but its files; raise NoSuchOperation."""
    row = connection.execute(select(OPERATION).where(OPERATION.c.id == identifier)).mappings().first()
    if row is None:
        raise NoSuchOperation(identifier)
    operation = rows.from_row(dict(row))
    if row["result"] is None and (large := _content(connection, identifier, rows.RESULT)) is not None:
        operation.result = rows.to_result(large)
    query = select(OUTPUT).where(OUTPUT.c.operation_id == identifier)
    found = [rows.to_chunk(dict(each)) for each in connection.execute(query).mappings()]
    printed = packing.once(_packed(row["output"]) + found)
    operation.stdout, lacks_out = packing.text_of(printed, "stdout", output_limit)
    operation.stderr, lacks_err = packing.text_of(printed, "stderr", output_limit)
    operation.truncated = operation.truncated or lacks_out or lacks_err
    return operation


def state(connection: Connection, identifier: str) -> State:
    """Return where an operation stands; raise NoSuchOperation."""
    found = connection.execute(select(OPERATION.c.state).where(OPERATION.c.id == identifier)).scalar()
    if found is None:
        raise NoSuchOperation(identifier)
    return State(found)


def chunks(
    connection: Connection, identifier: str, seen: Mapping[Stream, int], limit: int
) -> tuple[list[Chunk], State]:
    """Return output behind a position, and the state from before it was read; see `Store.chunks`."""
    query = select(OPERATION.c.state, OPERATION.c.output).where(OPERATION.c.id == identifier)
    row = connection.execute(query).first()
    if row is None:
        raise NoSuchOperation(identifier)
    found = _packed(row.output)
    for number, stream in enumerate(STREAMS):
        behind = (
            select(OUTPUT)
            .where(OUTPUT.c.operation_id == identifier, OUTPUT.c.stream == number)
            .where(OUTPUT.c.upto > seen.get(stream, 0))
            .order_by(OUTPUT.c.upto)
            .limit(limit)
        )
        found += [rows.to_chunk(dict(each)) for each in connection.execute(behind).mappings()]
    return packing.after(packing.once(found), seen)[:limit], State(row.state)


def file(connection: Connection, identifier: str, name: str) -> bytes:
    """Return the content of a file of an operation; raise NoSuchOperation or NoSuchFile."""
    content = _content(connection, identifier, name) if name != rows.RESULT else None
    if content is None:
        state(connection, identifier)
        raise NoSuchFile(name)
    return content


def key(connection: Connection, user: str, key: str) -> tuple[str, str] | None:
    """Return the operation that a user's key led to, and the fingerprint of what was asked."""
    query = select(OPERATION.c.id, OPERATION.c.key_fingerprint)
    row = connection.execute(query.where(OPERATION.c.key_hash == rows.key_hash(user, key))).first()
    return (row[0], row[1]) if row is not None else None


def _packed(stored: bytes | None) -> list[Chunk]:
    return packing.unpack(bytes(stored)) if stored is not None else []


def _content(connection: Connection, identifier: str, name: str) -> bytes | None:
    query = select(FILE.c.data).where(FILE.c.operation_id == identifier, FILE.c.name == storable(name))
    parts = [bytes(data) for data in connection.execute(query.order_by(FILE.c.part)).scalars()]
    return b"".join(parts) if parts else None
