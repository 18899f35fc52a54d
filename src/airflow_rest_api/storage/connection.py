"""A connection to a database: what is in its way is an outage, and one that takes no writes is not kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_rest_api.storage.transient import NotConnected, read_only, trouble_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """
    Give a connection, and take it back.

    :raises NotConnected: there is none, for a reason that is not one of the database
    :raises sqlalchemy.exc.SQLAlchemyError: what the database said
    """
    try:
        connection = engine.connect()
    except Exception as error:
        if trouble_of(error) is not None:
            raise
        # A file of certificates that is missing, a service that has no token for us (`do_connect`), an
        # argument that the driver does not have: nothing of it is about the work. What an error of somebody
        # else says may be a secret.
        raise NotConnected(str(getattr(error, "orig", None) or type(error).__name__)) from error
    with connection:
        try:
            yield connection
        except Exception as error:
            if read_only(error):
                # Opened to a standby, while the address led there: it would pass for a good one, and stay in
                # the pool. The server that the address leads to now may take writes.
                connection.invalidate(error)
            raise
