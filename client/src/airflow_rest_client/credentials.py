"""Who asks: a token, how it is renewed, and how one is had for a name and a password."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_rest_client.errors import UNKNOWN, ApiError, NotSignedIn
from airflow_rest_client.http import AWAY, Exchange, Request, Response

LOGIN = "/api/v1/security/login"
REFRESH = "/api/v1/security/refresh"
"""The login of the plugin, which gives out refresh tokens (docs/authentication.md)."""
OWN_LOGIN = "/auth/token"
"""That of Airflow's auth managers, which does not."""
HEADER = "rest-api-plugin-http-token"
EARLY = 30.0
"""Seconds before its end at which a token is renewed."""


@dataclass
class Credentials:
    """
    What says who asks.

    :ivar token: of Airflow, sent with each request
    :ivar refresh_token: with which there is a new one without a password
    :ivar password: with which there is a new one, where it is kept
    :ivar provider: the one of Flask-AppBuilder that verifies the password: `db` or `ldap`
    :ivar header_token: the shared token that a site may ask for beside it, or in its place
    :ivar changed: called when there is a new token
    """

    token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    provider: str = "db"
    header_token: str | None = field(default=None, repr=False)
    header_name: str = HEADER
    changed: Callable[[Credentials], None] | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that say who asks."""
        found = {"Authorization": f"Bearer {_sendable(self.token)}"} if self.token else {}
        return found | self.site_headers()

    def site_headers(self) -> dict[str, str]:
        """Return those that are asked for at the login as well."""
        return {self.header_name: _sendable(self.header_token)} if self.header_token else {}

    @property
    def renewable(self) -> bool:
        """Whether a new token can be had without asking anybody."""
        return bool(self.refresh_token or (self.username and self.password))

    def due(self) -> bool:
        """Return whether it is time for a new token."""
        if not self.renewable:
            return False
        return self.token is None or expires_at(self.token) - time.time() < EARLY

    def renew(self) -> Exchange[bool]:
        """
        Get a new token; return whether there is one.

        :raises ApiError: the server is away, or see `login`
        """
        if self.refresh_token:
            signed = {"Authorization": f"Bearer {_sendable(self.refresh_token)}", **self.site_headers()}
            answer = yield Request("POST", REFRESH, headers=signed, signed=False)
            if answer is not None and answer.status in AWAY:
                # That says nothing of the token.
                answer.checked()
            if (token := _token(answer)) is not None:
                self._take(token)
                return True
        if self.username and self.password:
            yield from self.login(self.password)
            return True
        return False

    def login(self, password: str) -> Exchange[None]:
        """
        Sign in.

        :raises NotSignedIn: the password is wrong, or there is no such user
        :raises ApiError: the server does not let anybody sign in so
        """
        said: dict[str, Any] = {"username": self.username, "password": password}
        answer = yield Request(
            "POST",
            LOGIN,
            json={**said, "provider": self.provider, "refresh": True},
            headers=self.site_headers(),
            signed=False,
        )
        assert answer is not None
        if answer.status in (404, 405):
            answer = yield Request("POST", OWN_LOGIN, json=said, headers=self.site_headers(), signed=False)
            assert answer is not None
        if answer.status in (404, 405):
            message = "There is no place to sign in at this address: is it that of an API server of Airflow?"
            raise ApiError(answer.status, UNKNOWN, message, {})
        if answer.status == 401:
            message = f"The server does not take this password for {self.username}."
            raise NotSignedIn(401, "not_authenticated", message, {})
        body = answer.checked().body
        if not isinstance(body, dict) or (token := _token(answer)) is None:
            raise NotSignedIn(401, "not_authenticated", "The server gave no token for this password.", {})
        self.refresh_token = body.get("refresh_token") or None
        self._take(token)

    def _take(self, token: str) -> None:
        self.token = token
        if self.changed is not None:
            self.changed(self)


def _sendable(token: str) -> str:
    """Return a token without what stands around it; raise NotSignedIn where it cannot be sent."""
    token = token.strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise NotSignedIn(401, "invalid_token", "The token has characters that no token has.", {})
    return token


def _token(answer: Response | None) -> str | None:
    """Return the token of an answer, None where it has none."""
    if answer is None or answer.status >= 300 or not isinstance(answer.body, dict):
        return None
    token = answer.body.get("access_token")
    return token if isinstance(token, str) else None


def expires_at(token: str) -> float:
    """Return when a token ends, in seconds since 1970, as it says itself; never where it says nothing."""
    try:
        payload = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(said["exp"])
    except (IndexError, KeyError, ValueError, TypeError):
        return float("inf")
