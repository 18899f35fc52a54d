"""The app at `/api/v1/security`: tokens for a user name and a password, and for a refresh token."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from airflow_rest_api import __version__, json_text
from airflow_rest_api.admission import Admission
from airflow_rest_api.airflow.auth import Accounts, AirflowAuth, folded
from airflow_rest_api.airflow.tokens import claims_to_be_refresh_token
from airflow_rest_api.api.handlers import LastResort
from airflow_rest_api.asgi import (
    LOGIN_MOUNT,
    BodyDeadline,
    client_address,
    media_type,
    refuse_oversized,
    root_path,
)
from airflow_rest_api.errors import ApiError, InvalidToken, Refusal, Revoked, Unavailable
from airflow_rest_api.legacy import credentials
from airflow_rest_api.legacy.login.throttle import Throttle, TooManyLogins
from airflow_rest_api.loop_share import LoopShare
from airflow_rest_api.security.audit import QuietQuery, quiet
from airflow_rest_api.security.routes import Needs, check, needs
from airflow_rest_api.security.sites import refuse_others
from airflow_rest_api.settings import Networks, networks
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_rest_api.settings import Settings

log = logging.getLogger(__name__)

BODY_TIMEOUT = 30
"""Seconds in which the body of a login must have arrived."""
REFUSED = "Not authorized"
REFRESH_ONLY = "Only refresh tokens are allowed"
ROOT_APP = "rest_api_root_app"
AUTH = "/auth"  # airflow.api_fastapi.app.AUTH_MANAGER_FASTAPI_APP_PREFIX without the API server's own
LIMIT = 65_536
NOT_JSON = "Request payload is not JSON"
MISSING = "Missing required parameter"
FALSE = frozenset({"", "false", "off", "0", "no"})

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Login:
    """What a client wants to sign in with."""

    username: str
    password: str
    provider: str
    refresh: bool

    def __repr__(self) -> str:
        return "Login(***)"

    @property
    def can_be_right(self) -> bool:
        """Whether user name and password are text; databases and hashes stumble over what is not."""
        return all(storable(text) == text for text in (self.username, self.password))


class NoEndpoint(Exception):
    """The auth manager gives out no tokens for a user name and a password."""


@dataclass
class LoginContext:
    """The parts that the routes use."""

    settings: Settings
    host: AirflowAuth
    accounts: Accounts
    throttle: Throttle
    proxies: Networks


class LoginApp(FastAPI):
    """An app that remembers in which one it is mounted: the auth manager's is there too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            scope["query_string"] = quiet(scope.get("query_string", b""))
            await send({"type": "websocket.close", "code": 1008, "reason": "Not authenticated"})
            return
        if scope["type"] == "http":
            scope.setdefault(ROOT_APP, scope.get("app"))
            try:
                refuse_oversized(scope)
            except ApiError as problem:
                answer = JSONResponse({"message": str(problem)}, problem.status, problem.headers)
                # No middleware of the app is around it.
                await QuietQuery(answer)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def create_login_app(
    settings: Settings,
    *,
    host: AirflowAuth | None = None,
    accounts: Accounts | None = None,
    throttle: Throttle | None = None,
    share: LoopShare | None = None,
) -> FastAPI:
    """
    Return the app that gives out tokens.

    :param host: in place of the Airflow in whose API server we run, and so is `accounts`
    :param throttle: in place of one with the numbers of the settings
    :param share: what requests have of the event loop
    :raises UndecidedRoute: a route does not say who may use it
    """
    app = LoginApp(
        title="Tokens for clients of the 1.x plugin",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.login = LoginContext(
        settings,
        host or AirflowAuth(),
        accounts or Accounts(),
        Throttle(settings.login_attempts, settings.login_lockout) if throttle is None else throttle,
        networks(settings.trusted_proxies),
    )
    app.include_router(router)
    for kind in (TooManyLogins, ApiError, HTTPException):
        app.add_exception_handler(kind, _answer)
    # Shorter than elsewhere: who sends it need not have signed in yet.
    app.add_middleware(BodyDeadline, seconds=min(settings.body_timeout, BODY_TIMEOUT))
    app.add_middleware(LastResort)
    app.add_middleware(Admission, limit=settings.max_requests, share=share)
    # What belongs into the body is sent in the query by mistake.
    app.add_middleware(QuietQuery)
    check(app.routes)
    return app


@router.post("/login")
@needs(Needs.PASSWORD)
async def login(request: Request) -> Response:
    """Give out tokens for a user name and a password."""
    context = _context(request)
    refuse_others(request.headers, context.host.trusted_origins)
    given = await read_login(request)
    if given.provider not in await context.accounts.providers():
        raise Refusal(f"Provider {given.provider} not supported")
    address = client_address(request.scope, context.proxies)
    user = None
    # Whose password it would be, not how the name is written: each spelling would have guesses of its own.
    context.throttle.refuse_address(address)
    name = folded(given.username)
    identity = await context.accounts.identity(given.username) if given.can_be_right else name
    async with context.throttle.attempt(identity, address, name=name) as attempt:
        if given.can_be_right and not attempt.spent:
            endpoint = token_endpoint(request.scope)
            try:
                user = await context.accounts.sign_in(given.username, given.password, endpoint)
            except NoEndpoint as error:
                log.warning("Logins by name and password are not possible: %s", error)
        attempt.right = user is not None
    if user is None:
        # Without the name: people type their password into the wrong field.
        log.warning("A wrong user name or password from %s", address)
        return JSONResponse({"message": REFUSED}, 401)
    settings = context.settings
    body = {"access_token": context.accounts.access_token(user, settings.access_token_lifetime)}
    if given.refresh:
        body["refresh_token"] = await context.accounts.refresh_token(user, settings.refresh_token_lifetime)
    return JSONResponse(body)


@router.post("/refresh")
@needs(Needs.REFRESH_TOKEN)
async def refresh(request: Request) -> Response:
    """Give out an access token for a refresh token."""
    context = _context(request)
    refuse_others(request.headers, context.host.trusted_origins)
    token = credentials.token_of(request.headers)
    if isinstance(token, Response):
        return token
    try:
        user = await context.accounts.refreshed(token)
    except InvalidToken as error:
        return await _not_refreshed(context.host, token, error)
    access_token = context.accounts.access_token(user, context.settings.access_token_lifetime)
    # Clients read the one name or the other: see the contract.
    return JSONResponse({"access_token": access_token, "refresh_token": access_token})


async def _not_refreshed(host: AirflowAuth, token: str, error: InvalidToken) -> Response:
    """Return the answer to what is no refresh token, which may be a good or a bad access token."""
    if error.fault is None or isinstance(error, Revoked) or claims_to_be_refresh_token(token):
        return credentials.token_refusal(token, error)
    try:
        await host.user(token)
    except InvalidToken as found:
        return credentials.token_refusal(token, found)
    return credentials.message(422, REFRESH_ONLY)


def _context(request: Request) -> LoginContext:
    return cast("LoginContext", request.app.state.login)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer with an error in the shape of this contract."""
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        return JSONResponse({"message": phrase}, error.status_code, dict(error.headers or {}))
    assert isinstance(error, (ApiError, TooManyLogins))
    if isinstance(error, Unavailable):
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"message": error.message}, error.status, error.headers)


async def read_login(request: Request) -> Login:
    """Return the login in a request; raise Refusal where there is none, in the contract's order."""
    if not _is_json(request.headers.get("content-type", "")):
        raise Refusal(NOT_JSON)
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LIMIT:
            raise Refusal("Request payload is too large", 413)
    try:
        document = json_text.loads(bytes(content))
    except ValueError:
        raise Refusal(NOT_JSON) from None
    if not isinstance(document, dict):
        raise Refusal("Request payload is not a JSON object")
    given = [document.get(name) for name in ("username", "password", "provider")]
    if not all(given):
        raise Refusal(MISSING)
    texts = [value for value in given if isinstance(value, str)]
    if len(texts) < len(given):
        raise Refusal("A parameter has the wrong type")
    username, password, provider = texts
    return Login(username, password, provider, _is_true(document.get("refresh")))


def _is_json(content_type: str) -> bool:
    kind = media_type(content_type)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _is_true(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in FALSE
    return bool(value)


def token_endpoint(scope: Scope) -> Callable[[str, str], Awaitable[str | None]]:
    """
    Return a function that asks `POST /auth/token`.

    The request goes to the app that the API server has mounted for its auth manager, never to an address:
    a server does not reliably know its own.

    :param scope: of the request that came in, whose client the endpoint gets to see
    """

    async def ask(username: str, password: str) -> str | None:
        import httpx

        app = _auth_app(scope.get(ROOT_APP))
        root = root_path(scope).removesuffix(LOGIN_MOUNT) + AUTH
        client = tuple(scope.get("client") or ("127.0.0.1", 0))
        transport = httpx.ASGITransport(app, root_path=root, client=client, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
            answer = await session.post(f"{root}/token", json={"username": username, "password": password})
        # Keycloak's says 403 of a wrong password.
        if answer.status_code in (401, 403):
            return None
        token = answer.json().get("access_token") if answer.is_success else None
        if not token:
            raise NoEndpoint(f"POST {AUTH}/token answered {answer.status_code}")
        return str(token)

    return ask


def _auth_app(root: Any) -> Any:
    for route in getattr(root, "routes", ()):
        if getattr(route, "path", None) == AUTH and hasattr(route, "app"):
            return route.app
    raise NoEndpoint(f"the auth manager has no {AUTH}")
