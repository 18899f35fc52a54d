"""How the 1.x contract asks for credentials, and how it answers where they are missing or wrong."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import Response

from airflow_rest_api.admission import as_json
from airflow_rest_api.errors import InvalidToken
from airflow_rest_api.legacy import bearer
from airflow_rest_api.legacy.envelope import Envelope
from airflow_rest_api.legacy.request import Sent
from airflow_rest_api.parsing_threads import read_aside
from airflow_rest_api.security.header_token import FAILED, HeaderToken
from airflow_rest_api.security.request_size import is_taken

if TYPE_CHECKING:
    from starlette.types import Scope

    from airflow_rest_api.errors import ApiError
    from airflow_rest_api.security.caller import Host

METHODS = ("GET", "POST", "HEAD", "OPTIONS")


class Door:
    """
    The door of the 1.x endpoints, in the order of the contract: method, header token, JWT.

    :param header: name of the header with the shared token
    :param expected: the shared token; empty where none is asked for
    """

    def __init__(self, header: str = "", expected: str = "") -> None:
        self._token = HeaderToken(header, expected)

    def before_user(self, scope: Scope) -> Response | None:
        """Return the answer to a request that needs no user, or is turned away before one is looked for."""
        if scope["method"] == "OPTIONS":
            return Response(status_code=200, headers={"Allow": ", ".join(METHODS)})
        if scope["method"] not in METHODS:
            return respond(_envelope(scope, 405, f"The method {scope['method']} is not allowed"))
        if self._token.asked_for and not self._token.is_carried(scope["headers"]):
            return respond(Envelope(403, FAILED, _now()))
        return None

    async def user(self, scope: Scope, host: Host, cookie: str | None = None) -> Any:
        """
        Return the user; or the answer, a Response, where there is none.

        :param cookie: the token of a browser's session, where the request may use it
        """
        token = bearer.token_of(Headers(scope=scope), cookie)
        if isinstance(token, Response):
            return token
        try:
            return await host.user(token)
        except InvalidToken as error:
            return bearer.refusal(token, error)

    def refusal(self, scope: Scope, problem: ApiError) -> Response:
        """Return the envelope of what the door shared with the rest of the API found wrong."""
        envelope = _envelope(scope, problem.status, problem.message)
        envelope.headers = problem.headers
        return respond(envelope)


def not_let_in(problem: ApiError) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the envelope for a request that nobody has looked at: its arguments are not known."""
    return as_json(None, Envelope(problem.status, problem.message, _now()).document())


async def respond_aside(envelope: Envelope, size: int) -> Response:
    """
    Return an envelope as the answer to a request, made in a thread where that is long.

    :param size: of what the client sent, which the envelope repeats
    """
    output = envelope.output if isinstance(envelope.output, dict) else {"": envelope.output}
    return await read_aside(size + sum(map(len, output.values())), partial(respond, envelope))


def respond(envelope: Envelope) -> Response:
    """Return an envelope as the answer to a request."""
    # ASCII: a client may have sent what is no text in any encoding.
    content = json.dumps(envelope.document())
    headers = {**envelope.headers, **({"Allow": ", ".join(METHODS)} if envelope.status == 405 else {})}
    return Response(content, envelope.status, headers, media_type="application/json")


def _envelope(scope: Scope, status: int, output: str) -> Envelope:
    query = scope["query_string"] if is_taken(scope["query_string"]) else b""
    sent = Sent.of(query.decode("latin-1"))
    return Envelope(status, output, _now(), sent.arguments, sent.post_arguments)


def _now() -> datetime:
    return datetime.now(timezone.utc)
