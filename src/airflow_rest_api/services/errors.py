"""What can be wrong with a request about a service."""

from __future__ import annotations


class NoSuchService(LookupError):
    """There is no service of this id, or none any more."""


class AlreadyRunning(Exception):
    """
    The component runs on this host already.

    :ivar service: the id of the one that does
    """

    def __init__(self, message: str, service: str) -> None:
        super().__init__(message)
        self.service = service


class NotManaged(Exception):
    """We did not start it, and know no process of it: it can only be looked at."""


class StillRunning(Exception):
    """Only what has ended can be forgotten."""


class CannotRepeat(Exception):
    """It was started with secrets, which are kept nowhere: it cannot be started again from here."""


class PortInUse(Exception):
    """Somebody listens on the port already."""


class NoLog(Exception):
    """The log file cannot be read here; the message says why."""


class NoLogYet(NoLog):
    """The component is being started, and its log file is not there yet."""
