"""Operations on a SQLite file and on an engine that plays a part; two of them are two API servers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations import rows
from airflow_rest_api.operations.model import Operation
from airflow_rest_api.operations.service import Operations
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.transcript import Block
from airflow_rest_api.storage.database import Database, own_engine
from tests.standin import Script, StandInEngine, own_database

CATALOG = load_catalog()
PATIENCE = 60.0

T = TypeVar("T")


class Switched(Database):
    """A database that can be away, or refuse everything, and counts what is asked of it."""

    def __init__(self, address: str) -> None:
        self._at = own_engine(address)
        super().__init__(lambda: self._at)
        self.away = False
        self.refuses = False
        self.answers: threading.Event | None = None
        """Set once the database is to answer what it has done; None: it does at once."""
        self.calls = 0

    def call(self, work: Any) -> Any:
        self.calls += 1
        if self.away:
            raise Unavailable
        if self.refuses:
            raise ValueError("refused")
        answers = self.answers
        result = super().call(work)
        if answers is not None:
            answers.wait(PATIENCE)
        return result


def make_store(address: str | None = None) -> Store:
    """Return a store, in a new file unless an address is given."""
    return Store(Switched(address or own_database()))


@contextmanager
def late_answers(store: Store) -> Iterator[None]:
    """Have a store's database answer nothing in time; at the end it has done all that it was asked for."""
    database = database_of(store)
    patience, database._patience = database._patience, 1.0
    answers = database.answers = threading.Event()
    try:
        yield
    finally:
        database._patience, database.answers = patience, None
        answers.set()


def database_of(store: Store) -> Switched:
    """Return the switch of a store's database."""
    return cast("Switched", store.database)


def operations(
    script: Script, folder: Path | None = None, store: Store | None = None, **options: Any
) -> tuple[Operations, StandInEngine]:
    """Return an API server's operations and its engine."""
    engine = StandInEngine(script)
    return Operations(cast("Engine", engine), store or make_store(), folder=folder, **options), engine


async def append(store: Store, identifier: str, blocks: Iterable[Block], **more: Any) -> None:
    """Write what a command printed, as its recorder does."""
    await store.write(rows.appended(identifier, blocks, **more))


async def begin(store: Store, operation: Operation) -> None:
    """Write that a command has begun, as its recorder does."""
    await store.write(rows.started(operation))


async def end(
    store: Store, operation: Operation, blocks: Iterable[Block] = (), files: Mapping[str, bytes] | None = None
) -> None:
    """Write how an operation ended, as its recorder does."""
    await store.write(rows.ended(operation, blocks, files))


async def until(condition: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what a question answers once that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := await condition()):
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)
    return answer
