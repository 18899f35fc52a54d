"""Where operations are kept: the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.errors import Undecryptable, UnknownOperation, UnknownResultFile
from airflow_rest_api.operations import rows
from airflow_rest_api.operations.model import Filter, Key, KeyTaken, Operation, State
from airflow_rest_api.operations.tables import (
    CANCEL,
    FILE,
    LIGHT,
    LOCKED,
    OPERATION,
    OUTPUT,
    WORK,
    WORK_PART,
    NoCipher,
    decode,
    unpack,
)
from airflow_rest_api.operations.transcript import BLOCK, STREAMS, Block, Stream, text_of
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    import builtins

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import ColumnElement, Select

    from airflow_rest_api.airflow.installation import FernetCipher
    from airflow_rest_api.storage.database import Database

ATTEMPTS = 3
BATCH = 200
"""Operations that are removed in one transaction."""
SLACK = timedelta(minutes=1)
"""An operation is created a moment after its id; a clock that is set back makes it more."""
DAMAGED_RESULT = "The record of this operation is damaged: result cannot be read."
DAMAGED_OUTPUT = "The record of this operation is damaged: a part of its output cannot be read."
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Store:
    """
    Keeps operations in a database.

    Every call reaches the database and raises `errors.Unavailable` where it is away. What is given is
    read before the call gives way, so that it may change afterwards; what is returned is the caller's own.
    All writes of one operation that runs, but `ask_cancel` and `heartbeat.mark_lost`, come from the process
    that runs it. One that waits for a runner is ended in `work_queue`, and others remove what has ended.

    :param cipher: encrypts what may show secrets; without one, that is not kept
    """

    def __init__(self, database: Database, *, cipher: FernetCipher | None = None) -> None:
        self.database = database
        self.cipher: FernetCipher = cipher or NoCipher()

    async def insert(
        self,
        operation: Operation,
        blocks: Iterable[Block] = (),
        files: Mapping[str, bytes] | None = None,
        key: Key | None = None,
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        """
        Keep a new operation: one that has ended with all it printed and wrote in one go, or one that begins.

        Its output is that of the blocks, not of its fields `stdout` and `stderr`. Where the database takes it
        after nobody waits for that any more, it is removed again, unless a runner has it: its caller was told
        that nothing began.

        :param also: done in the same transaction, before

        :raises KeyTaken: its user has used the key before
        """
        write = rows.inserted(operation, blocks, files, key)
        undo = partial(_withdraw, identifier=operation.id)
        if key is None and also is None:
            await self.write(write, undo)
            return

        def work(connection: Connection) -> None:
            if key is not None and (found := _key(connection, key.user, key.key)):
                if found[0] == operation.id:
                    return  # by an attempt of which we do not know the end
                raise KeyTaken(*found)
            if also is not None:
                if rows.exists(connection, operation.id):
                    return  # as above
                also(connection)
            rows.execute(connection, [write], self.cipher)

        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self.database.run(work, undo)
                return
            except IntegrityError:
                # The same key of another request came first: the next attempt finds it.
                if attempt == ATTEMPTS:
                    raise

    async def write(self, write: rows.Write, undo: Callable[[Connection], object] | None = None) -> None:
        """
        Write what there is to be written about one operation.

        :param undo: done where that succeeds after nobody waits for it any more
        """
        try:
            await self.database.run(lambda c: rows.execute(c, [write], self.cipher), undo)
        except IntegrityError:
            # By an attempt of which we do not know the end: an outage in the middle of a commit.
            await self.database.run(lambda c: rows.execute(c, [write], self.cipher, again=True), undo)

    async def get(self, identifier: str, *, output: bool = True) -> Operation:
        """
        Return an operation; raise UnknownOperation.

        :param output: with its output and its result, which may be large
        """
        read = _whole if output else _summary
        return await self.database.run(lambda connection: read(connection, identifier, self.cipher))

    async def claimed(
        self,
        identifier: str,
        claim: Callable[[Connection], bytes | None],
        undo: Callable[[Connection], object] | None = None,
    ) -> tuple[Operation, bytes] | None:
        """
        Return an operation without its output, with what claiming it gives; None where that gives nothing.

        :param claim: done in the same transaction, before
        :param undo: done where that succeeds after nobody waits for it any more
        """

        def work(connection: Connection) -> tuple[Operation, bytes] | None:
            data = claim(connection)
            return None if data is None else (_summary(connection, identifier, self.cipher), data)

        return await self.database.run(work, undo)

    async def state(self, identifier: str) -> State:
        """Return where an operation stands; raise UnknownOperation."""
        return (await self.blocks(identifier, 0, 0))[1]

    async def blocks(
        self, identifier: str, after: int = 0, limit: int = 1000
    ) -> tuple[builtins.list[Block], State]:
        """
        Return output in the order of printing, and the state from before it was read.

        An ended state with fewer blocks than `limit` means that there is no more.

        :param after: the number of the last block that the caller has
        :raises UnknownOperation: there is none
        """
        rows_behind = OUTPUT.c.seq > after
        found, state = await self._blocks(identifier, rows_behind, limit)
        return [block for block in found if block.seq > after][:limit], state

    async def blocks_of(
        self, identifier: str, stream: Stream, offset: int
    ) -> tuple[builtins.list[Block], State]:
        """
        Return the blocks of one stream that end behind an offset, and the state from before they were read.

        :raises UnknownOperation: there is none
        """
        rows_behind = and_(OUTPUT.c.stream == STREAMS.index(stream), OUTPUT.c.byte_offset > offset - BLOCK)
        found, state = await self._blocks(identifier, rows_behind)
        return [block for block in found if block.stream == stream and block.end > offset], state

    async def _blocks(
        self, identifier: str, wanted: ColumnElement[bool], limit: int | None = None
    ) -> tuple[builtins.list[Block], State]:
        """Return blocks, those of rows that match and all that are packed, and the state from before."""

        def work(connection: Connection) -> tuple[builtins.list[Block], State]:
            row = _one(connection, select(OPERATION.c.state, OPERATION.c.output), identifier)
            found = select(OUTPUT).where(OUTPUT.c.operation_id == identifier, wanted)
            mappings = connection.execute(found.order_by(OUTPUT.c.seq).limit(limit)).mappings()
            return _read(mappings, row["output"], self.cipher)[0], _state(row["state"])

        return await self.database.run(work)

    async def file(self, identifier: str, name: str) -> bytes:
        """Return the content of a file; raise UnknownOperation, UnknownResultFile or Undecryptable."""

        def work(connection: Connection) -> bytes:
            content = _content(connection, identifier, name) if name != rows.RESULT else None
            reveals = _summary(connection, identifier, self.cipher).reveals
            if content is None:
                raise UnknownResultFile
            return self.cipher.decrypt(content) if reveals else content

        return await self.database.run(work)

    async def list(
        self, wanted: Filter | None = None, *, before: str | None = None, limit: int = 50
    ) -> builtins.list[Operation]:
        """
        Return the newest operations that match, without their output and results.

        :param before: only those older than the operation of this id, which need not exist
        """

        def work(connection: Connection) -> builtins.list[Operation]:
            found = _newest(connection, wanted or Filter(), before, limit)
            return [rows.from_row(row, self.cipher) for row in found]

        return await self.database.run(work)

    async def find_key(self, user: str, key: str) -> tuple[str, str] | None:
        """Return the id of the operation that a user's key led to, and the fingerprint of what was asked."""
        return await self.database.run(lambda connection: _key(connection, user, key))

    async def discard(self, identifier: str) -> None:
        """Remove an operation."""
        await self.database.run(lambda connection: _remove(connection, [identifier]))

    async def ask_cancel(self, identifier: str, reason: str) -> State:
        """
        Ask the server that runs an operation to end it; the first reason counts.

        Return where the operation stands; one that has ended is left alone. Raise UnknownOperation.
        """

        def work(connection: Connection) -> State:
            row = _one(connection, select(OPERATION.c.state, OPERATION.c.server), identifier)
            state = _state(row["state"])
            asked = select(CANCEL.c.operation_id).where(CANCEL.c.operation_id == identifier)
            if not state.ended and connection.execute(asked).first() is None:
                values = {"operation_id": identifier, "server": row["server"], "reason": storable(reason)}
                connection.execute(insert(CANCEL).values(values))
            return state

        try:
            return await self.database.run(work)
        except IntegrityError:  # another request at the same moment
            return await self.state(identifier)

    async def cancels(self, server: str) -> dict[str, str]:
        """Return the reasons for which operations of a server are to end, by their ids."""
        query = select(CANCEL.c.operation_id, CANCEL.c.reason).where(CANCEL.c.server == server)
        return await self.database.run(lambda c: {row[0]: row[1] for row in c.execute(query)})

    async def sweep(self, count: int, age: float) -> int:
        """
        Remove ended operations: all beyond the newest `count`, and all older than `age` seconds.

        In small transactions; return how many were removed.
        """
        until = datetime.now(timezone.utc) - timedelta(seconds=age)
        gone = 0
        while batch := await self.database.run(partial(_sweep, count=count, until=until)):
            gone += batch
        return gone


