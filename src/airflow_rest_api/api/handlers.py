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
from starlette.routing import Match

from airflow_rest_api.asgi import error_response
from airflow_rest_api.errors import ApiError, BadRequest, InternalError, Recorded
from airflow_rest_api.storage.transient import foreseen

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)


def add_handlers(app: FastAPI) -> None:
    """Have the app answer its own errors, and those of the framework in the same form."""

    async def answer(request: Request, error: Exception) -> Response:
        found = error if isinstance(error, ApiError) else _of_framework(error)
        if isinstance(error, HTTPException) and found.status == HTTPStatus.METHOD_NOT_ALLOWED:
            found.headers["Allow"] = _allowed(request)
        return error_response(found)

    for kind in (ApiError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> str:
    """Return the methods of all routes of a path (RFC 9110, 15.5.6): Starlette names those of the first."""
    fitting = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(
        sorted({method for route in fitting for method in getattr(route, "methods", None) or ()})
    )


def _of_framework(error: Exception) -> ApiError:
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        # The place is `query`, the name of the parameter and, in a list, the number of the item.
        place = [str(part) for part in first["loc"][1:]]
        return BadRequest(f"{'.'.join(place)}: {first['msg']}", argument=place[0])
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    reason = phrase.lower().replace(" ", "_")
    return Recorded(error.status_code, reason, str(error.detail) or phrase, error.headers)


class LastResort:
    """
    ASGI middleware that answers the errors that were not foreseen, without a word about the inside.

    It also marks every answer as one that may not be cached, unless it says for how long, or taken
    for another type.
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
            # There is no client to be answered, and before the body was read nothing was begun.
            log.info("A client went away before its request was read: %s %s", scope["method"], scope["path"])
        except Exception as error:
            if not started and (found := foreseen(error)):
                log.warning("%s %s: %s", scope["method"], scope["path"], found)
                await error_response(found)(scope, receive, guarded_send)
                return
            identifier = secrets.token_hex(8)
            # The path without the query, in which old clients send values.
            log.exception("Error %s in %s %s", identifier, scope["method"], scope["path"])
            if started:
                raise
            unforeseen = InternalError(
                f"Something went wrong in the server. Its log says more under the id {identifier}.",
                id=identifier,
            )
            await error_response(unforeseen)(scope, receive, guarded_send)
