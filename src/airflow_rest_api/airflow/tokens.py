"""
Access tokens, as far as Airflow does not judge them itself, and refresh tokens.

A refresh token is good for one thing, a new access token. Airflow has none, so they are ours. Airflow must
never take one for an access token: they are signed with a key of their own, which is derived from Airflow's,
and are meant for another audience.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from typing import Any

from airflow_rest_api.airflow.compat.accounts import TOKENS_HAVE_ID
from airflow_rest_api.airflow.installation import derived
from airflow_rest_api.errors import InvalidToken, NotAnAccessToken, NoUser, Revoked

ALGORITHM = "HS512"
AUDIENCE = "airflow_rest_api/refresh"
TYPE = "refresh"
LABEL = b"airflow_rest_api refresh token 1"
REQUIRED = ("exp", "nbf", "iat", "jti", "sub", "type", "aud")

WRONG_TYPE = "Only access tokens are allowed"
NOT_THIS = "This is a refresh token; an access token is needed."


def issue_refresh_token(subject: str, user: Mapping[str, Any], credential: str, seconds: int) -> str:
    """
    Return a new refresh token.

    :param subject: the user's id, as in access tokens
    :param user: the claims from which the auth manager makes the user
    :param credential: stands for the password; a token does not outlive the change of it
    :param seconds: until it expires
    """
    from jwt import encode

    now = int(time.time())
    claims = {
        "sub": subject,
        "aud": AUDIENCE,
        "type": TYPE,
        "jti": uuid.uuid4().hex,
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
        "user": dict(user),
        "credential": fingerprint(subject, credential),
    }
    return encode(claims, _key(), algorithm=ALGORITHM)


def read_refresh_token(token: str) -> dict[str, Any]:
    """
    Return the claims of a good refresh token.

    :raises jwt.InvalidTokenError: what PyJWT finds wrong
    """
    from airflow.configuration import conf
    from jwt import InvalidTokenError, decode

    claims: dict[str, Any] = decode(
        token,
        _key(),
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        leeway=conf.getint("api_auth", "jwt_leeway", fallback=0),
        options={"require": list(REQUIRED)},
    )
    if claims["type"] != TYPE:
        raise InvalidTokenError("The token is no refresh token")
    return claims


def claims_to_be_refresh_token(token: str) -> bool:
    """Return whether a token says of itself that it is a refresh token; nothing of it is verified."""
    return _said_by(token).get("type") == TYPE


def fingerprint(subject: str, credential: str) -> str:
    """Return the HMAC of a user's password hash that a token carries: nothing that helps to guess it."""
    digest = hmac.new(_key(), f"{subject}\0{credential}".encode(errors="surrogatepass"), hashlib.sha256)
    return digest.hexdigest()[:32]


def _key() -> bytes:
    return derived(LABEL)


def check(claims: Mapping[str, Any]) -> None:
    """
    Refuse the claims of a token that Airflow has verified and would never have issued itself.

    :raises jwt.InvalidTokenError: as PyJWT would
    """
    from jwt import InvalidTokenError, MissingRequiredClaimError

    if claims.get("type") == TYPE:
        raise InvalidTokenError(WRONG_TYPE)
    if TOKENS_HAVE_ID and not claims.get("jti"):
        # Airflow's own have one, and only such a one can be revoked.
        raise MissingRequiredClaimError("jti")


def refusal(token: str, error: Exception) -> InvalidToken:
    """
    Return the refusal of a token that Airflow did not take.

    :param error: Airflow's, or that of `check`
    """
    from jwt import ExpiredSignatureError, InvalidTokenError

    if str(error) == WRONG_TYPE:
        return NotAnAccessToken(NOT_THIS)
    if claims_to_be_refresh_token(token):
        try:
            read_refresh_token(token)
        except InvalidTokenError as found:
            error = found
        else:
            return NotAnAccessToken(NOT_THIS)
    if str(error) == "Token has been revoked":  # BaseAuthManager.get_user_from_token
        return Revoked("The token has been revoked.")
    if type(error) is InvalidTokenError and isinstance(error.__context__, ValueError):
        # What BaseAuthManager makes of an auth manager that does not find the user.
        return NoUser("The token's user does not exist or is not active.")
    expired = isinstance(error, ExpiredSignatureError)
    return InvalidToken("The token has expired." if expired else "The token is not valid.", error)


def expires_at(token: str) -> float | None:
    """
    Return when a token that was verified ends, in seconds since 1970; None where it says nothing.

    The tokens of an auth manager that verifies its own need not be JSON Web Tokens.
    """
    end = _said_by(token).get("exp")
    return float(end) if isinstance(end, (int, float)) else None


def unverified(token: str) -> dict[str, Any]:
    """
    Return the claims of a token, none of which is verified.

    :raises jwt.InvalidTokenError: it is no JSON Web Token
    """
    from jwt import DecodeError, decode

    try:
        claims: dict[str, Any] = decode(token, options={"verify_signature": False})
    except RecursionError:
        # PyJWT 2.13 and older; what comes after it says so itself.
        raise DecodeError("Invalid string: nested too deeply") from None
    return claims


def _said_by(token: str) -> dict[str, Any]:
    """Return the same, and nothing of what is no JSON Web Token."""
    from jwt import InvalidTokenError

    try:
        return unverified(token)
    except InvalidTokenError:
        return {}
