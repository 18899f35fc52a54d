"""Work in a database, its engine if it is ours: in threads, in transactions, tried again where that helps."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy.exc import StatementError

from airflow_rest_api.database_address import database
from airflow_rest_api.errors import Unavailable
from airflow_rest_api.storage.connection import connected
from airflow_rest_api.storage.transient import Trouble, read_only, trouble_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[["Connection"], Result]

THREADS = 4
"""So many of the engine's connections are used at a time."""
ATTEMPTS = 6
FIRST_PAUSE = 0.05
"""Seconds before the second attempt; each further pause is twice as long."""
PATIENCE = 20.0
"""Seconds after which the database counts as away: a lost network answers nothing at all."""


class Database:
    """
    The database that holds our tables; they are made, and anything is opened, at the first use.

    Work is a function of a connection. It runs in one transaction, in a thread, and more than once where
    another transaction was in its way: it must do nothing beside the database.
    """

    def __init__(self, engine: Callable[[], Engine], *, patience: float = PATIENCE) -> None:
        self._get_engine = engine
        self._engine: Engine | None = None
        self._ready = False
        self._missing = False
        """Whether a table was found missing since they were made."""
        self._patience = patience
        self._starting = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="rest-api-database")

    async def run(self, work: Work[Result], undo: Work[object] | None = None) -> Result:
        """
        Do some work in a thread; return what it returns.

        :param undo: done in that thread where the work succeeds although nobody waits for it any more
        :raises Unavailable: the database is away, or has not answered in time; whether the work was done is
            not known then
        """
        attempt = _Attempt(self, work, undo)
        future = asyncio.get_running_loop().run_in_executor(self._threads, attempt)
        waited = False
        try:
            waited = bool((await asyncio.wait({future}, timeout=self._patience))[0])
        finally:
            if not waited:
                # What has not begun is not done any more; the end of what has must not be logged as
                # forgotten.
                future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                future.cancel()
                if attempt.abandon():
                    with suppress(RuntimeError):  # closed meanwhile
                        self._threads.submit(attempt.take_back)
        if not waited:
            raise Unavailable("The database does not answer.")
        return future.result()

    async def run_to_the_end(self, work: Work[Result]) -> Result:
        """Do some work in a thread, as `call` does: for who has to know what comes of it, however late."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.call, work)

    def call(self, work: Work[Result]) -> Result:
        """Do some work in this thread; return what it returns. Raises Unavailable: the database is away."""
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._prepare()
                with connected(self._open()) as connection, connection.begin():
                    return work(connection)
            except Exception as error:
                if isinstance(error, StatementError):
                    # Whoever logs it, or what it is the cause of, logs no values.
                    error.hide_parameters = True
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                if trouble is Trouble.NO_TABLE:
                    if attempt == ATTEMPTS:
                        raise
                    self._missing, self._ready = True, False  # dropped under us: they are made again
                elif trouble is Trouble.AWAY and not _stale(error, attempt):
                    raise Unavailable(f"The database cannot be reached: {_first_line(error)}") from error
                elif attempt == ATTEMPTS:
                    raise Unavailable(f"The database is busy: {_first_line(error)}") from error
            # A different pause for each of those that are in each other's way.
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
        raise AssertionError("unreachable")

    def engine(self) -> Engine:
        """Return the engine, with its tables made; raise Unavailable."""
        self.call(lambda connection: None)
        return self._open()

    def close(self) -> None:
        """Let the threads end once they are idle. The engine is whose it was."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = self._get_engine()
        return self._engine

    def _prepare(self) -> None:
        if self._ready:
            return
        from airflow_rest_api.storage.migrations import migrate

        with self._starting:
            if not self._ready:
                migrate(self._open(), missing=self._missing)
                self._missing, self._ready = False, True


class _Attempt(Generic[Result]):
    """Work in a thread, that is undone where it succeeds although nobody waits for it any more."""

    def __init__(self, database: Database, work: Work[Result], undo: Work[object] | None) -> None:
        self._database = database
        self._work = work
        self._undo = undo
        self._done = self._abandoned = False
        self._deciding = threading.Lock()
        """Either the work finds that it was abandoned, or who abandons it that it is done."""

    def __call__(self) -> Result:
        result = self._database.call(self._work)
        with self._deciding:
            self._done, abandoned = True, self._abandoned
        if abandoned:
            self.take_back()
        return result

    def abandon(self) -> bool:
        """Wait no longer; return whether it is done already, and is to be taken back."""
        with self._deciding:
            self._abandoned = True
            return self._done and self._undo is not None

    def take_back(self) -> None:
        """Undo the work, in this thread."""
        if self._undo is None:
            return
        try:
            self._database.call(self._undo)
        except Exception as error:
            # The words of SQLAlchemy hold values.
            log.warning("Work of which nobody heard could not be undone: %s", type(error).__name__)


def _stale(error: BaseException, attempt: int) -> bool:
    """Return whether a pooled connection is given up, which says nothing yet about the database."""
    return attempt == 1 and (bool(getattr(error, "connection_invalidated", False)) or read_only(error))


def _first_line(error: BaseException) -> str:
    """Return the words of the driver: no statement, no values; drivers do not print passwords."""
    words = str(getattr(error, "orig", None) or error).strip()
    return words.splitlines()[0][:300] if words else type(error).__name__


CONNECT_SECONDS = 10
READ_SECONDS = 60

# A network that swallows packets must not hold a thread for ever. By driver:
# https://www.postgresql.org/docs/current/libpq-connect.html,
# https://pymysql.readthedocs.io/en/latest/modules/connections.html, https://mysqlclient.readthedocs.io.
_LIBPQ: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": READ_SECONDS * 1000,
}
_MYSQL: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    "charset": "utf8mb4",
}
CONNECT: dict[str, dict[str, Any]] = {
    "psycopg2": _LIBPQ,
    "psycopg": _LIBPQ,
    "pymysql": _MYSQL,
    "mysqldb": _MYSQL,
    "pysqlite": {"timeout": 30, "check_same_thread": False},
}


def own_engine(address: str) -> Engine:
    """
    Return an engine for an address in SQLAlchemy's form; nothing is connected to yet.

    :raises BadDatabase: it cannot be used; the message does not repeat it
    """
    from sqlalchemy import create_engine, event

    url = database(address)
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": 1800, "future": True}
    if not sqlite:
        options |= {
            "pool_size": 5,
            "max_overflow": 5,
            "pool_timeout": 10,
            "isolation_level": "READ COMMITTED",
        }
    driver = url.get_driver_name()
    arguments = {name: value for name, value in CONNECT.get(driver, {}).items() if name not in url.query}
    engine = create_engine(url, connect_args=arguments, **options)
    if sqlite:
        event.listen(engine, "do_connect", _private)
        event.listen(engine, "connect", _write_ahead)
    return engine


def _private(dialect: object, record: object, arguments: list[Any], more: dict[str, Any]) -> None:
    # A new file is for its user alone, whatever the umask; so are those that SQLite puts beside it.
    with suppress(OSError):
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _write_ahead(connection: Any, record: object) -> None:
    # Readers do not wait for the writer then; as Airflow sets it for its own.
    cursor = connection.cursor()
    # SQLite does not wait here: another connection sets the same, now or soon.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
