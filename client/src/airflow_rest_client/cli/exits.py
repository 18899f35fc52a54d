"""Exit codes that are the client's own, and the line that goes with each."""

from __future__ import annotations

import os
import sys

from airflow_rest_client.cli.printing import plain
from airflow_rest_client.errors import UNKNOWN, ApiError, Busy, NotAllowed, NotSignedIn
from airflow_rest_client.instances import PASSWORD, TOKEN, URL, USER, UnknownInstance

USAGE = 2
"""As every command of Airflow's that is given wrong arguments."""
NO_FILE = 66
UNREACHABLE = 69
SERVER_ERROR = 70
EXISTS = 73
NOT_WRITTEN = 74
BUSY = 75
NOT_SIGNED_IN = 77
TIMED_OUT = 124
NOT_ALLOWED = 126
HUNG_UP = 129
CANCELLED = 130
BROKEN_PIPE = 141
TERMINATED = 143

MEANINGS = {
    NO_FILE: "a file that the command reads is not there, or cannot be read",
    UNREACHABLE: "the server does not answer, or something else does in its place, or the connection could "
    "not be taken up again; or the proxy or the certificates of the environment cannot be used",
    SERVER_ERROR: "an error of the server, or the operation was lost with it",
    EXISTS: "a file that the command writes is there already, and `--overwrite` was not given",
    NOT_WRITTEN: "the command wrote no file, or it could not be written here; or it only reads, and the "
    "server has left out some of its standard output (`output_limit`), or of what `operations output` prints",
    BUSY: "the server is busy, or its database is away: the same may do a little later",
    NOT_SIGNED_IN: "not signed in, or no longer",
    TIMED_OUT: "the command took longer than the server lets it",
    NOT_ALLOWED: "the user may not, or the command is switched off",
    HUNG_UP: "ended as its terminal went away",
    CANCELLED: "cancelled, with Ctrl-C or by somebody else",
    BROKEN_PIPE: "who read the output went away, as `head` does",
    TERMINATED: "ended by a signal TERM",
}
"""The codes that no command uses (but 2, which says the same there), by their numbers."""


def say(text: str) -> None:
    """Print a line of our own on standard error."""
    print(f"airflow-rest: {plain(text)}", file=sys.stderr, flush=True)


def of_process(code: int) -> int:
    """Return how a process has ended as a shell says it: of a signal, which is negative, 128 + N."""
    return code if code >= 0 else 128 - code


def code_of(error: Exception) -> int:
    """Return the exit code for an error, and say what it is."""
    if isinstance(error, UnknownInstance):
        say(str(error))
        return NOT_SIGNED_IN
    if isinstance(error, NotSignedIn):
        say(f"not signed in: {error.message} {_how_to_sign_in()}")
        return NOT_SIGNED_IN
    say(str(error))
    if isinstance(error, NotAllowed):
        return NOT_ALLOWED
    if isinstance(error, Busy) or (isinstance(error, ApiError) and error.status in (503, 504)):
        return BUSY
    if isinstance(error, ApiError) and error.status >= 400:
        return SERVER_ERROR if error.status >= 500 else USAGE
    if isinstance(error, OSError):
        # Without a name it is one of the streams, such as standard output into a full disk.
        return NO_FILE if error.filename is not None else NOT_WRITTEN
    # Nobody, or a page in the place of what was asked for, or a way to one, such as that of a single sign-on;
    # or no way there, as with a proxy or certificates of the environment that cannot be used.
    return UNREACHABLE


def code_within(error: Exception) -> int:
    """Return the exit code as `code_of` does, for a command that has begun: its command line was good."""
    code = code_of(error)
    if code != USAGE:
        return code
    return UNREACHABLE if isinstance(error, ApiError) and error.reason == UNKNOWN else SERVER_ERROR


def _how_to_sign_in() -> str:
    if os.environ.get(URL):
        # What `login` keeps would not be looked at.
        return f"{URL} is set: {TOKEN}, or {USER} and {PASSWORD}, say who asks"
    return "Sign in with: airflow-rest login"
