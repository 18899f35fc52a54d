"""What an exception of SQLAlchemy means: work that may be tried again, a database that is away, or a bug."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_rest_api.disk_full import of_disk
from airflow_rest_api.errors import ApiError, Unavailable


class Trouble(Enum):
    """What to do about an error."""

    AGAIN = "again"
    """Another transaction was in the way: the same work may succeed in a moment."""
    AWAY = "away"
    """The database cannot be reached, is full, starts, stops, or takes no writes."""
    NO_TABLE = "no table"
    """A table is missing: it was dropped under us."""


class NotConnected(Exception):
    """There was no connection, for a reason that is not one of the database; its words hold no secret."""


# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization_failure, deadlock_detected,
# lock_not_available, query_canceled (`statement_timeout`), idle_in_transaction_session_timeout. A time-out
# says how slow the database was, and nothing of what it was given.
POSTGRESQL_AGAIN = {"40001", "40P01", "55P03", "57014", "25P03"}
# Classes: connection exception, insufficient resources, operator intervention, system error.
# Then: read_only_sql_transaction (a standby after a failover), insufficient_privilege (until it is granted).
POSTGRESQL_READ_ONLY = "25006"
POSTGRESQL_AWAY = ("08", "53", "57P", "58", POSTGRESQL_READ_ONLY, "42501")
POSTGRESQL_NO_TABLE = "42P01"

# https://mariadb.com/kb/en/mariadb-error-code-reference/: lock wait timeout, deadlock, record changed,
# interrupted, statement timeout (MariaDB, MySQL).
MYSQL_AGAIN = {1205, 1213, 1020, 1317, 1969, 3024}
# Closed under us (PyMySQL), too many connections, host not allowed, access or a right denied, no such
# database, a node of Galera that is not prepared, shutdown, network.
MYSQL_AWAY = {0, 1040, 1044, 1045, 1046, 1047, 1049, 1053, 1077, 1129, 1130, 1142, 1143, 1203, 1226, 3169}
MYSQL_AWAY |= {4031}
# --read-only, transaction_read_only, innodb_read_only.
MYSQL_READ_ONLY = {1290, 1792, 1836}
# Disk or table full, and how a disk without room shows elsewhere: a file that cannot be written, an error of
# the storage engine, one during COMMIT.
MYSQL_FULL = {3, 1021, 1026, 1030, 1114, 1180}
MYSQL_AWAY_RANGES = ((1152, 1152), (1154, 1161), (1927, 1927), (2000, 2099))
MYSQL_NO_TABLE = 1146

SQLITE_AGAIN = ("locked", "busy")
# https://www.sqlite.org/rescode.html#readonly: a connection stays so whose file was moved, or was not ours.
SQLITE_READ_ONLY = ("readonly", "read-only")
# The last two: until somebody puts a good file in its place.
SQLITE_AWAY = (
    *("unable to open", "disk i/o error", "is full", *SQLITE_READ_ONLY),
    *("not a database", "image is malformed"),
)
SQLITE_NO_TABLE = "no such table"


def trouble_of(error: BaseException) -> Trouble | None:
    """Return what an exception means; None for everything that is not the database's trouble."""
    if isinstance(error, (PoolTimeout, NotConnected)):
        return Trouble.AWAY
    if not isinstance(error, DBAPIError):
        return None
    original, lost = error.orig, error.connection_invalidated
    number, code = _codes(original)
    if type(original).__module__.startswith("sqlite3"):
        text = str(original).lower()
        again, no_table = any(words in text for words in SQLITE_AGAIN), SQLITE_NO_TABLE in text
        away = any(words in text for words in SQLITE_AWAY)
    elif isinstance(number, int):
        again, no_table = number in MYSQL_AGAIN, number == MYSQL_NO_TABLE
        away = lost or number in MYSQL_AWAY | MYSQL_FULL | MYSQL_READ_ONLY
        away = away or any(low <= number <= high for low, high in MYSQL_AWAY_RANGES)
    elif isinstance(code, str):
        again, no_table = code in POSTGRESQL_AGAIN, code == POSTGRESQL_NO_TABLE
        away = lost or code.startswith(POSTGRESQL_AWAY)
    else:
        # A driver that could not connect, or lost its connection, has no code to give.
        again = no_table = False
        away = lost or isinstance(error, (OperationalError, InterfaceError))
    if again:
        return Trouble.AGAIN
    if no_table:
        return Trouble.NO_TABLE
    return Trouble.AWAY if away else None


def read_only(error: BaseException) -> bool:
    """Return whether a connection leads to a server or a file that takes no writes."""
    original = getattr(error, "orig", None)
    number, code = _codes(original)
    if type(original).__module__.startswith("sqlite3"):
        return any(words in str(original).lower() for words in SQLITE_READ_ONLY)
    return code == POSTGRESQL_READ_ONLY or (isinstance(number, int) and number in MYSQL_READ_ONLY)


def _codes(original: BaseException | None) -> tuple[Any, Any]:
    """Return the number of MySQL and the code of PostgreSQL in a driver's error, as far as it has them."""
    number = original.args[0] if original is not None and original.args else None
    # psycopg2 and psycopg name the code of PostgreSQL differently.
    return number, getattr(original, "pgcode", None) or getattr(original, "sqlstate", None)


def away(error: BaseException) -> bool:
    """Return whether an exception, also one of Airflow's own queries, says that the database is away."""
    return trouble_of(error) in (Trouble.AWAY, Trouble.AGAIN)


def of_database(error: BaseException) -> Unavailable | None:
    """Return the error for a client where one, of Airflow's own queries too, says the database is away."""
    if isinstance(error, Unavailable):
        return error
    return Unavailable() if away(error) else None


def foreseen(error: BaseException) -> ApiError | None:
    """Return the error for a client where an error, raised by whatever, says: no database, or no room."""
    return of_database(error) or of_disk(error)
