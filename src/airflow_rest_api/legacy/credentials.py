"""Which credentials the 1.x contract asks for, and how it answers where they are missing or wrong."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from airflow_rest_api.admission import as_json
from airflow_rest_api.airflow.tokens import unverified
from airflow_rest_api.api.requests import read_in_thread
from airflow_rest_api.asgi import takes_query
from airflow_rest_api.errors import InvalidToken, NotAnAccessToken, NoUser, Revoked
from airflow_rest_api.legacy.answer import Envelope
from airflow_rest_api.legacy.request import Sent
from airflow_rest_api.security.header_token import FAILED, HeaderToken

if TYPE_CHECKING:
    from starlette.types import Scope

    from airflow_rest_api.airflow.auth import AirflowAuth
    from airflow_rest_api.errors import ApiError

METHODS = ("GET", "POST", "HEAD", "OPTIONS")

MISSING = "Missing Authorization Header"
MALFORMED = "Bad Authorization header. Expected value 'Bearer <JWT>'"
ACCESS_ONLY = "Only access tokens are allowed"
REVOKED = "Token has been revoked"  # Flask-JWT-Extended's words; the recording has none

FAULTS: dict[str, tuple[int, str]] = {
    "ExpiredSignatureError": (401, "Token has expired"),
    "ImmatureSignatureError": (422, "The token is not yet valid (nbf)"),
    "InvalidSignatureError": (422, "Signature verification failed"),
    "InvalidAlgorithmError": (422, "The specified alg value is not allowed"),
}
"""What PyJWT finds wrong, and the answer of the 1.x plugin to it."""


class LegacyCredentials:
    """
    Asks for what the 1.x contract asks for, in its order: method, header token, JWT.

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

    async def user(self, scope: Scope, host: AirflowAuth, cookie: str | None = None) -> Any:
        """
        Return the user; or the answer, a Response, where there is none.

        :param cookie: the token of a browser's session, where the request may use it
        """
        token = token_of(Headers(scope=scope), cookie)
        if isinstance(token, Response):
            return token
        try:
            return await host.user(token, host.session_user(scope) if token == cookie else None)
        except InvalidToken as error:
            return token_refusal(token, error)

    def refusal(self, scope: Scope, problem: ApiError) -> Response:
        """Return the envelope of what the rest of the API found wrong as well."""
        envelope = _envelope(scope, problem.status, problem.message)
        envelope.headers = problem.headers
        return respond(envelope)


def not_let_in(problem: ApiError) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the envelope for a request that was refused unread: its arguments are not known."""
    return as_json(None, Envelope(problem.status, problem.message, _now()).document())


async def respond_in_thread(envelope: Envelope, size: int) -> Response:
    """
    Return an envelope as the answer to a request, made in a thread where that is long.

    :param size: of what the client sent, which the envelope repeats
    """
    output = envelope.output if isinstance(envelope.output, dict) else {"": envelope.output}
    return await read_in_thread(size + sum(map(len, output.values())), partial(respond, envelope))


def respond(envelope: Envelope) -> Response:
    """Return an envelope as the answer to a request."""
    # ASCII: a client may have sent what is no text in any encoding.
    content = json.dumps(envelope.document())
    headers = {**envelope.headers, **({"Allow": ", ".join(METHODS)} if envelope.status == 405 else {})}
    return Response(content, envelope.status, headers, media_type="application/json")


def token_of(headers: Headers, cookie: str | None = None) -> str | Response:
    """
    Return the token of a request; the answer where there is none, or none that can be read.

    :param cookie: a token that counts where there is none in the header
    """
    words = headers.get("authorization", "").split()
    if cookie is not None and not (words and words[0].lower() == "bearer"):
        words = ["Bearer", cookie]
    if not words:
        return message(401, MISSING)
    if len(words) != 2 or words[0].lower() != "bearer":
        return message(422, MALFORMED)
    from jwt import InvalidTokenError

    try:
        unverified(words[1])
    except InvalidTokenError as error:
        return message(422, str(error))
    return words[1]


def token_refusal(token: str, error: InvalidToken) -> Response:
    """Return the answer to a token that the host refuses."""
    if isinstance(error, NotAnAccessToken):
        return message(422, ACCESS_ONLY)
    if isinstance(error, Revoked):
        return message(401, REVOKED)
    fault = error.fault or error.__context__
    if isinstance(error, NoUser) or fault is None:
        return message(401, f"Error loading the user {unverified(token).get('sub', '')}")
    kinds = [kind.__name__ for kind in type(fault).__mro__]
    found = next((FAULTS[kind] for kind in kinds if kind in FAULTS), None)
    return message(*(found or (422, str(fault))))


def message(status: int, text: str) -> Response:
    """Return an answer of this contract."""
    headers = {"WWW-Authenticate": 'Bearer realm="Airflow"'} if status == 401 else None
    return JSONResponse({"msg": text}, status, headers)


def _envelope(scope: Scope, status: int, output: str) -> Envelope:
    query = scope["query_string"] if takes_query(scope["query_string"]) else b""
    sent = Sent.of(query.decode("latin-1"))
    return Envelope(status, output, _now(), sent.arguments, sent.body.echo)


def _now() -> datetime:
    return datetime.now(timezone.utc)
