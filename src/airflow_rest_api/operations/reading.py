"""What is known of operations, wherever they run: in this process, in another API server, or no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from airflow_rest_api.admission import aside
from airflow_rest_api.operations.live import Live, Recent, Watcher, snapshot
from airflow_rest_api.operations.model import Cancel, Filter, Operation
from airflow_rest_api.operations.transcript import joined

if TYPE_CHECKING:
    import builtins

    from airflow_rest_api.operations.live import Followed
    from airflow_rest_api.operations.store import Store
    from airflow_rest_api.operations.transcript import Stream


class Reading:
    """
    Answers for every operation: from memory for those that run here, from the database for the others.

    Each method that takes an id raises UnknownOperation, and Unavailable where the database is away.

    :param limit: bytes kept of each stream
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._live: dict[str, Live] = {}
        self._recent = Recent()
        self._watcher = Watcher(store, limit)

    @property
    def running(self) -> bool:
        """Whether something has not ended here."""
        return bool(self._live)

    def _here(self, identifier: str) -> Live | None:
        return self._live.get(identifier) or self._recent.get(identifier)

    async def get(self, identifier: str) -> Operation:
        """Return an operation as it is now."""
        if live := self._here(identifier):
            return live.look()
        return await self._store.get(identifier)

    async def peek(self, identifier: str) -> Operation:
        """Return an operation without its output; one that has ended may lack its result too."""
        if live := self._here(identifier):
            return snapshot(live.operation)
        return await self._store.get(identifier, output=False)

    async def output(
        self, identifier: str, stream: Stream, offset: int, limit: int
    ) -> tuple[int, bytes, bool]:
        """
        Return what an operation printed on a stream from an offset on, as far as nothing is missing.

        :param offset: bytes of the stream that the caller has
        :param limit: bytes after which to stop
        :return: where it begins, the bytes, and whether there is nothing more to come; it begins later than
            asked where output was dropped
        """
        if live := self._here(identifier):
            blocks, ended = live.transcript.behind(stream, offset), live.ended.is_set()
        else:
            blocks, state = await self._store.blocks_of(identifier, stream, offset)
            ended = state.ended
        start, data, complete = joined(blocks, offset, limit)
        return start, data, ended and complete

    async def wait(self, identifier: str, seconds: float) -> Operation:
        """Return an operation once it has ended, or after ``seconds``."""
        if live := self._here(identifier):
            with aside():
                await live.until_ended(seconds)
            return live.look()
        found = await self._store.get(identifier)
        if found.state.ended or seconds <= 0:
            return found
        async with self._watcher.follow(identifier) as followed:
            with aside():
                await followed.until_ended(seconds)
        return await self._store.get(identifier)

    @asynccontextmanager
    async def follow(self, identifier: str) -> AsyncIterator[Live | Followed]:
        """Give what an operation prints, and how it is, wherever it runs."""
        if live := self._here(identifier):
            yield live
            return
        async with self._watcher.follow(identifier) as followed:
            yield followed

    async def cancel(self, identifier: str, reason: str) -> Cancel:
        """
        Ask an operation to end, wherever it runs; return what came of that.

        :param reason: one sentence, that becomes the operation's message
        """
        if live := self._here(identifier):
            if live.ask(reason):
                return Cancel.ASKED
            return Cancel.ENDED_BEFORE if live.operation.state.ended else Cancel.ASKED_BEFORE
        operation = await self._store.get(identifier, output=False)
        before = identifier in await self._store.cancels(operation.server)
        if (await self._store.ask_cancel(identifier, reason)).ended:
            return Cancel.ENDED_BEFORE
        return Cancel.ASKED_BEFORE if before else Cancel.ASKED

    def cancel_here(self, asked: Mapping[str, str]) -> None:
        """End those operations of this process that another API server was asked to end."""
        for identifier, reason in asked.items():
            if live := self._live.get(identifier):
                live.ask(reason)

    async def file(self, identifier: str, name: str) -> bytes:
        """Return the content of a file that the command wrote; raise UnknownResultFile."""
        live = self._here(identifier)
        if live is not None and name in live.files:
            return live.files[name]
        return await self._store.file(identifier, name)

    async def list(
        self, wanted: Filter, *, before: str | None = None, limit: int = 50
    ) -> builtins.list[Operation]:
        """Return the newest operations that match, without their output."""
        return await self._store.list(wanted, before=before, limit=limit)

    async def find_key(self, user: str, key: str) -> tuple[str, str] | None:
        """Return the id of the operation that a user's key led to, and the fingerprint of that request."""
        return await self._store.find_key(user, key)