def _one(connection: Connection, query: Select[Any], identifier: str) -> dict[str, Any]:
    """Return the row of an operation; raise UnknownOperation."""
    row = connection.execute(query.where(OPERATION.c.id == identifier)).mappings().first()
    if row is None:
        raise UnknownOperation
    return dict(row)


def _summary(connection: Connection, identifier: str, cipher: FernetCipher) -> Operation:
    return rows.from_row(_one(connection, select(*LIGHT), identifier), cipher)


def _whole(connection: Connection, identifier: str, cipher: FernetCipher) -> Operation:
    """Return an operation with all that belongs to it but its files."""
    row = _one(connection, select(OPERATION), identifier)
    operation = rows.from_row(row, cipher)
    if row["result"] is None and (large := _content(connection, identifier, rows.RESULT)) is not None:
        try:
            operation.result = rows.to_result(large, cipher)
        except (ValueError, RecursionError):
            operation.warnings.append(DAMAGED_RESULT)
        except Undecryptable:
            operation.warnings.append(LOCKED)
    query = select(OUTPUT).where(OUTPUT.c.operation_id == identifier)
    blocks, problems = _read(connection.execute(query).mappings(), row["output"], cipher)
    operation.warnings += [text for text in problems if text not in operation.warnings]
    operation.stdout, lacks_out = text_of(blocks, "stdout")
    operation.stderr, lacks_err = text_of(blocks, "stderr")
    operation.truncated = operation.truncated or bool(problems) or lacks_out or lacks_err
    return operation


