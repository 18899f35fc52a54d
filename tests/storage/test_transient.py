from __future__ import annotations

import sqlite3

import psycopg2
import psycopg2.errors
import pymysql
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_rest_api.storage.transient import Trouble, away, trouble_of


class Refused(psycopg2.OperationalError):
    """An error of PostgreSQL's, with its code."""

    def __init__(self, code: str) -> None:
        super().__init__("words")
        self.code = code

    @property
    def pgcode(self) -> str:  # type: ignore[override]
        return self.code


def wrapped(original: Exception, kind: type[DBAPIError] = OperationalError) -> DBAPIError:
    return kind("SELECT 1", {}, original)


@pytest.mark.parametrize(
    ("original", "trouble"),
    [
        (sqlite3.OperationalError("database is locked"), Trouble.AGAIN),
        (sqlite3.OperationalError("database table is locked: a"), Trouble.AGAIN),
        (sqlite3.OperationalError("unable to open database file"), Trouble.AWAY),
        (sqlite3.OperationalError("attempt to write a readonly database"), Trouble.AWAY),
        (sqlite3.OperationalError("database or disk is full"), Trouble.AWAY),
        (sqlite3.DatabaseError("file is not a database"), Trouble.AWAY),
        (sqlite3.DatabaseError("database disk image is malformed"), Trouble.AWAY),
        (sqlite3.OperationalError("no such table: a"), Trouble.NO_TABLE),
        (sqlite3.OperationalError("no such column: a"), None),
        (psycopg2.OperationalError("server closed the connection unexpectedly"), Trouble.AWAY),
        (psycopg2.InterfaceError("connection already closed"), Trouble.AWAY),
        (Refused("40P01"), Trouble.AGAIN),
        (Refused("40001"), Trouble.AGAIN),
        (Refused("57P01"), Trouble.AWAY),
        (Refused("57P03"), Trouble.AWAY),
        (Refused("53300"), Trouble.AWAY),
        (Refused("25006"), Trouble.AWAY),
        # A statement or a transaction that took too long: the end of a command is tried again, not given up.
        (Refused("57014"), Trouble.AGAIN),
        (Refused("25P03"), Trouble.AGAIN),
        (Refused("42501"), Trouble.AWAY),
        (Refused("42P01"), Trouble.NO_TABLE),
        (Refused("22001"), None),
        (pymysql.err.OperationalError(1213, "Deadlock found"), Trouble.AGAIN),
        (pymysql.err.OperationalError(1205, "Lock wait timeout"), Trouble.AGAIN),
        (pymysql.err.OperationalError(2003, "Can't connect"), Trouble.AWAY),
        (pymysql.err.OperationalError(2013, "Lost connection"), Trouble.AWAY),
        (pymysql.err.OperationalError(1040, "Too many connections"), Trouble.AWAY),
        (pymysql.err.OperationalError(1290, "--read-only"), Trouble.AWAY),
        (pymysql.err.OperationalError(1792, "READ ONLY transaction"), Trouble.AWAY),
        (pymysql.err.OperationalError(1969, "max_statement_time exceeded"), Trouble.AGAIN),
        (pymysql.err.OperationalError(3024, "maximum statement execution time exceeded"), Trouble.AGAIN),
        (pymysql.err.OperationalError(1317, "Query execution was interrupted"), Trouble.AGAIN),
        (pymysql.err.OperationalError(1047, "WSREP has not yet prepared node"), Trouble.AWAY),
        (pymysql.err.OperationalError(1030, "Got error 28 from storage engine"), Trouble.AWAY),
        (pymysql.err.OperationalError(1026, "Error writing file"), Trouble.AWAY),
        (pymysql.err.OperationalError(3, "Error writing file"), Trouble.AWAY),
        (pymysql.err.OperationalError(1180, "Got error 28 during COMMIT"), Trouble.AWAY),
        (pymysql.err.OperationalError(1142, "CREATE command denied to user"), Trouble.AWAY),
        (pymysql.err.OperationalError(1143, "UPDATE command denied to user for column"), Trouble.AWAY),
        (pymysql.err.OperationalError(1046, "No database selected"), Trouble.AWAY),
        (pymysql.err.OperationalError(1049, "Unknown database"), Trouble.AWAY),
        (pymysql.err.InterfaceError(0, ""), Trouble.AWAY),
        (pymysql.err.ProgrammingError(1146, "Table doesn't exist"), Trouble.NO_TABLE),
        (pymysql.err.OperationalError(1054, "Unknown column"), None),
    ],
    ids=lambda value: f"{type(value).__module__}-{value.args[0]}" if isinstance(value, Exception) else None,
)
def test_what_a_driver_says_is_understood(original: Exception, trouble: Trouble | None):
    assert trouble_of(wrapped(original)) is trouble
    assert away(wrapped(original)) is (trouble in (Trouble.AGAIN, Trouble.AWAY))


def test_a_driver_without_words_is_away_when_its_connection_died():
    error = ProgrammingError("SELECT 1", {}, psycopg2.ProgrammingError("?"), connection_invalidated=True)
    assert trouble_of(error) is Trouble.AWAY
    assert trouble_of(wrapped(psycopg2.ProgrammingError("?"), ProgrammingError)) is None


def test_a_pool_without_a_free_connection_is_away():
    assert trouble_of(PoolTimeout("QueuePool limit")) is Trouble.AWAY


def test_any_other_exception_is_no_trouble_of_the_database():
    assert trouble_of(KeyError("a")) is None
    assert not away(ConnectionError())
