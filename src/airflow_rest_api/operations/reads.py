"""What is read about one operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_rest_api.errors import Undecryptable, UnknownOperation, UnknownResultFile
from airflow_rest_api.operations import packing, rows
from airflow_rest_api.operations.model import STREAMS, Chunk, Operation, State, Stream
from airflow_rest_api.operations.sealing import LOCKED, Seal, opened
from airflow_rest_api.operations.tables import FILE, LIGHT, OPERATION, OUTPUT
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

DAMAGED_RESULT = "The record of this operation is damaged: result cannot be read."
DAMAGED_OUTPUT = "The record of this operation is damaged: a part of its output cannot be read."


def summary(connection: Connection, identifier: str, seal: Seal) -> Operation:
    """Return an operation without output and result; raise UnknownOperation."""
    row = connection.execute(select(*LIGHT).where(OPERATION.c.id == identifier)).mappings().first()
    if row is None:
        raise UnknownOperation
    return rows.from_row(dict(row), seal)


def whole(connection: Connection, identifier: str, output_limit: int, seal: Seal) -> Operation:
    """Return an operation with all that belongs to it but its files; raise UnknownOperation."""
    row = connection.execute(select(OPERATION).where(OPERATION.c.id == identifier)).mappings().first()
    if row is None:
        raise UnknownOperation
    operation = rows.from_row(dict(row), seal)
    if row["result"] is None and (large := _content(connection, identifier, rows.RESULT)) is not None:
        try:
            operation.result = rows.to_result(large, seal)
        except (ValueError, RecursionError):
            operation.warnings.append(DAMAGED_RESULT)
        except Undecryptable:
            operation.warnings.append(LOCKED)
    query = select(OUTPUT).where(OUTPUT.c.operation_id == identifier)
    found, missing = _chunks(connection, query, row["output"], seal)
    operation.warnings += [text for text in missing if text not in operation.warnings]
    operation.truncated = operation.truncated or bool(missing)
    printed = packing.once(found)
    operation.stdout, lacks_out = packing.text_of(printed, "stdout", output_limit)
    operation.stderr, lacks_err = packing.text_of(printed, "stderr", output_limit)
    operation.truncated = operation.truncated or lacks_out or lacks_err
    return operation


def state(connection: Connection, identifier: str) -> State:
    """Return where an operation stands; raise UnknownOperation."""
    found = connection.execute(select(OPERATION.c.state).where(OPERATION.c.id == identifier)).scalar()
    if found is None:
        raise UnknownOperation
    return _state(found)


def chunks(
    connection: Connection, identifier: str, seen: Mapping[Stream, int], limit: int, seal: Seal
) -> tuple[list[Chunk], State]:
    """Return output behind a position, and the state from before it was read; see `Store.chunks`."""
    query = select(OPERATION.c.state, OPERATION.c.output).where(OPERATION.c.id == identifier)
    row = connection.execute(query).first()
    if row is None:
        raise UnknownOperation
    found, _ = _chunks(connection, None, row.output, seal)
    for number, stream in enumerate(STREAMS):
        behind = (
            select(OUTPUT)
            .where(OUTPUT.c.operation_id == identifier, OUTPUT.c.stream.in_((number, number + rows.SEALED)))
            .where(OUTPUT.c.upto > seen.get(stream, 0))
            .order_by(OUTPUT.c.upto)
            .limit(limit)
        )
        found += _chunks(connection, behind, None, seal)[0]
    return packing.after(packing.once(found), seen)[:limit], _state(row.state)


def file(connection: Connection, identifier: str, name: str, seal: Seal) -> bytes:
    """Return a file of an operation; raise UnknownOperation, UnknownResultFile or Undecryptable."""
    content = _content(connection, identifier, name) if name != rows.RESULT else None
    reveals = summary(connection, identifier, seal).reveals
    if content is None:
        raise UnknownResultFile
    return seal.open(content) if reveals else content


def key(connection: Connection, user: str, key: str) -> tuple[str, str] | None:
    """Return the operation that a user's key led to, and the fingerprint of what was asked."""
    query = select(OPERATION.c.id, OPERATION.c.key_fingerprint)
    row = connection.execute(query.where(OPERATION.c.key_hash == rows.key_hash(user, key))).first()
    return (row[0], row[1]) if row is not None else None


def _state(stored: str) -> State:
    """Return where an operation stands; what says nothing that we know will not say anything later."""
    try:
        return State(stored)
    except ValueError:
        return State.LOST


def _chunks(
    connection: Connection, query: Any, packed: bytes | None, seal: Seal
) -> tuple[list[Chunk], list[str]]:
    """Return output, of rows and packed, and what is to be said of that which cannot be read."""
    found: list[Chunk] = []
    missing: dict[str, None] = {}

    def take(read: Callable[[], list[Chunk]]) -> None:
        try:
            found.extend(read())
        except (ValueError, TypeError, LookupError):
            missing[DAMAGED_OUTPUT] = None
        except Undecryptable:
            missing[LOCKED] = None

    if packed is not None:
        take(lambda: packing.unpack(opened(bytes(packed), seal)))
    for row in connection.execute(query).mappings() if query is not None else ():
        take(lambda row=dict(row): [rows.to_chunk(row, seal)])  # type: ignore[misc]
    return found, list(missing)


def _content(connection: Connection, identifier: str, name: str) -> bytes | None:
    query = select(FILE.c.data).where(FILE.c.operation_id == identifier, FILE.c.name == storable(name))
    parts = [bytes(data) for data in connection.execute(query.order_by(FILE.c.part)).scalars()]
    return b"".join(parts) if parts else None
