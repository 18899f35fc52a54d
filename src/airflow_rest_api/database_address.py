"""The address of a database, in SQLAlchemy's form: whether it can be used. Connects to nothing."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DATABASES = ("postgresql", "mysql", "mariadb", "sqlite")


class BadDatabase(ValueError):
    """The address of a database cannot be used; the message does not hold its password."""


def database(address: str) -> URL:
    """
    Return the database at an address in SQLAlchemy's form; connects to nothing.

    :raises BadDatabase: it cannot be used; the message does not repeat it
    """
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url

    try:
        url = make_url(address)
        kind = url.get_backend_name()
    except Exception:
        raise BadDatabase("must be an address in SQLAlchemy's form, dialect+driver://…") from None
    if kind not in DATABASES:
        raise BadDatabase(f"must be a PostgreSQL, MySQL, MariaDB or SQLite database, not {kind!r}")
    if kind == "sqlite" and not (url.database or "").startswith("/"):
        raise BadDatabase("must be a SQLite file with an absolute path: sqlite:////…")
    try:
        engine = create_engine(url)
        arguments, named = engine.dialect.create_connect_args(engine.url)
    except ImportError as error:
        raise BadDatabase(
            f"needs the Python package of its driver: {error.name or url.get_driver_name()}"
        ) from None
    except Exception as error:
        raise BadDatabase(f"is not understood by SQLAlchemy ({type(error).__name__})") from None
    if engine.dialect.is_async:
        raise BadDatabase(f"must have a driver that waits, not {url.get_driver_name()}")
    if not _takes(engine.dialect.dbapi, arguments, dict(named)):
        # Without its name: of a password that is not escaped, a part may have become one.
        raise BadDatabase(f"has an argument, after its question mark, that {url.get_driver_name()} lacks")
    return url


def _takes(driver: Any, arguments: Any, named: dict[str, Any]) -> bool:
    """Return whether a driver knows the names of what it would connect with, as far as it can be asked."""
    try:
        if driver.__name__ == "psycopg2":
            driver.extensions.make_dsn(**named)
        elif driver.__name__ == "psycopg":
            own = inspect.signature(driver.connect).parameters
            driver.conninfo.make_conninfo(**{name: named[name] for name in named.keys() - own.keys()})
        else:
            inspect.signature(driver.connect).bind(*arguments, **named)
    except (TypeError, driver.Error):
        return False
    except ValueError:
        pass  # Its function has no signature, as that of sqlite3.
    return True
