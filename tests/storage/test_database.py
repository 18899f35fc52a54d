from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, select, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DatabaseError

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.settings import Settings
from airflow_rest_api.storage.database import Database, own_engine
from airflow_rest_api.storage.migrations import VERSIONS
from tests.databases import database_of_our_own
from tests.proxy import Proxy

DEADLINE = 60


@pytest.fixture
def database(engine: Engine) -> Iterator[Database]:
    database = Database(lambda: engine)
    yield database
    database.close()


@pytest.fixture(params=["postgresql", "mariadb"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, Proxy]]:
    """A database behind a proxy."""
    with database_of_our_own(request.param, tmp_path) as address:
        url = make_url(address)
        with Proxy(str(url.host), url.port or 0) as proxy:
            engine = own_engine(url.set(port=proxy.port).render_as_string(hide_password=False))
            database = Database(lambda: engine)
            yield database, proxy
            database.close()
            proxy.restore()
            engine.dispose()


def one(connection: Connection) -> Any:
    return connection.execute(text("SELECT 1")).scalar()


def add(number: int) -> Callable[[Connection], None]:
    return lambda connection: (
        connection.execute(text(f"INSERT INTO rest_api_try VALUES ({number}, 0)")) and None
    )


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT a FROM rest_api_try ORDER BY a")).scalars())


def make_table(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE rest_api_try (a INTEGER PRIMARY KEY, b INTEGER)"))


def test_work_is_done_in_one_transaction_after_the_tables_are_made(database: Database, engine: Engine):
    async def main() -> None:
        assert await database.run(lambda connection: inspect(connection).has_table(VERSIONS.name))
        await database.run(make_table)
        await database.run(add(1))

        def fail(connection: Connection) -> None:
            add(2)(connection)
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await database.run(fail)
        assert await database.run(numbers) == [1]

    asyncio.run(main())


def test_nothing_is_opened_before_the_first_use():
    def fail() -> Engine:
        raise AssertionError

    Database(fail).close()


def test_a_mistake_in_the_work_is_no_outage(database: Database):
    with pytest.raises(DatabaseError):
        database.call(lambda connection: connection.execute(text("SELECT nonsense FROM rest_api_schema")))
    with pytest.raises(DatabaseError):
        database.call(lambda connection: connection.execute(text("SELEKT")))


def test_an_error_names_no_values(database: Database):
    def refused(connection: Connection) -> None:
        connection.execute(text("SELECT nonsense FROM rest_api_schema\nWHERE version = :it"), {"it": 4711})

    with pytest.raises(DatabaseError) as error:
        database.call(refused)
    assert "nonsense" in str(error.value)
    assert "4711" not in str(error.value)


@pytest.mark.parametrize("dropped", [["operation"], ["operation", "schema"]])
def test_tables_that_were_dropped_are_made_again(database: Database, dropped: list[str]):
    database.call(one)
    for name in dropped:
        drop = text(f"DROP TABLE rest_api_{name}")
        database.call(lambda connection, drop=drop: connection.execute(drop) and None)  # type: ignore[misc]

    assert database.call(lambda c: c.execute(text("SELECT count(*) FROM rest_api_operation")).scalar()) == 0
    assert database.call(lambda c: c.execute(select(VERSIONS.c.version)).first()) is not None


@pytest.mark.slow
def test_a_table_that_never_was_is_a_mistake(database: Database):
    with pytest.raises(DatabaseError):
        database.call(lambda connection: connection.execute(text("SELECT 1 FROM rest_api_nonsense")))


@pytest.mark.parametrize("address", ["postgresql", "mariadb"], indirect=True)  # SQLite has one lock only
def test_of_two_in_a_deadlock_both_come_through(database: Database):
    database.call(make_table)
    database.call(add(1))
    database.call(add(2))
    both = threading.Barrier(2)

    def change(first: int, second: int) -> Callable[[Connection], None]:
        attempts = []

        def work(connection: Connection) -> None:
            statement = "UPDATE rest_api_try SET b = b + 1 WHERE a = {}"
            connection.execute(text(statement.format(first)))
            attempts.append(1)
            if len(attempts) == 1:
                both.wait(DEADLINE)
            connection.execute(text(statement.format(second)))

        return work

    async def main() -> None:
        await asyncio.gather(database.run(change(1, 2)), database.run(change(2, 1)))
        found = await database.run(lambda c: c.execute(text("SELECT b FROM rest_api_try")).scalars().all())
        assert list(found) == [2, 2]

    asyncio.run(main())


@pytest.mark.slow
def test_a_locked_sqlite_file_is_tried_again(tmp_path: Path):
    address = f"sqlite:///{tmp_path / 'a.db'}"
    engine, other = create_engine(address, connect_args={"timeout": 0.01}), create_engine(address)
    database = Database(lambda: engine)
    database.call(make_table)
    attempts = []
    with other.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE")

        def work(connection: Connection) -> None:
            attempts.append(1)
            if len(attempts) == 3:
                holder.exec_driver_sql("ROLLBACK")
            add(1)(connection)

        database.call(work)
    assert len(attempts) == 3
    with other.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="busy"):
            database.call(add(2))
    assert database.call(numbers) == [1]
    database.close()
    engine.dispose()
    other.dispose()


