"""What is answered where a request about a service cannot be done."""

from __future__ import annotations

from airflow_rest_api.problem import Problem
from airflow_rest_api.services.errors import (
    AlreadyRunning,
    CannotRepeat,
    NoLog,
    NoSuchService,
    NotManaged,
    PortInUse,
    StillRunning,
)

NOT_MANAGED = "It was not started here: only those who did can stop it."
STILL_RUNNING = "It has not ended: stop it first."
CANNOT_REPEAT = "It was started with secrets, which are kept nowhere: start it anew, with all its arguments."

SERVICE_ERRORS = (
    AlreadyRunning,
    CannotRepeat,
    NoLog,
    NoSuchService,
    NotManaged,
    PortInUse,
    StillRunning,
)


def of_service(error: Exception) -> Problem | None:
    """Return the problem that an error about a service stands for, None for any other error."""
    if isinstance(error, NoSuchService):
        return Problem(404, "unknown_service", "There is no such service, or it was forgotten.")
    if isinstance(error, AlreadyRunning):
        return Problem(409, "already_running", str(error), service=error.service)
    if isinstance(error, NotManaged):
        return Problem(409, "not_managed", NOT_MANAGED)
    if isinstance(error, StillRunning):
        return Problem(409, "still_running", STILL_RUNNING)
    if isinstance(error, CannotRepeat):
        return Problem(409, "cannot_repeat", CANNOT_REPEAT)
    if isinstance(error, PortInUse):
        return Problem(409, "port_in_use", str(error), argument="port")
    if isinstance(error, NoLog):
        return Problem(404, "no_log", str(error))
    return None
