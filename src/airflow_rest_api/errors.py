"""
Every error that a client can get: one tree, which knows nothing of the web.

An error is answered as ``{"detail": {"reason", "message", ...}}``: ``detail`` as in Airflow's own API,
``reason`` for programs and ``message`` for people. The first paragraph of a class's docstring says when it
comes, for docs/errors.md (``python -m tools.error_docs``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 2000
"""Characters of a message or a member: a parser quotes what it refuses, which may be megabytes."""
BEARER = 'Bearer realm="Airflow"'
CLOSE = {"Connection": "close"}
"""For answers that do not wait for the rest of a body."""


class ApiError(Exception):
    """
    Something that is answered to a client.

    :param message: for people; by default that of the class
    :param more: further members of ``detail``, such as the argument to blame
    :ivar status: of HTTP
    :ivar reason: the word for programs
    :ivar argument: the one to blame, where that is always the same
    :ivar retry_after: seconds after which it is worth to ask again
    """

    status = 500
    reason = ""
    message = ""
    argument: str | None = None
    retry_after: int | None = None

    def __init_subclass__(cls, **attributes: Any) -> None:
        """Take attributes in the class's first line: ``class X(ApiError, status=400, reason="x")``."""
        super().__init_subclass__()
        if attributes.get("message", "") is None:  # It is what the class says of itself.
            attributes["message"] = cls.__doc__
        for name, value in attributes.items():
            setattr(cls, name, value)

    def __init__(
        self, message: str | None = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        self.message = _shortened(self.message if message is None else message)
        blamed = {} if self.argument is None else {"argument": self.argument}
        self.more = {name: _shortened(value) for name, value in (blamed | more).items()}
        self.headers = dict(headers or {})
        if self.retry_after is not None:
            self.headers.setdefault("Retry-After", str(self.retry_after))
        super().__init__(self.message)

    @property
    def detail(self) -> dict[str, Any]:
        """The body's ``detail``."""
        return {"reason": self.reason, "message": self.message, **self.more}


class Recorded(ApiError):
    """An error that the framework has raised, or that the record of an operation tells of."""

    def __init__(
        self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        self.status = status
        self.reason = reason
        super().__init__(message, headers=headers, **more)


def _shortened(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # Half a character, which JSON can hold in an escape, is none that can be sent.
    text = value[:LONGEST].encode(errors="backslashreplace").decode()
    return text if len(value) <= LONGEST else f"{text}… ({len(value)} characters)"


class BadRequest(ApiError, status=400, reason="bad_request"):
    """A parameter, a header or a member of the body is not as described (`argument` names it)."""


class BadArgument(ApiError, status=400, reason="bad_argument"):
    """An argument of a command is unknown, missing or wrong (`argument` names it where one is to blame)."""

    def __init__(self, argument: str | None, message: str) -> None:
        self.argument = argument
        super().__init__(message, argument=argument)


class RefusedByCommand(ApiError, status=400, reason="bad_argument"):
    """The command itself refused its arguments (`id` is its operation)."""


class BadJson(ApiError, status=400, reason="bad_json"):
    """The body is no JSON, no object, or larger or deeper than is taken."""


class TooManyParameters(ApiError, status=400, reason="too_many_parameters"):
    """The query has more than 1,000 parameters."""


class BodyTooSlow(ApiError, status=408, reason="too_slow"):
    """The body did not arrive in time (`body_timeout`)."""


class IdempotencyConflict(ApiError, status=409, reason="idempotency_conflict"):
    """The `Idempotency-Key` came before, with another request (`id` is the operation of that one)."""


class TooLarge(ApiError, status=413, reason="too_large"):
    """A body or file exceeds `max_upload`, `dag_files_size`, `dag_files_count` or 8 MiB of JSON or fields."""


class AddressTooLong(ApiError, status=414, reason="address_too_long"):
    """Path and query have more than 32 KiB: send arguments in the body."""


class UnsupportedMediaType(ApiError, status=415, reason="unsupported_media_type"):
    """The body is of a type that is not taken there."""


class HeadersTooLarge(ApiError, status=431, reason="headers_too_large"):
    """All headers together have more than 32 KiB."""


class Refusal(ApiError, status=400, reason="bad_request"):
    """A request to a 1.x endpoint is refused before a command runs; the message is its `output`."""

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


class NotAuthenticated(ApiError, status=401, reason="not_authenticated"):
    """There is no token, and no session that counts."""

    message = "Send a token of Airflow's: Authorization: Bearer <token>. POST /auth/token gives one."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": BEARER})


class InvalidToken(ApiError, status=401, reason="invalid_token"):
    """The token has expired, was taken back, is damaged, or its user is gone."""

    def __init__(self, message: str, fault: Exception | None = None) -> None:
        super().__init__(message, headers={"WWW-Authenticate": f'{BEARER}, error="invalid_token"'})
        self.fault = fault  # what PyJWT found wrong


class NoUser(InvalidToken):
    """A good token, of a user who does not exist any more or is no longer active."""


class Revoked(InvalidToken):
    """A token that was taken back, such as by signing out."""


class NotAnAccessToken(InvalidToken):
    """A refresh token where an access token is asked for."""


class HeaderUserGone(ApiError, status=401, reason="no_user"):
    """The user that `http_token_username` names does not exist any more or is not active."""


class AnotherUser(ApiError, status=401, reason="another_user"):
    """The page was opened by another user than the one who is signed in now."""


class Forbidden(ApiError, status=403, reason="forbidden"):
    """You may not; the message says which permission is missing."""

    recorded = False


class SwitchedOff(Forbidden, reason="switched_off"):
    """The option `option` switches it off, for administrators too; `setting` is the line to switch it on."""

    def __init__(self, command: str, option: str, setting: str) -> None:
        super().__init__(
            f"{command!r} is switched off, for administrators too. To switch it on, set "
            f"[rest_api_plugin] {setting} and start the API server again.",
            option=option,
            setting=setting,
        )


class WrongHeaderToken(ApiError, status=403, reason="header_token"):
    """The header with the token of `rest_api_plugin_expected_http_token` is missing or wrong."""


class CrossSite(ApiError, status=403, reason="cross_site"):
    """A browser sent it from another site, which `[api] access_control_allow_origins` does not name."""

    message = "Requests from other sites are refused but for [api] access_control_allow_origins."


class NotFound(ApiError, status=404, reason="not_found"):
    """There is nothing at this address."""


class MethodNotAllowed(ApiError, status=405, reason="method_not_allowed"):
    """There is something at this address, but not for this method."""


class InternalError(ApiError, status=500, reason="internal_error"):
    """Something unforeseen went wrong; the server's log says more under the `id`."""


class Misconfigured(ApiError, status=503, reason="misconfigured"):
    """The plugin is off: its configuration, or an Airflow it does not know; the server's log says why."""

    message = "The REST API plugin is off because of its configuration; the server's log says why."


class Overloaded(ApiError, status=503, reason="overloaded"):
    """More requests are being worked on than `max_requests` allows: try again after `Retry-After`."""


class Unavailable(ApiError, status=503, reason="database_unavailable"):
    """The database cannot be reached, or does not take the work, right now: try again after `Retry-After`."""

    message = "The database cannot be reached right now; try again in a moment."
    retry_after = 5

    def __init__(self, cause: str = "The database cannot be reached.", message: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause

    def __str__(self) -> str:  # for the log; the message is for the client
        return self.cause


class NoSpace(ApiError, status=507, reason="no_space"):
    """A disk of the API server has no room left: for an upload, a command's files, or in the bundle."""

    message = "There is no room left on the API server's disk for what was sent, or for what would come out."


class UnknownCommand(ApiError, status=404, reason="unknown_command"):
    """This Airflow has no such command; `nearest` lists the names that may have been meant, best first."""

    def __init__(self, name: str, nearest: Iterable[str] = (), hint: str = "") -> None:
        self.name = name
        self.nearest = list(nearest)
        meant = f". Did you mean {' or '.join(map(repr, self.nearest))}?" if self.nearest else "."
        super().__init__(f"There is no command {name!r}{hint or meant}", nearest=self.nearest)


class UnknownOperation(ApiError, status=404, reason="unknown_operation", message=None):
    """There is no such operation, or it is no longer kept."""


class UnknownResultFile(ApiError, status=404, reason="unknown_file", message=None):
    """The operation has no file of this name."""


class NoFile(ApiError, status=409, reason="no_file"):
    """`Accept: application/octet-stream` alone, and the command wrote no single file; or the DAG has none."""


class CannotRepeat(ApiError, status=409, reason="cannot_repeat"):
    """It cannot be done again from its record, such as because of secrets, which are not kept."""

    message = "It was started with secrets, which are kept nowhere: start it anew, with all its arguments."


class Undecryptable(ApiError, status=410, reason="cannot_decrypt"):
    """It was kept encrypted, and the key is no longer in `[core] fernet_key`."""

    message = "It was kept encrypted, and the key is no longer in [core] fernet_key."


class Busy(ApiError, status=429, reason="busy"):
    """Too many commands run and wait, of all users or (`option`) of yours: try again after `Retry-After`."""

    message = "Too many commands are running and waiting already; try again later."

    def __init__(self, retry_after: int = 5, **more: Any) -> None:
        self.retry_after: int = retry_after
        super().__init__(**more)


class TooManyWaiting(Busy):
    """Too many commands of this one user wait."""

    message = "Too many of your commands are waiting already; try again later."


class TooManyStreams(ApiError, status=429, reason="too_many_streams"):
    """You have too many streams of events open."""

    retry_after = 5


class NoRunner(ApiError, status=503, reason="no_runner"):
    """No runner of the queue `queue` is there, or answers; with `Prefer: respond-async` a command waits."""

    retry_after = 30


class UnknownService(ApiError, status=404, reason="unknown_service", message=None):
    """There is no such service, or it was forgotten."""


class NoLog(ApiError, status=404, reason="no_log"):
    """The log of the service cannot be read here; the message says why."""


class NoLogYet(NoLog):
    """The component is being started, and its log file is not there yet."""


class AlreadyRunning(ApiError, status=409, reason="already_running"):
    """The component runs on this host already (`service` is the id of the one that does)."""

    def __init__(self, message: str, service: str) -> None:
        super().__init__(message, service=service)
        self.service = service


class NotManaged(ApiError, status=409, reason="not_managed"):
    """The component was not started through this API: it can only be looked at."""

    message = "It was not started here: only those who did can stop it."


class StillRunning(ApiError, status=409, reason="still_running"):
    """Only a service that has ended can be forgotten."""

    message = "It has not ended: stop it first."


class PortInUse(ApiError, status=409, reason="port_in_use"):
    """The port that the component would listen on is taken."""

    argument = "port"


class BadPath(ApiError, status=400, reason="bad_path"):
    """No file can have this path."""

    def __init__(self, name: str, why: str, argument: str = "file") -> None:
        shown = name[:200].encode(errors="backslashreplace").decode()
        super().__init__(f"{shown!r}: {why}", argument=argument)


class BadFolder(ApiError, status=400, reason="bad_folder"):
    """Files cannot be put into the folder."""

    def __init__(self, folder: str, why: str) -> None:
        super().__init__(f"folder {folder[:200]!r}: {why}", argument="folder")


class BadArchive(ApiError, status=400, reason="bad_archive"):
    """The archive cannot be unpacked."""

    def __init__(self, why: str) -> None:
        super().__init__(f"archive: {why}", argument="archive")


class UnknownBundle(ApiError, status=404, reason="unknown_bundle"):
    """There is no such bundle, or there are several and the request has to name one."""

    argument = "bundle"


class UnknownDag(ApiError, status=404, reason="unknown_dag"):
    """There is no such DAG."""

    def __init__(self, dag_id: str) -> None:
        super().__init__(f"There is no DAG {dag_id[:200]!r}.", argument="dag_id")


class UnknownDagFile(ApiError, status=404, reason="unknown_file"):
    """The bundle has no file at this path."""

    def __init__(self, path: str, bundle: str) -> None:
        super().__init__(f"There is no file {path!r} in {bundle!r}.", argument="path")


class UnknownVersion(ApiError, status=404, reason="unknown_version"):
    """The file was never deployed through this API, has no such version, or it is no longer kept."""

    def __init__(self, path: str, version: int | None = None) -> None:
        words = f"has no version {version}" if version is not None else "was never deployed"
        super().__init__(f"{path!r} {words}, or it is no longer kept.", path=path)


class UnknownDeployment(ApiError, status=404, reason="unknown_deployment", message=None):
    """There is no such deployment, or it is no longer kept."""


class BundleNotWritable(ApiError, status=409, reason="bundle_not_writable"):
    """The bundle's files come from Git, S3 or the like, or its folder is closed to the API server."""


class FilesExist(ApiError, status=409, reason="exists"):
    """Files are there already (`paths`), and the request did not say that they may be replaced."""


class InTheWay(ApiError, status=409, reason="in_the_way"):
    """A folder, or what cannot be read, lies where a file should; or a link, a file, a mount on the way."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path!r} {why}.", path=path)


class ChangedMeanwhile(ApiError, status=409, reason="changed_meanwhile"):
    """Another program saved a file while it was being replaced; nothing was written."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} was changed by another program just now; nothing was written.")


class TooManyFiles(ApiError, status=413, reason="too_many_files"):
    """The folder has more files than are listed: name one below it."""


class ImportErrors(ApiError, status=422, reason="import_errors"):
    """Files cannot be imported; nothing was written, and `report` says what is wrong."""


class CheckFailed(ApiError, status=422, reason="check_failed"):
    """The check of the files gave no answer, so nothing was written; the operation's output says more."""


class DuplicateDags(ApiError, status=422, reason="duplicate_dags"):
    """Files define DAGs that other files define; nothing was written, and `report` names them."""


class BadConfiguration(ApiError, status=500, reason="bad_configuration"):
    """Airflow's `[dag_processor] dag_bundle_config_list` cannot be read."""


class DamagedJournal(ApiError, status=500, reason="damaged_journal"):
    """A deployment was left unfinished, and cannot be completed or taken back; the server's log says more."""


class BundleLocked(ApiError, status=503, reason="bundle_locked"):
    """Another API server has held the lock of the bundle for too long: try again after `Retry-After`."""

    message = "Another API server is changing this bundle, and has held its lock for too long."
    retry_after = 30
