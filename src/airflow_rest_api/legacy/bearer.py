"""What the 1.x contract says about a JWT: where it is, and what is wrong with it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from airflow_rest_api.errors import InvalidToken, NotAnAccessToken, NoUser, Revoked

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
"""What PyJWT finds wrong, and what the 1.x plugin said to it."""


def token_of(headers: Headers, cookie: str | None = None) -> str | Response:
    """
    Return the token of a request; the answer where there is none, or none that can be read.

    :param cookie: a token that counts where there is no header
    """
    words = headers.get("authorization", "").split()
    if not words and cookie is not None:
        words = ["Bearer", cookie]
    if not words:
        return message(401, MISSING)
    if len(words) != 2 or words[0].lower() != "bearer":
        return message(422, MALFORMED)
    if fault := _undecodable(words[1]):
        return message(422, fault)
    return words[1]


def refusal(token: str, error: InvalidToken) -> Response:
    """Return the answer to a token that the host did not take."""
    if isinstance(error, NotAnAccessToken):
        return message(422, ACCESS_ONLY)
    if isinstance(error, Revoked):
        return message(401, REVOKED)
    fault = error.fault or error.__context__
    if isinstance(error, NoUser) or fault is None:
        return message(401, f"Error loading the user {_subject(token)}")
    kinds = [kind.__name__ for kind in type(fault).__mro__]
    found = next((FAULTS[kind] for kind in kinds if kind in FAULTS), None)
    return message(*(found or (422, str(fault))))


def message(status: int, text: str) -> Response:
    """Return an answer of this contract."""
    headers = {"WWW-Authenticate": 'Bearer realm="Airflow"'} if status == 401 else None
    return JSONResponse({"msg": text}, status, headers)


def _undecodable(token: str) -> str | None:
    from jwt import InvalidTokenError, decode

    try:
        decode(token, options={"verify_signature": False})
    except InvalidTokenError as error:
        return str(error)
    return None


def _subject(token: str) -> str:
    from jwt import decode

    return str(decode(token, options={"verify_signature": False}).get("sub", ""))