def test_a_database_that_is_away_is_said_to_be_and_found_again(far: tuple[Database, Proxy]):
    database, proxy = far

    async def main() -> None:
        assert await database.run(one) == 1
        proxy.cut()
        for _ in range(2):
            with pytest.raises(Unavailable) as error:
                await database.run(one)
            assert error.value.retry_after > 0
        proxy.restore()
        assert await database.run(one) == 1

    asyncio.run(main())


def test_a_database_that_is_away_at_the_start_is_found_later(far: tuple[Database, Proxy]):
    database, proxy = far
    proxy.cut()
    with pytest.raises(Unavailable):
        database.call(one)
    proxy.restore()
    assert database.call(lambda connection: inspect(connection).has_table(VERSIONS.name))


@pytest.mark.parametrize("made", [False, True])
def test_whatever_is_in_the_way_of_a_connection_is_an_outage(database: Database, engine: Engine, made: bool):
    if made:
        database.call(one)
        engine.dispose()

    def token(*arguments: object) -> None:
        raise LookupError("no token: secret")  # of a library that makes passwords, and knows no DBAPI

    event.listen(engine, "do_connect", token)
    with pytest.raises(Unavailable) as refused:
        database.call(one)
    assert str(refused.value) == "The database cannot be reached: LookupError"

    event.remove(engine, "do_connect", token)
    assert database.call(one) == 1


def test_a_file_of_the_driver_that_is_missing_is_an_outage(tmp_path: Path):
    with database_of_our_own("mariadb", tmp_path) as address:
        engine = own_engine(f"{address}?ssl_ca={tmp_path}/missing.pem")
        with pytest.raises(Unavailable, match="FileNotFoundError"):
            Database(lambda: engine).call(one)
        engine.dispose()


READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


def test_connections_to_a_standby_are_given_up_once_the_address_leads_elsewhere(
    database: Database, engine: Engine
):
    database.call(make_table)
    engine.dispose()

    def at_standby(connection: Any, record: object) -> None:
        connection.cursor().execute(READ_ONLY[engine.dialect.name])
        connection.commit()

    event.listen(engine, "connect", at_standby)
    for _ in range(2):
        with pytest.raises(Unavailable):
            database.call(add(1))
    assert database.call(numbers) == []  # in the pool, as one who only reads does not notice

    event.remove(engine, "connect", at_standby)
    database.call(add(1))
    assert database.call(numbers) == [1]


@pytest.fixture(params=["postgresql", "mariadb"])
def without_rights(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, Engine]]:
    """A database of a user who may not make tables there, and an engine of one who may."""
    user = f"rest_api_test_{secrets.token_hex(6)}"
    with database_of_our_own(request.param, tmp_path) as address:
        url = make_url(address)
        theirs = own_engine(address)
        of_user = own_engine(url.set(username=user, password=None).render_as_string(hide_password=False))
        database = Database(lambda: of_user)
        with theirs.begin() as connection:
            if request.param == "postgresql":
                connection.exec_driver_sql(f"CREATE ROLE {user} LOGIN")
                connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            else:
                connection.exec_driver_sql(f"CREATE USER {user}@'%%'")
                connection.exec_driver_sql(f"GRANT SELECT ON {url.database}.* TO {user}@'%%'")
        yield database, theirs
        database.close()
        of_user.dispose()
        theirs.dispose()
    with database_of_our_own(request.param, tmp_path) as other:
        engine = own_engine(other)
        with engine.begin() as connection:
            host = "" if request.param == "postgresql" else "@'%%'"
            connection.exec_driver_sql(f"DROP {'USER' if host else 'ROLE'} {user}{host}")
        engine.dispose()


def test_a_user_without_the_right_to_make_tables_waits_for_them(without_rights: tuple[Database, Engine]):
    database, theirs = without_rights
    with pytest.raises(Unavailable, match="denied"):
        database.call(one)

    Database(lambda: theirs).engine()
    if theirs.dialect.name == "postgresql":
        with theirs.begin() as connection:
            connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
    assert database.call(one) == 1


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_database_that_is_not_made_yet_is_away(kind: str, tmp_path: Path):
    with database_of_our_own(kind, tmp_path) as address:
        pass
    engine = own_engine(address)
    with pytest.raises(Unavailable, match=r"does not exist|Unknown database"):
        Database(lambda: engine).call(one)
    engine.dispose()


