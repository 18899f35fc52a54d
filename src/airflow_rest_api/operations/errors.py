"""What can be wrong with a request for an operation."""

from __future__ import annotations

from airflow_rest_api.engine.engine import Busy


class NoSuchOperation(LookupError):
    """There is no such operation, or it is no longer kept."""


class NoSuchFile(LookupError):
    """The operation has no such file."""


class KeyTaken(Exception):
    """
    The user has sent this `Idempotency-Key` before.

    :ivar identifier: the operation that it led to
    :ivar fingerprint: of what was asked then
    """

    def __init__(self, identifier: str, fingerprint: str) -> None:
        super().__init__(identifier)
        self.identifier = identifier
        self.fingerprint = fingerprint


class TooManyWaiting(Busy):
    """Too many commands of this one user wait for their turn."""

    def __init__(self) -> None:
        super().__init__(retry_after=5)
