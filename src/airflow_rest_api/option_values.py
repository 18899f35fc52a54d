"""Values of options that are more than a word or a number; what an error says follows the option's name."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

Networks = tuple[IPv4Network | IPv6Network, ...]

# RFC 9110, 5.6.2: token.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TAKEN_HEADERS = {"authorization", "cookie", "host", "origin", "referer"}

LONGEST_FOLDER = 200
"""Characters of a folder: Flask-AppBuilder's names of resources have 250."""

DATABASES = ("postgresql", "mysql", "mariadb", "sqlite")


class BadDatabase(ValueError):
    """The address of a database cannot be used; the message does not hold its password."""


def header_name(text: str) -> str:
    """Return the name of a header that no other part of Airflow reads; raise ValueError for another."""
    if not _HEADER_NAME.fullmatch(text) or text.lower() in _TAKEN_HEADERS:
        raise ValueError(f"must be the name of a header of its own, not {text!r}")
    return text


def networks(text: str) -> Networks:
    """Return the addresses and networks of a list with commas; raise ValueError for what is neither."""
    try:
        return tuple(ip_network(word.strip(), strict=False) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise ValueError(f"must be addresses and networks: {error}") from None


def folders(text: str) -> tuple[tuple[str, str], ...]:
    """
    Return the bundles and folders of a list with commas: ``bundle`` or ``bundle/folder``.

    :raises ValueError: an entry is neither
    """
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        bundle, *parts = word.split("/")
        if not bundle or any(part in ("", ".", "..") for part in parts) or len(word) > LONGEST_FOLDER:
            raise ValueError(f"must be bundle/folder, not {word[:LONGEST_FOLDER]!r}")
        found.append((bundle, "/".join(parts)))
    return tuple(found)


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
        create_engine(url).dispose()
    except ImportError as error:
        raise BadDatabase(
            f"needs the Python package of its driver: {error.name or url.get_driver_name()}"
        ) from None
    except Exception as error:
        raise BadDatabase(f"is not understood by SQLAlchemy ({type(error).__name__})") from None
    return url
