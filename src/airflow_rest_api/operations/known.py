"""What is known of operations: in the memory of the process that runs them, and else in the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_rest_api.admission import while_waiting
from airflow_rest_api.errors import UnknownOperation
from airflow_rest_api.operations.live import (
    STORED_WITHIN,
    Followed,
    Live,
    Recent,
    Watcher,
    snapshot,
)
from airflow_rest_api.operations.model import Operation, made_within
from airflow_rest_api.operations.recorder import Recorder
from airflow_rest_api.operations.transcript import Stream, joined

if TYPE_CHECKING:
    from airflow_rest_api.operations.store import Store

ON_ITS_WAY = 0.2
"""Seconds after which the database has what another server has answered: some times `recorder.BEHIND`."""
CLOCKS_DIFFER = 60.0
"""Seconds by which the clocks of two servers may differ: an id has the time of the one that made it."""


class KnownOperations:
    """
    Answers for the operations of this process and for those of other servers.

    Memory answers for what runs here, the database for everything else. Each method that takes an id raises
    UnknownOperation, and Unavailable where the database is away.

    :param output_limit: bytes kept of each of stdout and stderr
    """

    def __init__(self, store: Store, output_limit: int) -> None:
        self._store = store
        self._live: dict[str, Live] = {}
        self._recent = Recent()
        self._watcher = Watcher(store, output_limit)
        self._recorder = Recorder(store)

    @property
    def running(self) -> bool:
        """Whether something has not ended here."""
        return bool(self._live)

    def unfinished(self) -> list[tuple[str, datetime | None]]:
        """Return the ids of what has not ended here, each with its start; None for one that waits."""
        found = [live.operation for live in self._live.values()]
        return [(one.id, one.started_at) for one in found if not one.state.ended]

    def _here(self, identifier: str) -> Live | None:
        return self._live.get(identifier) or self._recent.get(identifier)

    async def get(self, identifier: str) -> Operation:
        """Return an operation as it is now."""
        if live := self._here(identifier):
            return live.look()
        return await self._recorded_one(identifier)

    async def peek(self, identifier: str) -> Operation:
        """Return an operation without its output; one that has ended may lack its result too."""
        if live := self._here(identifier):
            return snapshot(live.operation)
        return await self._recorded_one(identifier, output=False)

    async def _recorded_one(self, identifier: str, *, output: bool = True) -> Operation:
        """Return an operation from the database, which may get that of another server in a moment."""
        try:
            return await self._store.get(identifier, output=output)
        except UnknownOperation:
            if not made_within(identifier, CLOCKS_DIFFER):
                raise
        await asyncio.sleep(ON_ITS_WAY)
        return await self._store.get(identifier, output=output)

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
            with while_waiting():
                await live.until_ended(seconds)
            return live.look()
        if seconds <= 0:
            return await self._store.get(identifier)
        async with self._watcher.follow(identifier) as followed:
            if not followed.operation.state.ended:
                with while_waiting():
                    await followed.until_ended(seconds)
            if followed.operation.state.ended:
                return followed.operation
        return await self._store.get(identifier)

    async def written(self) -> None:
        """Return once the database has what has ended here, unless that is too slow to be waited for."""
        await self._recorder.flush(STORED_WITHIN)

    @asynccontextmanager
    async def follow(self, identifier: str) -> AsyncIterator[Live | Followed]:
        """Give what an operation prints, and how it is, wherever it runs."""
        if live := self._here(identifier):
            yield live
            return
        async with self._watcher.follow(identifier) as followed:
            yield followed

    async def file(self, identifier: str, name: str) -> bytes:
        """Return the content of a file that the command wrote; raise UnknownResultFile."""
        live = self._here(identifier)
        if live is not None and name in live.files:
            return live.files[name]
        return await self._store.file(identifier, name)
