"""The guard: no request gets past it without a token of Airflow's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.responses import Response

from airflow_rest_api.airflow.tokens import expires_at
from airflow_rest_api.asgi import PAGES, STATIC, error_response, local_path, refuse_oversized
from airflow_rest_api.errors import AnotherUser, ApiError, InvalidToken, NotAuthenticated, WrongHeaderToken
from airflow_rest_api.security.caller import WAIT, Caller, Remembered, needs_no_database
from airflow_rest_api.security.header_token import FAILED, HeaderToken
from airflow_rest_api.security.sites import Use, cookie, cookie_counts, refuse_others
from airflow_rest_api.storage.transient import of_database

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_rest_api.airflow.auth import AirflowAuth
    from airflow_rest_api.security.header_token import HeaderUser

WITHOUT_HEADER_TOKEN = frozenset({"/", "/docs", "/redoc"})
"""The pages proper, as with the 1.x plugin: they have no data of Airflow's."""

STATE = "rest_api_caller"

EXPECTED = "x-rest-api-user"
"""As whom a request is to act, percent-encoded: the session of the page can be another user's by now."""


class Authenticator(Protocol):
    """Another way to ask for the token, for clients with a contract of their own."""

    def before_user(self, scope: Scope) -> Response | None:
        """Return the answer to a request that needs no user, or is turned away before one is looked for."""

    async def user(self, scope: Scope, host: AirflowAuth, cookie: str | None = None) -> object:
        """Return the user; or the answer, a Response, where there is none. A cookie counts without header."""

    def refusal(self, scope: Scope, error: ApiError) -> Response:
        """Return the answer to a request that the guard itself turns away."""


