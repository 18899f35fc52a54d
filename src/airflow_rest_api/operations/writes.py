"""What is written about operations, and how: many at a time, each in full or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from airflow_rest_api.operations import packing, rows
from airflow_rest_api.operations.model import STREAMS, Chunk, Key, Operation, State, Stream
from airflow_rest_api.operations.sealing import Seal, closed
from airflow_rest_api.operations.tables import CANCEL, FILE, OPERATION, OUTPUT

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

PACKED = 256 * 1024
"""Bytes of output that go into the row of an operation that has ended."""


@dataclass
class Write:
    """
    All that is to be written about one operation.

    :ivar new: it has no row yet
    :ivar row: its columns; None where only its output grew, or it only started
    :ivar ended: nothing comes after this
    :ivar forget: by stream: where what is kept of its end begins
    :ivar cut: output was let go before it was written
    :ivar reveals: it may show secrets: it is encrypted, or not written
    :ivar done: is told when everything is written
    """

    identifier: str
    new: bool = False
    row: rows.Row | None = None
    started_at: datetime | None = None
    ended: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    forget: dict[Stream, int] = field(default_factory=dict)
    cut: bool = False
    reveals: bool = False
    done: Future[None] = field(default_factory=Future)

    def __post_init__(self) -> None:
        """Count the bytes of output that wait here."""
        self.size = sum(len(chunk.data) for chunk in self.chunks)

    def add(self, later: Write) -> None:
        """Take what is to be written after this."""
        if later.row is not None:
            # Only the key is in the columns of the first one alone.
            self.row = {**(self.row or {}), **later.row}
        elif self.row is not None and later.started_at is not None:
            self.row |= _running(later.started_at)
        self.started_at = later.started_at or self.started_at
        self.ended = self.ended or later.ended
        self.chunks += later.chunks
        self.size += later.size
        self.files |= later.files
        self.forget |= later.forget
        self.reveals = self.reveals or later.reveals

    def shorten(self, size: int) -> None:
        """Let the middle of the waiting output go; what the command says of its progress stays."""
        excess = self.size - size
        if excess <= 0:
            return
        head, kept, position = size // 2, [], 0
        for chunk in self.chunks:
            # By whole chunks: a piece of one would be as much work for little more output.
            inside = position >= head and excess > 0
            position += len(chunk.data)
            if inside and chunk.stream != "progress":
                excess -= len(chunk.data)
                self.cut = True
            else:
                kept.append(chunk)
        self.chunks = kept
        self.size = sum(len(chunk.data) for chunk in kept)


def _running(started_at: datetime) -> rows.Row:
    """Return the columns of a command that has begun: what it waited for is no longer said."""
    return {"state": State.RUNNING.value, "started_at": started_at, "message": None}


def inserted(
    operation: Operation,
    chunks: Iterable[Chunk] = (),
    files: Mapping[str, bytes] | None = None,
    key: Key | None = None,
) -> Write:
    """Return what is written of a new operation, as it is now."""
    write = ended(operation, chunks, files)
    assert write.row is not None
    write.new, write.ended = True, operation.state.ended
    write.row |= rows.key_row(key)
    return write


def appended(
    identifier: str,
    chunks: Iterable[Chunk],
    forget_before: Mapping[Stream, int] | None = None,
    *,
    reveals: bool = False,
) -> Write:
    """Return what is written when a command has printed something, which may show secrets."""
    return Write(identifier, chunks=list(chunks), forget=dict(forget_before or {}), reveals=reveals)


def started(operation: Operation) -> Write:
    """Return what is written when a command has begun."""
    return Write(operation.id, started_at=operation.started_at or operation.created_at)


def ended(
    operation: Operation, chunks: Iterable[Chunk] = (), files: Mapping[str, bytes] | None = None
) -> Write:
    """Return what is written at the end of an operation, as it is now."""
    small, large = rows.result_row(operation.result)
    contents = dict(files or {})
    if large is not None:
        contents[rows.RESULT] = large
    row = {**rows.to_row(operation), "result": small}
    return Write(
        operation.id, row=row, ended=True, chunks=list(chunks), files=contents, reveals=operation.reveals
    )


def skeleton(write: Write, message: str) -> Write:
    """Return the part of a write that every database takes, for one that was refused."""
    row = None if write.row is None else {**write.row, "result": None, "message": message, "truncated": True}
    return Write(write.identifier, write.new, row, write.started_at, write.ended, cut=True)


def execute(
    connection: Connection,
    writes: Sequence[Write],
    output_limit: int,
    seal: Seal,
    *,
    careful: bool = False,
) -> None:
    """
    Write everything.

    :param output_limit: bytes kept of each stream
    :param seal: encrypts what may show secrets; what it does not keep is not written
    :param careful: parts may have been written before, by an attempt whose end was not heard of
    """
    outputs: list[rows.Row] = []
    new: list[rows.Row] = []
    for write in writes:
        chunks = packing.keep(packing.join(write.chunks, output_limit), output_limit)
        closing = seal if write.reveals else None
        if closing is not None and not closing.keeps:
            chunks = []
        row = None
        if write.row is not None:
            row = {**write.row, "output": None}
            row["truncated"] = row["truncated"] or write.cut
            if write.ended and sum(len(chunk.data) for chunk in chunks) <= PACKED:
                row["output"], chunks = (packing.pack(chunks) if chunks else None), []
            if closing is not None:
                for name in ("result", "output"):
                    row[name] = _closed(row.get(name), closing)
        if write.new and row is not None and not (careful and _exists(connection, write.identifier)):
            new.append({"result": None, "key_hash": None, "key_fingerprint": None, **row})
        else:
            _update(connection, write, row)
        outputs += (
            _missing(connection, write, chunks, closing)
            if careful
            else rows.output_rows(write.identifier, chunks, closing)
        )
        _forget(connection, write, output_limit)
    if new:
        connection.execute(insert(OPERATION), new)
    if outputs:
        connection.execute(insert(OUTPUT), outputs)
    _write_files(connection, writes, seal, careful)
    if gone := [write.identifier for write in writes if write.ended and not write.new]:
        connection.execute(delete(CANCEL).where(CANCEL.c.operation_id.in_(gone)))


def _exists(connection: Connection, identifier: str) -> bool:
    query = select(OPERATION.c.id).where(OPERATION.c.id == identifier)
    return connection.execute(query).first() is not None


def _update(connection: Connection, write: Write, row: rows.Row | None) -> None:
    this = update(OPERATION).where(OPERATION.c.id == write.identifier)
    if row is not None:
        changed = connection.execute(this.values({k: v for k, v in row.items() if k != "id"})).rowcount
        if not changed:
            # Somebody emptied the table while it ran.
            connection.execute(insert(OPERATION).values(row))
        return
    if write.started_at is not None:
        waiting = this.where(OPERATION.c.state == State.QUEUED.value)
        connection.execute(waiting.values(**_running(write.started_at)))
    if write.cut:
        connection.execute(this.values(truncated=True))


def _closed(data: bytes | None, seal: Seal) -> bytes | None:
    return closed(data, seal) if data is not None and seal.keeps else None


def _missing(
    connection: Connection, write: Write, chunks: Sequence[Chunk], seal: Seal | None
) -> list[rows.Row]:
    """Return the rows of output that are not there yet: of each stream, all before a certain point is."""
    query = select(OUTPUT.c.stream, OUTPUT.c.upto).where(OUTPUT.c.operation_id == write.identifier)
    there = {(stream, upto) for stream, upto in connection.execute(query)}
    found = rows.output_rows(write.identifier, chunks, seal)
    return [row for row in found if (row["stream"], row["upto"]) not in there]


def _forget(connection: Connection, write: Write, output_limit: int) -> None:
    """Delete the middle of streams that have grown beyond their limit."""
    if write.new:
        return
    for number, stream in enumerate(STREAMS):
        size = max((packing.upto(chunk) for chunk in write.chunks if chunk.stream == stream), default=0)
        head, end = packing.forgotten(stream, size, output_limit) or (packing.head(stream, output_limit), 0)
        end = max(end, write.forget.get(stream, 0))
        if end > head:
            connection.execute(
                delete(OUTPUT)
                .where(
                    OUTPUT.c.operation_id == write.identifier,
                    OUTPUT.c.stream.in_((number, number + rows.SEALED)),
                )
                .where(OUTPUT.c.upto > head, OUTPUT.c.upto <= end)
            )


def _write_files(connection: Connection, writes: Sequence[Write], seal: Seal, careful: bool) -> None:
    for write in writes:
        files = dict(write.files)
        if write.reveals:
            # The large result is one that `packing` has made.
            files = {
                name: closed(content, seal) if name == rows.RESULT else seal.close(content)
                for name, content in files.items()
                if seal.keeps
            }
        if careful and write.files:
            connection.execute(delete(FILE).where(FILE.c.operation_id == write.identifier))
        # One statement for each part: together they may be more than the server takes.
        for row in rows.file_rows(write.identifier, files):
            connection.execute(insert(FILE).values(row))
