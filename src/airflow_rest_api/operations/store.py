"""Where operations are kept: the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.errors import UnknownOperation
from airflow_rest_api.operations import reads, retention, servers, writes
from airflow_rest_api.operations.listing import newest
from airflow_rest_api.operations.model import (
    Chunk,
    Filter,
    Key,
    KeyTaken,
    Operation,
    Server,
    State,
    Stream,
)
from airflow_rest_api.operations.sealing import KeepsNothing, Seal
from airflow_rest_api.operations.tables import CANCEL, OPERATION
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    import builtins

    from sqlalchemy.engine import Connection

    from airflow_rest_api.storage.database import Database, Work

ATTEMPTS = 3


class Store:
    """
    Keeps operations in a database.

    Every call reaches the database and raises `storage.errors.Unavailable` where it is away. What is given is
    read before the call gives way, so that it may change afterwards; what is returned is the caller's own.
    All writes of one operation but `ask_cancel` and `bury` come from the process that runs it.

    :param output_limit: bytes kept of each of stdout and stderr: half of them its beginning, half its end
    :param seal: encrypts what may show secrets; without one, that is not kept
    """

    def __init__(
        self, database: Database, *, output_limit: int = 1024 * 1024, seal: Seal | None = None
    ) -> None:
        self.database = database
        self.output_limit = output_limit
        self.seal: Seal = seal or KeepsNothing()

    async def insert(
        self,
        operation: Operation,
        chunks: Iterable[Chunk] = (),
        files: Mapping[str, bytes] | None = None,
        key: Key | None = None,
    ) -> None:
        """
        Keep a new operation: one that has ended with all it printed and wrote in one go, or one that begins.

        Its output is what the chunks say; its fields `stdout` and `stderr` are not looked at.

        :raises KeyTaken: its user has used the key before
        """
        write = writes.inserted(operation, chunks, files, key)
        if key is None:
            await self._write(write)
            return

        def work(connection: Connection) -> None:
            if found := reads.key(connection, key.user, key.key):
                if found[0] == operation.id:
                    return  # by an attempt whose end was not heard of
                raise KeyTaken(*found)
            writes.execute(connection, [write], self.output_limit, self.seal)

        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self.database.run(work)
                return
            except IntegrityError:
                # Somebody else's key came first: the next attempt finds it.
                if attempt == ATTEMPTS:
                    raise

    async def append(
        self,
        identifier: str,
        chunks: Iterable[Chunk],
        forget_before: Mapping[Stream, int] | None = None,
        *,
        reveals: bool = False,
    ) -> None:
        """
        Keep what a running command printed since the last time.

        The middle of a stream that has grown beyond `output_limit` is forgotten.

        :param forget_before: by stream: where what is kept of its end begins, if the caller knows better
        :param reveals: whether it may show secrets
        """
        await self._write(writes.appended(identifier, chunks, forget_before, reveals=reveals))

    async def started(self, operation: Operation) -> None:
        """Keep that a command has begun, at its `started_at`."""
        await self._write(writes.started(operation))

    async def end(
        self, operation: Operation, chunks: Iterable[Chunk] = (), files: Mapping[str, bytes] | None = None
    ) -> None:
        """
        Keep how an operation ended, with the rest of its output and the files.

        It is the last word on it: also where another server believed it lost, and where its row is gone.
        """
        await self._write(writes.ended(operation, chunks, files))

    async def get(self, identifier: str, *, output: bool = True) -> Operation:
        """
        Return an operation; raise UnknownOperation.

        :param output: with its output and its result, which may be large
        """

        def work(connection: Connection) -> Operation:
            if output:
                return reads.whole(connection, identifier, self.output_limit, self.seal)
            return reads.summary(connection, identifier, self.seal)

        return await self.database.run(work)

    async def state(self, identifier: str) -> State:
        """Return where an operation stands; raise UnknownOperation."""
        return await self.database.run(lambda connection: reads.state(connection, identifier))

    async def chunks(
        self, identifier: str, after: Mapping[Stream, int] | None = None, limit: int = 1000
    ) -> tuple[builtins.list[Chunk], State]:
        """
        Return output in the order of printing, and the state from before it was read.

        An ended state with fewer chunks than `limit` means that there is no more. Where output was forgotten
        a chunk's offset is beyond the end of the one before.

        :param after: bytes of each stream that the caller has already; none by default
        :raises UnknownOperation: there is none
        """
        seen = dict(after or {})
        return await self.database.run(lambda c: reads.chunks(c, identifier, seen, limit, self.seal))

    async def file(self, identifier: str, name: str) -> bytes:
        """Return the content of a file; raise UnknownOperation, UnknownResultFile or Undecryptable."""
        return await self.database.run(lambda connection: reads.file(connection, identifier, name, self.seal))

    async def list(
        self,
        filter: Filter | None = None,
        *,
        before: str | None = None,
        limit: int = 50,
        summary: bool = True,
    ) -> builtins.list[Operation]:
        """
        Return the newest operations that match, without their output.

        :param before: only those older than the operation of this id, which need not exist
        :param summary: without their results as well
        """
        wanted = filter or Filter()
        return await self.database.run(
            lambda connection: newest(connection, wanted, before, limit, summary, self.seal)
        )

    async def find_key(self, user: str, key: str) -> tuple[str, str] | None:
        """Return the id of the operation that a user's key led to, and the fingerprint of what was asked."""
        return await self.database.run(lambda connection: reads.key(connection, user, key))

    async def discard(self, identifier: str) -> None:
        """Forget an operation."""
        await self.database.run(lambda connection: retention.remove(connection, [identifier]))

    async def ask_cancel(self, identifier: str, reason: str) -> State:
        """
        Ask the server that runs an operation to end it; the first reason counts.

        Return where the operation stands; one that has ended is left alone. Raise UnknownOperation.
        """

        def work(connection: Connection) -> State:
            query = select(OPERATION.c.state, OPERATION.c.server).where(OPERATION.c.id == identifier)
            row = connection.execute(query).first()
            if row is None:
                raise UnknownOperation
            state = State(row.state)
            asked = select(CANCEL.c.operation_id).where(CANCEL.c.operation_id == identifier)
            if not state.ended and connection.execute(asked).first() is None:
                values = {"operation_id": identifier, "server": row.server, "reason": storable(reason)}
                connection.execute(insert(CANCEL).values(values))
            return state

        try:
            return await self.database.run(work)
        except IntegrityError:  # somebody asked at the same moment
            return await self.state(identifier)

    async def cancels(self, server: str) -> dict[str, str]:
        """Return the reasons for which operations of a server are to end, by their ids."""
        query = select(CANCEL.c.operation_id, CANCEL.c.reason).where(CANCEL.c.server == server)
        return await self.database.run(lambda c: {row[0]: row[1] for row in c.execute(query)})

    async def beat(self, server: Server) -> None:
        """Keep that a server lives, with its counter; it becomes known by its first beat."""
        try:
            await self.database.run(lambda connection: servers.beat(connection, server))
        except IntegrityError:  # by an attempt whose end was not heard of
            await self.database.run(lambda connection: servers.beat(connection, server))

    async def servers(self) -> builtins.list[Server]:
        """Return the servers that are known to live, or did not say that they end."""
        return await self.database.run(servers.known)

    async def leave(self, server: str) -> None:
        """Forget a server that ends in order."""
        await self.database.run(lambda connection: servers.remove(connection, server))

    async def orphans(self) -> set[str]:
        """Return the ids of unknown servers that have operations which have not ended."""
        return await self.database.run(servers.missing)

    async def unfinished(self, server: str, before: datetime) -> builtins.list[str]:
        """Return the ids of a server's operations that were asked for before then and have not ended."""
        return await self.database.run(lambda connection: servers.unfinished(connection, server, before))

    async def bury(self, server: str) -> builtins.list[str]:
        """Make the unfinished operations of a dead server `lost`, and forget it; return their ids."""
        now = datetime.now(timezone.utc)
        return await self.database.run(lambda connection: servers.bury(connection, server, now))

    async def sweep(self, count: int, age: float) -> int:
        """
        Forget ended operations: all beyond the newest `count`, and all older than `age` seconds.

        In small transactions; return how many went.
        """
        run: Work[int] = retention.Sweep(count, age, datetime.now(timezone.utc))
        gone = 0
        while batch := await self.database.run(run):
            gone += batch
        return gone

    async def _write(self, write: writes.Write) -> None:
        try:
            await self.database.run(lambda c: writes.execute(c, [write], self.output_limit, self.seal))
        except IntegrityError:
            # By an attempt whose end was not heard of: an outage in the middle of a commit.
            await self.database.run(
                lambda c: writes.execute(c, [write], self.output_limit, self.seal, careful=True)
            )
