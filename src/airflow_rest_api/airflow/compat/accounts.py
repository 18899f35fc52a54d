"""
Users, passwords, tokens and logins of the auth managers.

The simple auth manager is part of Airflow and differs with it. Flask-AppBuilder's comes with a provider, of
which several versions fit an Airflow: there it is looked at what the provider has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_1_PLUS, AIRFLOW_V_3_2_PLUS

TOKENS_HAVE_ID = AIRFLOW_V_3_1_PLUS
"""Whether each token that Airflow issues has a `jti`, by which it could be taken back."""

_found: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""The application of each auth manager that does not keep it itself."""

DETAILS_HAVE_TEAM = AIRFLOW_V_3_1_PLUS
"""Whether an auth manager is told the team of an object (`team_name` of `resource_details`)."""


def multi_team() -> bool:
    """Return whether objects belong to teams, which versions before 3.1 do not know."""
    from airflow.configuration import conf

    return bool(conf.getboolean("core", "multi_team", fallback=False))


def simple_users(manager: Any) -> list[Any]:
    """Return the users of the simple auth manager, each with `username` and `role`."""
    if AIRFLOW_V_3_2_PLUS:
        return list(manager.get_users())
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return [SimpleAuthManagerUser(**user) for user in manager.get_users()]


def simple_passwords(manager: Any) -> Mapping[str, str]:
    """Return the passwords of the simple auth manager's users, by name."""
    passwords: Mapping[str, str]
    passwords = manager.get_passwords() if AIRFLOW_V_3_2_PLUS else manager.get_passwords(manager.get_users())
    return passwords


def access_token(manager: Any, user: Any, seconds: int) -> str:
    """
    Return an access token for a client that sends no cookies, as the auth manager issues it.

    Keycloak's has a way of its own for them: from Airflow 3.3 on, the token of a session lacks those of
    Keycloak, which are cookies beside it (`KeycloakAuthManager.generate_api_jwt`).
    """
    issue = getattr(manager, "generate_api_jwt", manager.generate_jwt)
    return str(issue(user, expiration_time_in_seconds=seconds))


ISSUERS = frozenset({"jti", "iss", "aud", "nbf", "exp", "iat"})
"""Claims that Airflow itself puts into a token: `airflow.api_fastapi.auth.tokens.JWTGenerator.generate`."""


def user_claims(manager: Any, user: Any) -> dict[str, Any]:
    """Return the claims from which the auth manager makes a user again, without any cookie."""
    claims = dict(manager.serialize_user(user))
    if hasattr(manager, "generate_api_jwt"):
        from jwt import decode

        issued = decode(access_token(manager, user, 1), options={"verify_signature": False})
        claims.update((name, value) for name, value in issued.items() if name not in ISSUERS)
    return claims


def refreshed(manager: Any, user: Any) -> Any:
    """
    Return a user as the auth manager has them now, where it looks elsewhere and has something new.

    None where their session there is over, for which Airflow has an exception since 3.1.7. Before 3.1.4 an
    auth manager need not know the question.
    """
    ask = getattr(manager, "refresh_user", None)
    if ask is None:
        return user
    try:
        return ask(user=user) or user
    except Exception as error:
        if type(error).__name__ != "AuthManagerRefreshTokenExpiredException":
            raise
        return None


def session_user(state: Mapping[str, Any]) -> Any:
    """
    Return the user whom a middleware of Airflow's or of its auth manager has found by a request's cookies.

    None where there is none, or where nothing shows that it was one of these
    (`airflow.api_fastapi.core_api.security.get_user`, since Airflow 3.2).

    :param state: that of the request's scope
    """
    from airflow.api_fastapi.core_api import security

    marker = getattr(security, "USER_INJECTED_BY_TRUSTED_MIDDLEWARE", None)
    return state.get("user") if marker is not None and state.get("user_authenticated_via") is marker else None


def is_revoked(identifier: str) -> bool:
    """Return whether a token of this `jti` was taken back; Airflow remembers them since 3.2."""
    if not AIRFLOW_V_3_2_PLUS:
        return False
    from airflow.models.revoked_token import RevokedToken

    return bool(RevokedToken.is_revoked(identifier))


def authorized_names(manager: Any, question: str) -> Callable[..., Any] | None:
    """
    Return the auth manager's own way to list what a user may see of a kind.

    :param question: `get_authorized_…`, which all have for DAGs, and for the other kinds since Airflow 3.2
    :return: None where each object has to be asked about by itself
    """
    ask: Callable[..., Any] | None = getattr(manager, question, None)
    return ask


def fab_config(manager: Any) -> Mapping[str, Any]:
    """Return the configuration of Flask-AppBuilder's application; empty where there is none yet."""
    app = _existing_app(manager)
    config: Mapping[str, Any] = getattr(app, "config", None) or {}
    return config


@contextmanager
def fab_application(manager: Any) -> Iterator[Any]:
    """Have the application of Flask-AppBuilder current in this thread, as its security manager needs it."""
    app = _existing_app(manager)
    if app is None and hasattr(manager, "flask_app"):
        # Since 3.6 the provider makes it where the API server has not, and keeps it.
        from airflow.providers.fab.auth_manager.api_fastapi.routes import login

        make: Callable[[], Any] = login._get_flask_app
        app = make()
    if app is not None:
        with app.app_context():
            yield app
        return
    # The API server serves without the auth manager's own pages.
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from flask import current_app

    with get_application_builder():
        yield current_app


def fab_login(manager: Any, username: str, password: str) -> str:
    """
    Return an access token for a user of Flask-AppBuilder, by its provider's own service.

    :raises fastapi.HTTPException: as that does, with 401 where name or password are wrong
    """
    from airflow.providers.fab.auth_manager.api_fastapi.services.login import FABAuthManagerLogin

    login: Any = FABAuthManagerLogin
    body: Any = {"username": username, "password": password}
    with fab_application(manager) as app:
        if "headers" in signature(login.create_token).parameters:
            answer = login.create_token(headers={}, body=body)
        else:
            # Before 2.5 or so: a model, and a security manager that looks at the request for the session.
            from airflow.providers.fab.auth_manager.api_fastapi.datamodels import login as datamodels

            models: Any = datamodels
            with app.test_request_context():
                answer = login.create_token(body=models.LoginBody(**body))
    return str(answer.access_token)


def _existing_app(manager: Any) -> Any:
    """Return the application that the API server has made for the auth manager, None where it has not."""
    if (app := getattr(manager, "flask_app", None)) is not None:
        # Since 3.6 of the provider.
        return app
    builder = getattr(manager, "appbuilder", None)
    if builder is not None and "app" in vars(builder):
        # Flask-AppBuilder 4.
        return builder.app
    if manager not in _found:
        from airflow.api_fastapi import app as api

        mounted = _mounted_flask(getattr(api, "app", None))
        if mounted is None:
            return None
        _found[manager] = mounted
    return _found[manager]


def _mounted_flask(app: Any, depth: int = 4) -> Any:
    """Return the first application of Flask that is mounted below an application, however it is wrapped."""
    from flask import Flask

    if app is None or isinstance(app, Flask) or not depth:
        return app if isinstance(app, Flask) else None
    mounted = [route.app for route in getattr(app, "routes", ()) if hasattr(route, "app")]
    wrapped = [app.app] if hasattr(app, "app") else []
    return next(filter(None, (_mounted_flask(one, depth - 1) for one in (*wrapped, *mounted))), None)
