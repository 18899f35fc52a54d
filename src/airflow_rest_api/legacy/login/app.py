"""The app at `/api/v1/security`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from airflow_rest_api import __version__
from airflow_rest_api.admission import Admission
from airflow_rest_api.airflow.accounts import Accounts
from airflow_rest_api.airflow.auth import Airflow3
from airflow_rest_api.airflow.errors import InvalidToken, Revoked
from airflow_rest_api.airflow.tokens import claims_to_be_refresh_token
from airflow_rest_api.api.errors import LastResort
from airflow_rest_api.legacy import bearer
from airflow_rest_api.legacy.login.body import BadLogin, read_login
from airflow_rest_api.legacy.login.endpoint import ROOT_APP, NoEndpoint, token_endpoint
from airflow_rest_api.legacy.login.throttle import Throttle, TooMany
from airflow_rest_api.problem import Problem
from airflow_rest_api.security.body_deadline import BodyDeadline
from airflow_rest_api.security.client_address import Networks, client_address, parse
from airflow_rest_api.security.request_size import refuse_oversized
from airflow_rest_api.security.routes import Needs, check, needs
from airflow_rest_api.security.sites import refuse_others

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_rest_api.security.caller import Host
    from airflow_rest_api.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "/api/v1/security"
BODY_TIMEOUT = 30
"""Seconds in which the body of a login must have arrived."""
REFUSED = "Not authorized"
REFRESH_ONLY = "Only refresh tokens are allowed"

router = APIRouter(include_in_schema=False)


@dataclass
class Context:
    """The parts that the routes use."""

    settings: Settings
    host: Host
    accounts: Accounts
    throttle: Throttle
    proxies: Networks


class LoginApp(FastAPI):
    """An app that remembers in which one it is mounted: the auth manager's is there too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            scope.setdefault(ROOT_APP, scope.get("app"))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "Not authenticated"})
            return
        if scope["type"] == "http":
            try:
                refuse_oversized(scope)
            except Problem as problem:
                answer = JSONResponse({"message": str(problem)}, problem.status, problem.headers)
                await answer(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def create_login_app(
    settings: Settings,
    *,
    host: Host | None = None,
    accounts: Accounts | None = None,
    throttle: Throttle | None = None,
) -> FastAPI:
    """
    Return the app that gives out tokens.

    :param host: in place of the Airflow in whose API server we run, and so is `accounts`
    :param throttle: in place of one with the numbers of the settings
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
    app.state.login = Context(
        settings,
        host or Airflow3(),
        accounts or Accounts(),
        Throttle(settings.login_attempts, settings.login_lockout) if throttle is None else throttle,
        parse(settings.trusted_proxies),
    )
    app.include_router(router)
    for kind in (BadLogin, TooMany, Problem, HTTPException):
        app.add_exception_handler(kind, _answer)
    # Shorter than elsewhere: who sends it need not be anybody yet.
    app.add_middleware(BodyDeadline, seconds=min(settings.body_timeout, BODY_TIMEOUT))
    app.add_middleware(LastResort)
    app.add_middleware(Admission, limit=settings.max_requests)
    check(app.routes)
    return app


@router.post("/login")
@needs(Needs.PASSWORD)
async def login(request: Request) -> Response:
    """Give out tokens for a user name and a password."""
    context = _context(request)
    refuse_others(request.headers, context.host.trusted_origins())
    given = await read_login(request)
    if given.provider not in context.accounts.providers():
        raise BadLogin(400, f"Provider {given.provider} not supported")
    address = client_address(request.scope, context.proxies)
    user = None
    # Whose password it would be, not how the name is written: each spelling would have guesses of its own.
    context.throttle.refuse_address(address)
    identity = await context.accounts.identity(given.username) if given.can_be_right else given.username
    async with context.throttle.attempt(identity, address) as attempt:
        if given.can_be_right:
            endpoint = token_endpoint(request.scope, PREFIX)
            try:
                user = await context.accounts.sign_in(given.username, given.password, endpoint)
            except NoEndpoint as error:
                log.warning("Nobody can log in by name and password: %s", error)
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
    refuse_others(request.headers, context.host.trusted_origins())
    token = bearer.token_of(request.headers)
    if isinstance(token, Response):
        return token
    try:
        user = await context.accounts.refreshed(token)
    except InvalidToken as error:
        return await _not_refreshed(context.host, token, error)
    access_token = context.accounts.access_token(user, context.settings.access_token_lifetime)
    # Clients read the one name or the other: see the contract.
    return JSONResponse({"access_token": access_token, "refresh_token": access_token})


async def _not_refreshed(host: Host, token: str, error: InvalidToken) -> Response:
    """Return the answer to what is no refresh token, which may be a good or a bad access token."""
    if error.fault is None or isinstance(error, Revoked) or claims_to_be_refresh_token(token):
        return bearer.refusal(token, error)
    try:
        await host.user(token)
    except InvalidToken as found:
        return bearer.refusal(token, found)
    return bearer.message(422, REFRESH_ONLY)


def _context(request: Request) -> Context:
    return cast("Context", request.app.state.login)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer with an error in the shape of this contract."""
    if isinstance(error, TooMany):
        headers = {"Retry-After": str(error.retry_after)}
        return JSONResponse({"message": str(error)}, 429, headers)
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        return JSONResponse({"message": phrase}, error.status_code, dict(error.headers or {}))
    status: Any = getattr(error, "status", 500)
    return JSONResponse({"message": str(error)}, status, getattr(error, "headers", None))
