"""What can be wrong with the database."""

from __future__ import annotations

RETRY_AFTER = 5
"""Seconds after which it is worth to ask again."""


class Unavailable(Exception):
    """
    The database cannot be reached, or does not take the work, right now.

    :ivar retry_after: seconds after which it is worth to ask again
    """

    def __init__(
        self, message: str = "The database cannot be reached.", retry_after: int = RETRY_AFTER
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BadDatabase(ValueError):
    """The address of a database cannot be used; the message does not hold its password."""
