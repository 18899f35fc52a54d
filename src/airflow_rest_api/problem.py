"""The one shape of every answer that is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

LONGEST = 2000
"""Characters of a message or a member: a parser quotes what it refuses, which may be megabytes."""


class Problem(Exception):
    """
    A request that is answered with an error.

    The body is ``{"detail": {"reason", "message", ...}}``: ``detail`` as in Airflow's own API, ``reason`` for
    programs and ``message`` for people.

    :param more: further members of ``detail``, such as the argument to blame
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        message = _shortened(message)
        super().__init__(message)
        self.status = status
        told = {name: _shortened(value) if isinstance(value, str) else value for name, value in more.items()}
        self.detail = {"reason": reason, "message": message, **told}
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse({"detail": self.detail}, self.status, self.headers)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def of_database(error: BaseException) -> Problem | None:
    """Return the problem where an error, also one of Airflow's own queries, says the database is away."""
    from airflow_rest_api.storage.errors import RETRY_AFTER, Unavailable
    from airflow_rest_api.storage.transient import away

    if not isinstance(error, Unavailable) and not away(error):
        return None
    seconds = error.retry_after if isinstance(error, Unavailable) else RETRY_AFTER
    return Problem(
        503,
        "database_unavailable",
        "The database cannot be reached right now; try again in a moment.",
        headers={"Retry-After": str(seconds)},
    )


def of_disk(error: BaseException) -> Problem | None:
    """Return the problem where an error says that there is no room on a disk of ours for what was sent."""
    from airflow_rest_api.room import NO_ROOM, no_room

    return Problem(507, "no_space", NO_ROOM) if no_room(error) else None


def foreseen(error: BaseException) -> Problem | None:
    """Return the problem that an error stands for, whoever raised it: no database, or no room."""
    return of_database(error) or of_disk(error)
