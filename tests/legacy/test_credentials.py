"""The recorded exchanges about credentials, and what the 1.x endpoints answer."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import jwt
import pytest
from starlette.responses import Response

from airflow_rest_api.errors import InvalidToken
from airflow_rest_api.legacy.credentials import MISSING, LegacyCredentials
from tests.legacy.recording import exchanges, query_of

KEY = "k" * 64
HEADER_TOKEN = "s3cret-token"


def token(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": "admin", "exp": time.time() + 86_400, **claims}, key, algorithm)


class Host:
    """Verifies tokens as the host of an Airflow does: with PyJWT, and a refusal that does not say why."""

    session_cookie = "_token"

    def session_user(self, scope: Any) -> None:
        return None

    async def user(self, given: str, session: Any = None) -> str:
        try:
            name = jwt.decode(given, KEY, algorithms=["HS256"])["sub"]
        except jwt.InvalidTokenError:
            raise InvalidToken("The token is not valid.") from None
        if name == "9999":
            raise InvalidToken("The token's user does not exist.")
        return str(name)

    def user_name(self, user: Any) -> str:
        return str(user)

    async def is_admin(self, user: Any) -> bool:
        return True

    def trusted_origins(self) -> frozenset[str]:
        return frozenset()


TOKENS = {
    "bad_signature": token(key="x" * 64),
    "tampered_sig": token()[:-6] + "AAAAAA",
    "alg_none": jwt.encode({"sub": "admin"}, None, "none"),
    "hs512": token(algorithm="HS512"),
    "expired": token(exp=time.time() - 60),
    "expired_post": token(exp=time.time() - 60),
    "not_yet_valid": token(nbf=time.time() + 80_000),
    "unknown_user_id": token(sub="9999"),
    "garbage_readme_padding": token().split(".")[0] + ".a.b",
}
"""For the recorded tokens, which are not in the recording."""

LATER = {
    "no_identity",
    "no_exp",
    "no_type",
    "no_jti",
    "refresh_token_as_access",
    "refresh_token_as_access_post",
}
"""About what is in a token: a matter of who issues it."""

BEFORE_A_USER = [
    exchange
    for exchange in exchanges(r"rbac\.auth\.api\.|rbac\.token_and_jwt\.|token\.")
    if exchange["id"].rpartition(".")[2] not in LATER
]


def answer_to(exchange: dict[str, Any]) -> Response | Any:
    """Return the answer to a recorded request, or the user that it lets in."""
    identifier = exchange["id"]
    case = identifier.rpartition(".")[2]
    fill = {
        "<ACCESS_TOKEN>": token(),
        "<REFRESHED_ACCESS_TOKEN>": token(),
        "<JWT>": TOKENS.get(case, "<JWT>"),
        "<HTTP_TOKEN>": HEADER_TOKEN,
    }
    headers = []
    for name, value in (exchange.get("headers") or {}).items():
        for placeholder, text in fill.items():
            value = value.replace(placeholder, text)
        headers.append((name.lower().encode(), value.encode()))
    scope = {
        "type": "http",
        "method": exchange["method"],
        "path": "/api",
        "query_string": query_of(exchange, {}).encode(),
        "headers": headers,
    }
    custom = identifier.startswith("token.custom_header.")
    header = "X-My-Token" if custom else "rest_api_plugin_http_token"
    asked = identifier.startswith("token.") or identifier.startswith("rbac.token_and_jwt.")
    credentials = LegacyCredentials(header, HEADER_TOKEN if asked else "")
    return credentials.before_user(scope) or asyncio.run(credentials.user(scope, Host()))


@pytest.mark.parametrize("exchange", BEFORE_A_USER, ids=[exchange["id"] for exchange in BEFORE_A_USER])
def test_credentials_are_answered_as_recorded(exchange: dict[str, Any]) -> None:
    answer = answer_to(exchange)
    if exchange["id"].endswith("ok_lowercase_bearer"):
        assert answer == "admin"  # the scheme may be in any case now
        return
    # Without RBAC nobody was asked for a JWT; we always ask.
    past_the_header_token = exchange["id"].startswith("token.") and exchange["status"] in (200, 400)
    if exchange["method"] == "OPTIONS":
        assert answer.status_code == 200
    elif past_the_header_token:
        assert json.loads(answer.body) == {"msg": MISSING}
    elif exchange["status"] in (200, 400, 500):
        assert answer == "admin"
    else:
        assert answer.status_code == exchange["status"]
        document = json.loads(answer.body)
        if "body" in exchange and isinstance(exchange["body"], dict):
            assert document == exchange["body"]
        if "keys" in exchange:
            assert set(document) == set(exchange["keys"])
            assert document["output"] == exchange["output"]
