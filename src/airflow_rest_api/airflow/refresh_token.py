"""
Refresh tokens: good for one thing, a new access token.

Airflow has none, so they are ours. Airflow must never take one for an access token: they are signed with a
key of their own, which is derived from Airflow's, and are meant for another audience.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from typing import Any

from airflow_rest_api.airflow.signing import derived

ALGORITHM = "HS512"
AUDIENCE = "airflow_rest_api/refresh"
TYPE = "refresh"
LABEL = b"airflow_rest_api refresh token 1"
REQUIRED = ("exp", "nbf", "iat", "jti", "sub", "type", "aud")


def issue(subject: str, user: Mapping[str, Any], credential: str, seconds: int) -> str:
    """
    Return a new token.

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


def read(token: str) -> dict[str, Any]:
    """Return the claims of a good token; raise what PyJWT finds wrong, an InvalidTokenError."""
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


def claims_to_be(token: str) -> bool:
    """Return whether a token says of itself that it is a refresh token; nothing of it is verified."""
    from jwt import InvalidTokenError, decode

    try:
        return decode(token, options={"verify_signature": False}).get("type") == TYPE
    except InvalidTokenError:
        return False


def fingerprint(subject: str, credential: str) -> str:
    """Return what a token carries of the password's hash: nothing that helps to guess it."""
    digest = hmac.new(_key(), f"{subject}\0{credential}".encode(errors="surrogatepass"), hashlib.sha256)
    return digest.hexdigest()[:32]


def _key() -> bytes:
    return derived(LABEL)
