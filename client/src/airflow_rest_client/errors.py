"""What the client raises: everything is a `RestError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_client.model import OperationData


UNKNOWN = "unknown"
"""The reason of an answer that has none, unlike those of the plugin: a proxy or another server gave it."""


class RestError(Exception):
    """Something that was asked of an Airflow could not be had; the message is one sentence for people."""


class Unreachable(RestError):
    """The server does not answer, or the connection broke and could not be taken up again."""


class ApiError(RestError):
    """
    The server answered with an error.

    :ivar status: of HTTP
    :ivar reason: for programs, such as `bad_argument`; docs/errors.md of the plugin has all of them
    :ivar detail: all that the answer says, `reason` and `message` among it
    """

    def __init__(self, status: int, reason: str, message: str, detail: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.detail = detail

    @property
    def argument(self) -> str | None:
        """The argument to blame, where there is one."""
        argument = self.detail.get("argument")
        return argument if isinstance(argument, str) else None


class NotSignedIn(ApiError):
    """The token is missing, has expired, or was taken back, and could not be renewed (401)."""


class NotAllowed(ApiError):
    """The user may not (403)."""


class Busy(ApiError):
    """Too much is running or waiting already (429)."""


class CommandFailed(RestError):
    """
    A command did not succeed: it exited with another code than 0, was cancelled, or took too long.

    :ivar operation: as it ended
    """

    def __init__(self, operation: OperationData) -> None:
        failed = operation.state == "failed" and operation.exit_code
        how = f"exit code {operation.exit_code}" if failed else operation.state
        said = f": {operation.message}" if operation.message else ""
        super().__init__(f"airflow {operation.command}: {how}{said}")
        self.operation = operation

    @property
    def exit_code(self) -> int | None:
        """What it exited with; None where it did not."""
        return self.operation.exit_code

    @property
    def stdout(self) -> str:
        """What it printed."""
        return self.operation.stdout

    @property
    def stderr(self) -> str:
        """What it printed on standard error."""
        return self.operation.stderr


class DeploymentFailed(CommandFailed):
    """
    DAG files were not deployed, and nothing has changed.

    :ivar report: what was found in them: `errors`, `duplicates`, `warnings` and more (docs/dag-files.md)
    """

    @property
    def report(self) -> Mapping[str, Any]:
        """What was found in the files."""
        result = self.operation.result
        return result if isinstance(result, Mapping) else {}


def not_ours(status: int) -> ApiError:
    """Return the error for an answer that the plugin does not give."""
    message = "What answers is not the REST API plugin: is it the address of an API server that has it?"
    return ApiError(status, UNKNOWN, message, {})


def error_of(status: int, body: Any) -> ApiError:
    """
    Return the error that an answer stands for.

    :param body: what its JSON says, or its text where it is none: a proxy on the way has answered
    """
    said = body if isinstance(body, Mapping) else {}
    detail = said.get("detail")
    if not isinstance(detail, Mapping):
        # The login has its reasons where those of the 1.x plugin were.
        texts = (text for text in (detail, said.get("message")) if isinstance(text, str))
        text = next(texts, f"The server answered with status {status}.")
        detail = {"reason": UNKNOWN, "message": text}
    kind = {401: NotSignedIn, 403: NotAllowed, 429: Busy}.get(status, ApiError)
    message = str(detail.get("message") or f"The server answered with status {status}.")
    return kind(status, str(detail.get("reason") or UNKNOWN), message, detail)
