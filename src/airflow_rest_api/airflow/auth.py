"""Users and permissions, through Airflow's auth manager."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import tokens, users
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.airflow.users import FAB, SIMPLE, is_a, known_user
from airflow_rest_api.errors import NoUser
from airflow_rest_api.storage.transient import away

if TYPE_CHECKING:
    from airflow_rest_api.airflow.permissions import Permissions

log = logging.getLogger(__name__)

SESSION_COOKIE = "_token"  # airflow.api_fastapi.auth.managers.base_auth_manager.COOKIE_NAME_JWT_TOKEN

LOGIN = "/api/v2/auth/login"
"""Leads to the login of whichever auth manager, and from there to `next`; below Airflow's own path."""

SIMPLE_ADMIN = "ADMIN"
FAB_ADMIN = "Admin"  # Flask-AppBuilder's default of AUTH_ROLE_ADMIN
VIEW = "REST API"

# What only an administrator holds all of, asked of an auth manager whose roles we do not know.
ADMINISTERS: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    ("is_authorized_configuration", ("PUT",), {}),
    ("is_authorized_connection", ("POST", "PUT", "DELETE"), {}),
    ("is_authorized_variable", ("POST", "PUT", "DELETE"), {}),
    ("is_authorized_pool", ("POST", "PUT", "DELETE"), {}),
    ("is_authorized_dag", ("POST", "PUT", "DELETE"), {}),
    ("is_authorized_asset", ("POST", "PUT", "DELETE"), {}),
    ("is_authorized_custom_view", ("POST", "PUT", "DELETE"), {"resource_name": VIEW}),
)


class AirflowAuth:
    """The users of the Airflow in whose API server we run, and what they may."""

    session_cookie = SESSION_COOKIE

    async def user(self, token: str) -> Any:
        """
        Return the user that an access token stands for.

        Beyond what Airflow looks at: the token can be revoked (it has a ``jti``), and the user still exists.

        :raises InvalidToken: a kind of it that says why
        :raises Unavailable: the database has no answer
        """
        from jwt import InvalidTokenError

        manager = users.auth_manager()
        try:
            user = await known_user(manager, token)
            tokens.check(token)
        except InvalidTokenError as error:
            raise tokens.refusal(token, error) from None
        if user is None or not await users.is_still_there(manager, user):
            raise NoUser("The token's user does not exist or is not active.")
        return user

    def user_name(self, user: Any) -> str:
        """Return the name by which operations are recorded as this user's."""
        return str(user.get_name())

    async def is_admin(self, user: Any) -> bool:
        """
        Return whether a user may do everything.

        The simple auth manager: the role ADMIN. Flask-AppBuilder: the role that its configuration calls the
        administrators' (``AUTH_ROLE_ADMIN``). Any other: a user who may change the configuration, and
        create, change and delete every connection, variable, pool, DAG and asset, and the view "REST API";
        an auth manager that fails at the question has answered no.
        """
        manager = users.auth_manager()
        if is_a(manager, SIMPLE):
            return str(user.role or "").upper() == SIMPLE_ADMIN
        if is_a(manager, FAB):
            return _fab_admin_role(manager) in {role.name for role in user.roles}
        return await ask(_administers, manager, user)

    def permissions(self, user: Any) -> Permissions:
        """Return what a user may, by the word of the auth manager."""
        from airflow_rest_api.airflow.permissions import Permissions

        return Permissions(users.auth_manager(), user)

    def trusted_origins(self) -> frozenset[str]:
        """Return the origins whose pages may call us too: ``[api] access_control_allow_origins``."""
        from airflow.configuration import conf

        return frozenset(conf.getlist("api", "access_control_allow_origins", fallback=[]) or ())


def _fab_admin_role(manager: Any) -> str:
    config = getattr(getattr(manager, "flask_app", None), "config", None) or {}
    return str(config.get("AUTH_ROLE_ADMIN") or FAB_ADMIN)


def _administers(manager: Any, user: Any) -> bool:
    try:
        return all(
            getattr(manager, question)(method=method, user=user, **details) is True
            for question, methods, details in ADMINISTERS
            for method in methods
        )
    except Exception as error:
        if away(error):
            raise
        log.exception("The auth manager could not say whether %s is an administrator", type(manager).__name__)
        return False