def test_a_restart_of_the_database_between_two_uses_is_not_noticed(far: tuple[Database, Proxy]):
    database, proxy = far
    database.call(one)
    proxy.cut()
    proxy.restore()
    assert database.call(one) == 1


def test_a_connection_that_dies_under_the_work_is_an_outage_or_the_work_is_done_again(
    far: tuple[Database, Proxy],
):
    database, proxy = far
    database.call(make_table)
    attempts = []

    def work(connection: Connection) -> None:
        add(1)(connection)
        attempts.append(1)
        if len(attempts) == 1:
            proxy.cut()
            proxy.restore()
        add(2)(connection)

    database.call(work)
    assert database.call(numbers) == [1, 2]


def test_nobody_waits_for_ever_for_a_network_that_swallows_everything(far: tuple[Database, Proxy]):
    database, proxy = far
    database.call(one)
    database._patience = 0.2
    proxy.freeze()

    async def main() -> None:
        with pytest.raises(Unavailable, match="does not answer"):
            await database.run(one)

    asyncio.run(main())
    proxy.cut()


@pytest.mark.parametrize("gone", ["its patience is over", "it was cancelled"])
def test_what_is_done_after_nobody_waits_any_more_is_undone(database: Database, gone: str):
    database.call(make_table)
    done, goes_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        add(1)(connection)
        done.set()
        goes_on.wait(DEADLINE)

    def undo(connection: Connection) -> None:
        connection.execute(text("DELETE FROM rest_api_try WHERE a = 1"))
        add(2)(connection)

    async def main() -> None:
        database._patience = 0.2 if gone == "its patience is over" else DEADLINE
        waiting = asyncio.create_task(database.run(work, undo))
        await asyncio.to_thread(done.wait, DEADLINE)
        if gone == "it was cancelled":
            waiting.cancel()
        with pytest.raises((Unavailable, asyncio.CancelledError)):
            await waiting
        goes_on.set()

    asyncio.run(main())
    database._threads.shutdown()
    assert database.call(numbers) == [2]


def test_what_somebody_waited_for_and_what_failed_is_not_undone(database: Database):
    database.call(make_table)
    undone: list[Connection] = []

    def fail(connection: Connection) -> None:
        raise KeyError

    async def main() -> None:
        await database.run(add(1), undone.append)
        with pytest.raises(KeyError):
            await database.run(fail, undone.append)

    asyncio.run(main())
    database._threads.shutdown()
    assert database.call(numbers) == [1]
    assert not undone


def test_what_is_done_in_the_moment_in_which_its_waiter_goes_is_undone(engine: Engine):
    told, undone = threading.Event(), threading.Event()

    class Telling(Database):
        """Tells that work is done, before the loop hears of that."""

        def call(self, work: Any) -> Any:
            result = super().call(work)
            told.set()
            return result

    async def main() -> None:
        database = Telling(lambda: engine)
        waiting = asyncio.create_task(database.run(one, lambda _: undone.set()))
        await asyncio.sleep(0)
        assert told.wait(DEADLINE)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await asyncio.to_thread(undone.wait, DEADLINE)
        database.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "address",
    ["postgresql+psycopg2://u@h/d", "mysql+pymysql://u@h/d", "mariadb+pymysql://u@h/d", "sqlite:////a/b"],
)
def test_nothing_is_connected_to_before_the_first_use(address: str):
    own_engine(address).dispose()


def test_the_address_is_a_secret():
    settings = Settings.load(lambda _, name: "sqlite:////a/b" if name == "operations_database" else None)
    assert settings.shown()["operations_database"] == "***"


def test_a_file_that_is_no_database_is_away_until_a_good_one_is_there(tmp_path: Path):
    path = tmp_path / "a.db"
    path.write_text("This is no database. " * 1000)
    engine = own_engine(f"sqlite:///{path}")
    database = Database(lambda: engine)
    with pytest.raises(Unavailable, match="not a database"):
        database.call(one)

    path.unlink()
    assert database.call(one) == 1
    engine.dispose()


def test_a_new_sqlite_file_is_for_its_user_alone_and_one_that_is_there_keeps_its_mode(tmp_path: Path):
    (tmp_path / "there.db").touch(0o640)
    for name in ("new.db", "there.db"):
        engine = own_engine(f"sqlite:///{tmp_path / name}?timeout=5")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE ours (a INTEGER)")
            connection.exec_driver_sql("INSERT INTO ours VALUES (1)")
            modes = {path.name: oct(path.stat().st_mode)[-3:] for path in tmp_path.glob(f"{name}*")}
        engine.dispose()
        mode = "600" if name == "new.db" else "640"
        assert modes == dict.fromkeys((name, f"{name}-wal", f"{name}-shm"), mode)


def test_a_new_sqlite_file_that_somebody_else_is_writing_to_can_be_opened(tmp_path: Path):
    engine = own_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE theirs (a INTEGER)")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        other.execute("COMMIT")
    engine.dispose()

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
