"""Operations as rows of the database: from and to their fields, and how many are written at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.needs import Ask, Resource
from airflow_rest_api.errors import Undecryptable
from airflow_rest_api.operations.model import CUT, Key, Operation, OutputFile, State
from airflow_rest_api.operations.tables import (
    CANCEL,
    FILE,
    LOCKED,
    LONGEST_COMMAND,
    LONGEST_DAG_ID,
    LONGEST_FILE_NAME,
    LONGEST_HOST,
    OPERATION,
    OUTPUT,
    decode,
    encode,
    pack,
)
from airflow_rest_api.operations.transcript import STREAMS, Block, Stream
from airflow_rest_api.storage.schema import (
    LONGEST_NAME,
    PART,
    exit_code,
    json_object,
    moment_of,
    storable,
    texts,
    truth,
)
from airflow_rest_api.storage.schema import Row as Columns

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.airflow.installation import FernetCipher

Row = dict[str, Any]

DETAILS = ("argv", "warnings", "refused", "rerun_of", "quotes", "reveals")
"""Fields that no query filters by: they share a column, as JSON, with `asks` and `files`."""

NO_DETAILS: Row = {
    **dict.fromkeys(DETAILS),
    "argv": [],
    "warnings": [],
    "quotes": False,
    "reveals": False,
    "asks": None,
    "files": [],
}

LONGEST_MESSAGE = 64 * 1024
LONGEST_DETAILS = 64 * 1024
"""Characters of them as JSON, beyond which words and warnings are left out: lists show them."""

PACKED = 256 * 1024
"""Bytes of output that go into the row of an operation that has ended."""
RESULT = ""
"""The name under which a large result is kept among the files; no file has it."""


def to_row(operation: Operation) -> Row:
    """Return the columns of an operation that change, but for its result and its output."""
    details: Row = {name: getattr(operation, name) for name in DETAILS}
    details["asks"] = None if operation.asks is None else [_from_ask(ask) for ask in operation.asks]
    details["files"] = [[f.argument, f.name, f.size, f.media_type] for f in operation.files]
    return {
        "id": operation.id,
        "command": storable(operation.command, LONGEST_COMMAND),
        "effect": operation.effect,
        "user": storable(operation.user, LONGEST_NAME),
        "host": storable(operation.host, LONGEST_HOST),
        "server": operation.server,
        "state": operation.state.value,
        "dag_id": storable(operation.dag_id, LONGEST_DAG_ID),
        "endpoint": operation.endpoint,
        "queue": operation.queue,
        "runner": storable(operation.runner, LONGEST_HOST),
        "exit_code": operation.exit_code,
        "message": storable(operation.message, LONGEST_MESSAGE),
        "truncated": operation.truncated,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
        "details": _bounded(details),
    }


def from_row(row: Mapping[str, Any], cipher: FernetCipher) -> Operation:
    """
    Return the operation of a row, without its output; with its result where the row has that.

    What cannot be read of a damaged row is left out, and a warning names it: its state is then `lost`.
    """
    columns = Columns(row)
    no_texts: list[str] = []
    identifier = str(row["id"])
    details = Columns({**NO_DETAILS, **columns.take("details", json_object, {})})
    operation = Operation(
        id=identifier,
        command=columns.text("command"),
        effect=columns.take("effect", lambda value: Effect(value).value, Effect.DESTRUCTIVE.value),
        user=columns.text("user"),
        host=columns.text("host"),
        server=columns.text("server"),
        state=columns.take("state", State, State.LOST),
        dag_id=columns.text_or_none("dag_id"),
        endpoint=columns.text_or_none("endpoint"),
        queue=columns.text_or_none("queue"),
        runner=columns.text_or_none("runner"),
        exit_code=columns.take("exit_code", exit_code, None),
        message=columns.text_or_none("message"),
        truncated=columns.take("truncated", truth, True),
        created_at=columns.moment("created_at") or moment_of(identifier),
        started_at=columns.moment("started_at"),
        finished_at=columns.moment("finished_at"),
        argv=[*details.take("argv", texts, no_texts)],
        warnings=[*details.take("warnings", texts, no_texts)],
        refused=details.text_or_none("refused"),
        rerun_of=details.text_or_none("rerun_of"),
        quotes=details.take("quotes", truth, False),
        reveals=details.take("reveals", truth, True),
        asks=details.take("asks", _to_asks, None),
        files=details.take("files", _to_files, []),
    )
    if row["created_at"] is None:
        columns.note("created_at")
    if row.get("result") is not None:
        try:
            operation.result = columns.take("result", lambda stored: to_result(stored, cipher), None)
        except Undecryptable:
            operation.warnings.append(LOCKED)
    for name in details.damaged:
        columns.note(name)
    if (warning := columns.warning("operation")) is not None:
        operation.warnings.append(warning)
    return operation


def to_result(stored: bytes, cipher: FernetCipher) -> Any:
    """Return the result of what was stored; raise ValueError where it is damaged, or Undecryptable."""
    return json.loads(decode(bytes(stored), cipher))


def to_block(row: Mapping[str, Any], cipher: FernetCipher) -> Block:
    """
    Return the block of a row; raise ValueError, TypeError or LookupError where it is damaged.

    :raises Undecryptable: its key is gone
    """
    if not isinstance(row["at"], datetime):
        raise TypeError("no moment")
    if not all(isinstance(row[name], int) and row[name] >= 0 for name in ("seq", "byte_offset")):
        raise TypeError("no position")
    data = decode(bytes(row["data"]), cipher)
    return Block(row["seq"], STREAMS[row["stream"]], row["byte_offset"], row["at"], data)


def key_hash(user: str, key: str) -> str:
    """
    Return the SHA-256 under which a user's `Idempotency-Key` is stored.

    It has a fixed length; user and key may be of any length and hold any characters.
    """
    return hashlib.sha256(json.dumps([user, key]).encode()).hexdigest()


def _bounded(details: Row) -> str:
    """Return the details as JSON that a list can hold many of: a client's arguments may be of any length."""
    details["refused"] = storable(details["refused"], LONGEST_MESSAGE)
    text = json.dumps(details)
    if len(text) <= LONGEST_DETAILS:
        return text
    for name in ("argv", "warnings"):
        # Whole words: of a part of one nobody could tell that it is none.
        ends = accumulate(len(json.dumps(word)) for word in details[name])
        kept = [word for word, end in zip(details[name], ends, strict=True) if end <= LONGEST_DETAILS // 2]
        details[name] = kept if len(kept) == len(details[name]) else [*kept, CUT]
    return json.dumps(details)


def _from_ask(ask: Ask) -> list[Any]:
    return [ask.resource.value, ask.method, ask.entity, None if ask.names is None else list(ask.names)]


def _to_asks(stored: list[list[Any]] | None) -> tuple[Ask, ...] | None:
    # Damaged ones count as None: only its user may see the operation.
    return None if stored is None else tuple(_to_ask(ask) for ask in stored)


def _to_files(stored: list[list[Any]]) -> list[OutputFile]:
    files = [OutputFile(*file) for file in stored]
    texts([text for file in files for text in (file.argument, file.name, file.media_type)])
    if not all(type(file.size) is int for file in files):
        raise TypeError("no size")
    return files


def _to_ask(stored: list[Any]) -> Ask:
    resource, method, entity, names = stored
    texts([method, *([] if entity is None else [entity]), *([] if names is None else names)])
    return Ask(Resource(resource), method, entity, None if names is None else tuple(names))


@dataclass
class Write:
    """
    All that is to be written about one operation.

    :ivar new: it has no row yet
    :ivar row: its columns; None where only its output grew, or it only started
    :ivar ended: nothing comes after this
    :ivar dropped: by stream, the first and the last number of stored blocks that are to be deleted
    :ivar cut: output was dropped before it was written
    :ivar reveals: it may show secrets: it is encrypted, or not written
    :ivar done: gets its result once everything is written
    """

    identifier: str
    new: bool = False
    row: Row | None = None
    started_at: datetime | None = None
    ended: bool = False
    blocks: list[Block] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    result: bytes | None = None
    dropped: dict[Stream, tuple[int, int]] = field(default_factory=dict)
    cut: bool = False
    reveals: bool = False
    done: Future[None] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """Return the bytes of output that wait here."""
        return sum(len(block.data) for block in self.blocks)

    def add(self, later: Write) -> None:
        """Take what is to be written after this."""
        if later.row is not None:
            # Only the key is in the columns of the first one alone.
            self.row = {**(self.row or {}), **later.row}
        elif self.row is not None and later.started_at is not None:
            self.row |= _running(later.started_at)
        self.started_at = later.started_at or self.started_at
        self.ended = self.ended or later.ended
        self.files |= later.files
        self.result = later.result or self.result
        self.reveals = self.reveals or later.reveals
        for stream, (first, last) in later.dropped.items():
            self.dropped[stream] = self.dropped.get(stream, (first, last))[0], last
            self.blocks = [b for b in self.blocks if b.stream != stream or not first <= b.seq <= last]
        self.blocks += later.blocks

    def shorten(self, size: int) -> None:
        """Drop the middle of the waiting output; reports of progress stay."""
        excess = self.size - size
        head, kept, position = size // 2, [], 0
        for block in self.blocks:
            inside = position >= head and excess > 0
            position += len(block.data)
            if inside and block.stream != "progress":
                excess -= len(block.data)
                self.cut = True
            else:
                kept.append(block)
        self.blocks = kept


def _running(started_at: datetime) -> Row:
    """Return the columns of a command that has begun, which waits for nothing any more."""
    return {"state": State.RUNNING.value, "started_at": started_at, "message": None}


def inserted(
    operation: Operation,
    blocks: Iterable[Block] = (),
    files: Mapping[str, bytes] | None = None,
    key: Key | None = None,
) -> Write:
    """Return what is written of a new operation, as it is now."""
    write = ended(operation, blocks, files)
    assert write.row is not None
    write.new, write.ended = True, operation.state.ended
    write.row |= {"key_hash": key and key_hash(key.user, key.key), "key_fingerprint": key and key.fingerprint}
    return write


def appended(
    identifier: str,
    blocks: Iterable[Block],
    dropped: Mapping[Stream, tuple[int, int]] | None = None,
    *,
    reveals: bool = False,
) -> Write:
    """Return what is written when a command has printed something, which may show secrets."""
    return Write(identifier, blocks=list(blocks), dropped=dict(dropped or {}), reveals=reveals)


def started(operation: Operation) -> Write:
    """Return what is written when a command has begun."""
    return Write(operation.id, started_at=operation.started_at or operation.created_at)


def ended(
    operation: Operation,
    blocks: Iterable[Block] = (),
    files: Mapping[str, bytes] | None = None,
    dropped: Mapping[Stream, tuple[int, int]] | None = None,
) -> Write:
    """Return what is written at the end of an operation, as it is now."""
    return Write(
        operation.id,
        row=to_row(operation),
        ended=True,
        blocks=list(blocks),
        files=dict(files or {}),
        result=None if operation.result is None else json.dumps(operation.result).encode(),
        dropped=dict(dropped or {}),
        reveals=operation.reveals,
    )


def skeleton(write: Write, message: str) -> Write:
    """Return the part of a write that every database takes, for one that was refused."""
    row = None if write.row is None else {**write.row, "message": message, "truncated": True}
    return Write(write.identifier, write.new, row, write.started_at, write.ended, cut=True)


def execute(
    connection: Connection, writes: Sequence[Write], cipher: FernetCipher, *, again: bool = False
) -> None:
    """
    Write everything.

    :param cipher: encrypts what may show secrets; without a key that is not written
    :param again: parts may have been written before, by an attempt of which we do not know the end
    """
    new: list[Row] = []
    outputs: list[Row] = []
    for write in writes:
        kept = not write.reveals or cipher.available
        encrypting = cipher if write.reveals else None
        blocks = write.blocks if kept else []
        files = dict(write.files) if kept else {}
        if encrypting:
            files = {name: encrypting.encrypt(content) for name, content in files.items()}
        row = write.row and {**write.row, "result": None, "output": None}
        if row is not None:
            row["truncated"] = row["truncated"] or write.cut
            if write.result is not None and kept:
                stored = encode(write.result, encrypting)
                if len(stored) <= PART:
                    row["result"] = stored
                else:
                    files[RESULT] = stored
            if write.ended and blocks and sum(len(block.data) for block in blocks) <= PACKED:
                row["output"], blocks = encode(pack(blocks), encrypting), []
        if write.new and row is not None and not (again and exists(connection, write.identifier)):
            new.append({"key_hash": None, "key_fingerprint": None, **row})
        else:
            _update(connection, write, row)
        _delete_blocks(connection, write, again=again)
        outputs += [_from_block(write.identifier, block, encrypting) for block in blocks]
        _write_files(connection, write.identifier, files, again=again)
    if new:
        connection.execute(insert(OPERATION), new)
    if outputs:
        connection.execute(insert(OUTPUT), outputs)
    if gone := [write.identifier for write in writes if write.ended and not write.new]:
        connection.execute(delete(CANCEL).where(CANCEL.c.operation_id.in_(gone)))


def exists(connection: Connection, identifier: str) -> bool:
    """Return whether an operation has a row."""
    query = select(OPERATION.c.id).where(OPERATION.c.id == identifier)
    return connection.execute(query).first() is not None


def _update(connection: Connection, write: Write, row: Row | None) -> None:
    this = update(OPERATION).where(OPERATION.c.id == write.identifier)
    if row is not None:
        changed = connection.execute(this.values({k: v for k, v in row.items() if k != "id"})).rowcount
        if not changed:
            # The table was emptied while it ran.
            connection.execute(insert(OPERATION).values(row))
        return
    if write.started_at is not None:
        waiting = this.where(OPERATION.c.state == State.QUEUED.value)
        connection.execute(waiting.values(**_running(write.started_at)))
    if write.cut:
        connection.execute(this.values(truncated=True))


def _delete_blocks(connection: Connection, write: Write, *, again: bool) -> None:
    """Delete the blocks that were dropped, and those that an earlier attempt may have written."""
    mine = delete(OUTPUT).where(OUTPUT.c.operation_id == write.identifier)
    for stream, (first, last) in write.dropped.items():
        between = OUTPUT.c.seq.between(first, last)
        connection.execute(mine.where(between, OUTPUT.c.stream == STREAMS.index(stream)))
    if again and write.blocks:
        connection.execute(mine.where(OUTPUT.c.seq >= write.blocks[0].seq))


def _write_files(connection: Connection, identifier: str, files: Mapping[str, bytes], *, again: bool) -> None:
    if again and files:
        connection.execute(delete(FILE).where(FILE.c.operation_id == identifier))
    for name, content in files.items():
        for part, start in enumerate(range(0, max(len(content), 1), PART)):
            row = {
                "name": storable(name, LONGEST_FILE_NAME),
                "part": part,
                "data": content[start : start + PART],
            }
            # One statement for each part: together they may be more than the server takes.
            connection.execute(insert(FILE).values(operation_id=identifier, **row))


def _from_block(identifier: str, block: Block, cipher: FernetCipher | None) -> Row:
    return {
        "operation_id": identifier,
        "seq": block.seq,
        "stream": STREAMS.index(block.stream),
        "byte_offset": block.offset,
        "at": block.at,
        "data": encode(block.data, cipher),
    }
