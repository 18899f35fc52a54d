"""From what went wrong to the answer that says so."""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from airflow_rest_api.airflow.errors import Undecryptable
from airflow_rest_api.api.service_errors import SERVICE_ERRORS, of_service
from airflow_rest_api.commands.errors import BadArgument, UnknownCommand
from airflow_rest_api.engine.engine import Busy
from airflow_rest_api.operations.errors import NoSuchFile, NoSuchOperation, TooManyWaiting
from airflow_rest_api.problem import Problem, foreseen, of_database
from airflow_rest_api.security.access import Forbidden
from airflow_rest_api.storage.errors import Unavailable

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)


def problem(error: Exception) -> Problem | None:
    """Return the problem that an error stands for, None for one that nobody foresaw."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnknownCommand):
        hint = f" Did you mean {' or '.join(map(repr, error.nearest))}?" if error.nearest else ""
        return Problem(
            404, "unknown_command", f"There is no command {error.name!r}.{hint}", nearest=list(error.nearest)
        )
    if isinstance(error, BadArgument):
        return Problem(400, "bad_argument", error.message, argument=error.argument)
    if isinstance(error, Forbidden):
        if error.option is None:
            return Problem(403, error.reason, str(error))
        return Problem(403, error.reason, str(error), option=error.option, setting=error.setting)
    if isinstance(error, TooManyWaiting):
        return Problem(
            429,
            "busy",
            "Too many of your commands are waiting already; try again later.",
            headers={"Retry-After": str(error.retry_after)},
            option="queue_per_user",
        )
    if isinstance(error, Busy):
        return Problem(
            429,
            "busy",
            "Too many commands are running and waiting already; try again later.",
            headers={"Retry-After": str(error.retry_after)},
        )
    if isinstance(error, NoSuchOperation):
        return Problem(404, "unknown_operation", "There is no such operation, or it is no longer kept.")
    if isinstance(error, NoSuchFile):
        return Problem(404, "unknown_file", "The operation has no file of this name.")
    if isinstance(error, Undecryptable):
        return Problem(
            410,
            "cannot_decrypt",
            "It was kept encrypted, and the key is no longer in [core] fernet_key.",
        )
    if (found := of_service(error)) is not None:
        return found
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:])
        return Problem(400, "bad_request", f"{name}: {first['msg']}", argument=name)
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        reason = phrase.lower().replace(" ", "_")
        return Problem(error.status_code, reason, str(error.detail) or phrase, headers=error.headers)
    return of_database(error)


ERRORS = (
    Problem,
    UnknownCommand,
    BadArgument,
    Forbidden,
    Busy,
    NoSuchOperation,
    NoSuchFile,
    Undecryptable,
    *SERVICE_ERRORS,
    Unavailable,
    RequestValidationError,
    HTTPException,
)


def add_handlers(app: FastAPI) -> None:
    """Have the app answer every error that was foreseen."""

    async def answer(request: Request, error: Exception) -> Response:
        found = problem(error)
        assert found is not None
        return found.response()

    for kind in ERRORS:
        app.add_exception_handler(kind, answer)


class LastResort:
    """
    ASGI middleware that answers the errors nobody foresaw, without a word about the inside.

    It also marks every answer as one that nobody may keep (but for those that say themselves for how long) or
    take for something else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer it when that fails."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = list(message.get("headers", ()))
                if all(name.lower() != b"cache-control" for name, _ in own):
                    own.append((b"cache-control", b"no-store"))
                message["headers"] = [*own, (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            await self.app(scope, receive, guarded_send)
        except ClientDisconnect:
            # Nobody is there to be answered, and before the body was read nothing was begun.
            log.info("A client went away before its request was read: %s %s", scope["method"], scope["path"])
        except Exception as error:
            if not started and (found := foreseen(error)):
                log.warning("%s %s: %s", scope["method"], scope["path"], found)
                await found.response()(scope, receive, guarded_send)
                return
            identifier = secrets.token_hex(8)
            # The path without the query, in which old clients send values.
            log.exception("Error %s in %s %s", identifier, scope["method"], scope["path"])
            if started:
                raise
            unforeseen = Problem(
                500,
                "internal_error",
                f"Something went wrong in the server. Its log says more under the id {identifier}.",
                id=identifier,
            )
            await unforeseen.response()(scope, receive, guarded_send)