class Guard:
    """
    ASGI middleware around the whole app: unknown paths, documentation and wrong methods are behind it as
    well.

    It looks at the configured header token, the ``Authorization`` header and the session cookie, nothing
    else: what Airflow's own middlewares found out about the request does not count, but for a session whose
    cookie is good and has not all. The caller is left in the scope's state.

    :param authenticators: by path, what asks for the credentials there instead
    :param header_token: asked for everywhere but at the pages
    :param header_user: as whom a request acts that has a header token and nothing else
    :param sign_in: answers who opens a page and is not known; None from it leaves the answer as it is
    """

    def __init__(
        self,
        app: ASGIApp,
        host: AirflowAuth,
        authenticators: Mapping[str, Authenticator] | None = None,
        header_token: HeaderToken | None = None,
        header_user: HeaderUser | None = None,
        sign_in: Callable[[Scope], Response | None] | None = None,
    ) -> None:
        self.app = app
        self.host = host
        self.authenticators = authenticators or {}
        self.header_token = header_token or HeaderToken()
        self.header_user = header_user
        self.sign_in = sign_in
        self._remembered = Remembered()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "Not authenticated"})
            return
        authenticator = self.authenticators.get(local_path(scope))
        headers = Headers(scope=scope)
        try:
            refuse_oversized(scope)
            if self.header_user:
                await self.header_user.check()
            refuse_others(headers, self.host.trusted_origins, followed_link=_is_page(scope))
            user = await (
                self._through(authenticator, scope, headers) if authenticator else self._user(scope, headers)
            )
            if not isinstance(user, Response):
                _expect(headers, self.host.user_name(user))
        except Exception as error:
            found = error if isinstance(error, ApiError) else of_database(error)
            if found is None:
                raise
            user = authenticator.refusal(scope, found) if authenticator else self._refusal(scope, found)
        if isinstance(user, Response):
            await user(scope, receive, send)
            return
        alone = self._header_user(scope, headers)
        scope.setdefault("state", {})[STATE] = Caller(
            self.host,
            user,
            self._token(scope, headers, authenticator),
            self._session(scope, headers),
            alone.load if alone else None,
        )
        await self.app(scope, receive, send)

    async def _through(self, authenticator: Authenticator, scope: Scope, headers: Headers) -> object:
        if answer := authenticator.before_user(scope):
            return answer
        if alone := self._header_user(scope, headers):
            return await alone.load()
        return await authenticator.user(scope, self.host, self._cookie(scope, headers))

    async def _user(self, scope: Scope, headers: Headers) -> object:
        self._require_header_token(scope)
        if alone := self._header_user(scope, headers):
            return await alone.load()
        token = _bearer(headers) or self._cookie(scope, headers)
        if token is None:
            raise NotAuthenticated
        try:
            return await self._user_of(token, scope, self._session(scope, headers))
        except InvalidToken:
            self._remembered.forget(token)
            raise

    async def _user_of(self, token: str, scope: Scope, session: object) -> object:
        """Return the user of a token, as of a moment ago where the database is away and that is enough."""
        known = self._remembered.get(token) if needs_no_database(scope["method"], _path(scope)) else None
        expires = None if known is None else expires_at(token)
        if known is None or (expires is not None and time.time() >= expires):
            user = await self.host.user(token, session)
        else:
            try:
                user = await asyncio.wait_for(self.host.user(token, session), WAIT)
            except asyncio.TimeoutError:
                return known
            except Exception as error:
                if of_database(error) is None:
                    raise
                return known
        self._remembered.put(token, user)
        return user

    def _refusal(self, scope: Scope, error: ApiError) -> Response:
        """Return the error, or the way to the login for a page."""
        asks = error.status == 401 and self.sign_in is not None and _path(scope) in WITHOUT_HEADER_TOKEN
        return (self.sign_in(scope) if asks and self.sign_in else None) or error_response(error)

    def _require_header_token(self, scope: Scope) -> None:
        if not self.header_token.asked_for or self.header_token.is_carried(scope["headers"]):
            return
        path = _path(scope)
        if scope["method"] in ("GET", "HEAD") and (path in WITHOUT_HEADER_TOKEN or path.startswith(STATIC)):
            return
        raise WrongHeaderToken(FAILED)

    def _header_user(self, scope: Scope, headers: Headers) -> HeaderUser | None:
        """Return as whom to act where the header token is there and no other credentials, not even bad."""
        if (
            self.header_user
            and self.header_user.exists
            and self.header_token.is_carried(scope["headers"])
            and "authorization" not in headers
            and cookie(headers, self.host.session_cookie) is None
        ):
            return self.header_user
        return None

    def _token(self, scope: Scope, headers: Headers, authenticator: Authenticator | None) -> str | None:
        """Return the token by which the caller was known; those of an authenticator do not stay."""
        if authenticator is not None or self._header_user(scope, headers):
            return None
        return _bearer(headers) or self._cookie(scope, headers)

    def _cookie(self, scope: Scope, headers: Headers) -> str | None:
        """Return the token of a browser's session where the request may use it."""
        # Not other schemes: a browser adds Basic on its own for a proxy that has asked for it, and Airflow
        # takes the cookie beside it, too (airflow.api_fastapi.core_api.security.get_user).
        if _has_bearer_scheme(headers) or not cookie_counts(headers, scope["method"], self._use(scope)):
            return None
        return cookie(headers, self.host.session_cookie)

    def _session(self, scope: Scope, headers: Headers) -> object:
        """Return whom Airflow has found by the cookies of the request, where it may use them."""
        return None if self._cookie(scope, headers) is None else self.host.session_user(scope)

    def _use(self, scope: Scope) -> Use:
        if _is_page(scope):
            return Use.PAGE
        # Behind an authenticator, a GET may run something too.
        reads = scope["method"] in ("GET", "HEAD") and local_path(scope) not in self.authenticators
        return Use.READ if reads else Use.RUN


def _expect(headers: Headers, name: str) -> None:
    """Raise ApiError where a request is to act as another user."""
    expected = headers.get(EXPECTED)
    if expected is not None and unquote(expected) != name:
        raise AnotherUser(f"You are signed in as {name}, and this is to be done by another user.")


def _is_page(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and _path(scope) in PAGES


def _path(scope: Scope) -> str:
    return local_path(scope) or "/"


def _has_bearer_scheme(headers: Headers) -> bool:
    """Return whether a request brings a token of its own, be it none that can be read."""
    return headers.get("authorization", "").lower().split(maxsplit=1)[:1] == ["bearer"]


def _bearer(headers: Headers) -> str | None:
    token = headers.get("authorization", "").partition(" ")[2]
    return token.strip() or None if _has_bearer_scheme(headers) else None