def _read(
    mappings: Iterable[Any], packed: bytes | None, cipher: FernetCipher
) -> tuple[list[Block], list[str]]:
    """Return the blocks of rows and those packed, in order, each once; and what is wrong with the others."""
    found: dict[int, Block] = {}
    problems: dict[str, None] = {}

    def take(read: Callable[[], list[Block]]) -> None:
        try:
            found.update({block.seq: block for block in read()})
        except (ValueError, TypeError, LookupError):
            problems[DAMAGED_OUTPUT] = None
        except Undecryptable:
            problems[LOCKED] = None

    if packed is not None:
        take(lambda: unpack(decode(bytes(packed), cipher)))
    for row in mappings:
        take(lambda row=row: [rows.to_block(row, cipher)])  # type: ignore[misc]
    return [found[seq] for seq in sorted(found)], list(problems)


def _content(connection: Connection, identifier: str, name: str) -> bytes | None:
    query = select(FILE.c.data).where(FILE.c.operation_id == identifier, FILE.c.name == storable(name))
    parts = [bytes(data) for data in connection.execute(query.order_by(FILE.c.part)).scalars()]
    return b"".join(parts) if parts else None


def _key(connection: Connection, user: str, key: str) -> tuple[str, str] | None:
    query = select(OPERATION.c.id, OPERATION.c.key_fingerprint)
    row = connection.execute(query.where(OPERATION.c.key_hash == rows.key_hash(user, key))).first()
    return (row[0], row[1]) if row is not None else None


def _state(stored: str) -> State:
    """Return where an operation stands; `lost` for what is no state that we know."""
    try:
        return State(stored)
    except ValueError:
        return State.LOST


def _newest(
    connection: Connection, wanted: Filter, before: str | None, limit: int
) -> list[Mapping[str, Any]]:
    """Return rows, the newest first: each page by one index, however many rows there are."""
    query = select(*LIGHT)
    for name in ("command", "user", "dag_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(OPERATION.c[name] == storable(value))
    query = _within(query, wanted.since, wanted.until)
    if before is not None:
        query = query.where(OPERATION.c.id < before)
    query = query.order_by(OPERATION.c.id.desc()).limit(limit)
    # A page for each endpoint, state or effect: of several at once, no index gives the newest first.
    several: dict[str, list[str | None]] = {
        "endpoint": list(dict.fromkeys(wanted.endpoints)),
        "state": [state.value for state in dict.fromkeys(wanted.states)],
        "effect": list(dict.fromkeys(wanted.effects)),
    }
    (apart, values), *rest = [(name, found) for name, found in several.items() if found] or [("", [])]
    for name, found in rest:
        query = query.where(OPERATION.c[name].in_(found))
    pages = [query.where(OPERATION.c[apart] == value) for value in values] or [query]
    merged: list[Any] = []
    for page in pages:
        if merged and len(merged) == limit:
            page = page.where(OPERATION.c.id > merged[-1]["id"])  # older ones are of no use any more
        merged += connection.execute(page).mappings()
        merged = sorted(merged, key=lambda row: str(row["id"]), reverse=True)[:limit]
    return merged


def _within(query: Any, since: datetime | None, until: datetime | None) -> Any:
    """Narrow by time. The ids begin with it: their index is the way to the rows, the column decides."""
    if since is not None:
        query = query.where(OPERATION.c.created_at >= since, OPERATION.c.id >= _first_id(since, -SLACK))
    if until is not None:
        query = query.where(OPERATION.c.created_at < until, OPERATION.c.id < _first_id(until, SLACK))
    return query


def _first_id(moment: datetime, shift: timedelta) -> str:
    """Return what sorts before every id of the shifted moment or later; see `model.new_id`."""
    milliseconds = max(0, (moment - _EPOCH + shift) // timedelta(milliseconds=1))
    return f"{min(milliseconds, 2**48 - 1):012x}"


def _withdraw(connection: Connection, identifier: str) -> None:
    """Remove an operation that has not begun."""
    # First this, of which a runner's claim and we cannot both be the ones that come through.
    waits = (OPERATION.c.id == identifier, OPERATION.c.state == State.QUEUED.value)
    if connection.execute(delete(OPERATION).where(*waits)).rowcount:
        _remove(connection, [identifier])


def _remove(connection: Connection, identifiers: list[str]) -> None:
    """Delete operations with everything that belongs to them."""
    for table in (OUTPUT, FILE, CANCEL, WORK, WORK_PART):
        connection.execute(delete(table).where(table.c.operation_id.in_(identifiers)))
    connection.execute(delete(OPERATION).where(OPERATION.c.id.in_(identifiers)))


def _sweep(connection: Connection, count: int, until: datetime) -> int:
    """Delete the oldest of the ended operations that are beyond what is kept; return how many."""
    ended = select(OPERATION.c.finished_at, OPERATION.c.id).where(OPERATION.c.finished_at.is_not(None))
    newest_first = ended.order_by(OPERATION.c.finished_at.desc(), OPERATION.c.id.desc())
    beyond = OPERATION.c.finished_at < until
    # Each time anew: other servers sweep as well, and operations end.
    edge = connection.execute(newest_first.offset(count).limit(1)).first()
    if edge is not None and edge.finished_at >= until:
        before = or_(OPERATION.c.finished_at < edge.finished_at, OPERATION.c.id <= edge.id)
        # The first half is what an index is good for.
        beyond = and_(OPERATION.c.finished_at <= edge.finished_at, before)
    oldest_first = ended.where(beyond).order_by(OPERATION.c.finished_at, OPERATION.c.id).limit(BATCH)
    identifiers = [row.id for row in connection.execute(oldest_first)]
    if identifiers:
        _remove(connection, identifiers)
    return len(identifiers)
