"""Users of Airflow's auth manager: signed in, known by a token or a name, and what they may."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import func, select

from airflow_rest_api.airflow import tokens, users
from airflow_rest_api.airflow.compat import accounts
from airflow_rest_api.airflow.queries import ask, ask_for_login, rows, values
from airflow_rest_api.airflow.users import FAB, SIMPLE, is_a, known_user
from airflow_rest_api.errors import InvalidToken, NoUser, Revoked
from airflow_rest_api.storage.transient import away

if TYPE_CHECKING:
    from starlette.types import Scope

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

LONGEST_FOLDED = 1000
"""Characters of a name; no user has more, and to put accents in order takes time with the square of them."""

AUTH_LDAP = 2  # flask_appbuilder.const.AUTH_LDAP

Result = TypeVar("Result")
TokenEndpoint = Callable[[str, str], Awaitable[str | None]]
"""Asks an auth manager's own `/auth/token` for an access token; None for a wrong password."""


class AirflowAuth:
    """The users of the Airflow in whose API server we run, and what they may."""

    session_cookie = SESSION_COOKIE

    async def user(self, token: str, session: Any = None) -> Any:
        """
        Return the user that an access token stands for.

        Beyond what Airflow looks at: the token can be revoked (it has a ``jti``), and the user still exists.

        :param session: the user whom Airflow has found by the cookies that the token came with; counts where
            the token is good and not enough for an auth manager that has further cookies, as Keycloak's
        :raises InvalidToken: a kind of it that says why
        :raises Unavailable: the database has no answer
        """
        from jwt import InvalidTokenError

        manager = users.auth_manager()
        try:
            user = await known_user(manager, token, partial(_taken, manager, session))
        except InvalidTokenError as error:
            raise tokens.refusal(token, error) from None
        except RecursionError:
            # Of the token, which may be nested so deeply; else it is no fault of the client's.
            try:
                tokens.unverified(token)
            except InvalidTokenError as error:
                raise tokens.refusal(token, error) from None
            raise
        if user is None:
            raise NoUser("The token's user does not exist or is not active.")
        return user

    def session_user(self, scope: Scope) -> Any:
        """Return the user whom Airflow has found by the cookies of a request, None where it has not."""
        return accounts.session_user(scope.get("state") or {})

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

        # Before Airflow 3.2 nothing is a list of one empty text.
        return frozenset(filter(None, conf.getlist("api", "access_control_allow_origins", fallback=[]) or ()))


class NoNames(Exception):
    """The auth manager in use cannot find a user by name; the message is meant for the server's log."""


class Accounts:
    """The users of the auth manager in use."""

    async def providers(self) -> tuple[str, ...]:
        """Return what `provider` may be in a login of the 1.x plugin's contract."""
        manager = users.auth_manager()
        if not is_a(manager, FAB):
            return ("db",)
        config = accounts.fab_config(manager) or await ask_for_login(_fab_config, manager)
        return ("db", "ldap") if config.get("AUTH_TYPE") == AUTH_LDAP else ("db",)

    async def sign_in(self, username: str, password: str, endpoint: TokenEndpoint) -> Any:
        """
        Return the user whose name and password these are, None where there is none.

        The simple auth manager and Flask-AppBuilder are asked in the words of their own login services, any
        other auth manager at its address.
        """
        manager = users.auth_manager()
        if is_a(manager, SIMPLE):
            token = await ask_for_login(_simple_login, username, password)
        elif is_a(manager, FAB):
            token = await ask_for_login(_fab_login, manager, username, password)
        else:
            token = await endpoint(username, password)
        return None if token is None else await known_user(manager, token)

    async def identity(self, username: str) -> str:
        """
        Return one text for all names by which the auth manager finds the same user.

        Flask-AppBuilder takes any case, what else the database finds equal (on MySQL accents and blanks at
        the end), and the e-mail address. Of other auth managers nothing is known, nor of a name without a
        user: there, names that look the same are one.
        """
        manager = users.auth_manager()
        if is_a(manager, FAB):
            found = await ask(_fab_user_found_by, username)
            if found is not None:
                return f"\0{found}"
        return folded(username)

    def access_token(self, user: Any, seconds: int) -> str:
        """Return an access token as Airflow itself issues them."""
        return accounts.access_token(users.auth_manager(), user, seconds)

    async def refresh_token(self, user: Any, seconds: int) -> str:
        """Return a refresh token for a user."""
        manager = users.auth_manager()
        claims = accounts.user_claims(manager, user)
        subject = str(claims.get("sub", ""))
        credential = await ask(_credential, manager, subject)
        return tokens.issue_refresh_token(subject, claims, credential, seconds)

    async def refreshed(self, token: str) -> Any:
        """
        Return the user of a refresh token, as they are today.

        :raises InvalidToken: the token is none, or no longer one
        :raises NoUser: the user is gone, deactivated, has another password, or has to sign in elsewhere again
        """
        from jwt import InvalidTokenError

        try:
            claims = tokens.read_refresh_token(token)
        except InvalidTokenError as error:
            raise InvalidToken("The refresh token is not valid.", error) from None
        if await ask(accounts.is_revoked, claims["jti"]):
            raise Revoked("The token has been revoked.")
        manager = users.auth_manager()
        return await ask(_user_of, manager, claims)

    async def named(self, name: str) -> Any:
        """
        Return the user of a name, None where there is none or they are not active.

        :raises NoNames: the auth manager knows users by their tokens only
        """
        manager: Any = users.auth_manager()
        if is_a(manager, SIMPLE):
            return users.simple_user(manager, name)
        if is_a(manager, FAB):
            return await ask(_fab_user_named, manager, name)
        raise NoNames(
            f"The auth manager {type(manager).__name__} cannot find a user by name; only the simple auth "
            "manager and Flask-AppBuilder can."
        )


def _taken(manager: Any, session: Any, user: Any, claims: Mapping[str, Any]) -> Any:
    """Return the user of a token that Airflow takes and we take, None where they are not there any more."""
    tokens.check(claims)
    if user is None and not (is_a(manager, SIMPLE) or is_a(manager, FAB)):
        user = session
    return user if user is not None and users.still_there(manager, user) else None


def _fab_admin_role(manager: Any) -> str:
    return str(accounts.fab_config(manager).get("AUTH_ROLE_ADMIN") or FAB_ADMIN)


@cache
def _fab_config(manager: Any) -> Mapping[str, Any]:
    """Return the configuration of an application that is made for it, which takes a while: once is enough."""
    with accounts.fab_application(manager) as app:
        return dict(app.config)


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


def _user_of(manager: Any, claims: Mapping[str, Any]) -> Any:
    subject = claims["sub"]
    gone = NoUser("The token's user does not exist, is not active, or has another password.")
    if is_a(manager, SIMPLE):
        user = _simple_user(manager, subject)
    else:
        try:
            user = manager.deserialize_user(claims["user"])
        except (ValueError, KeyError):
            raise gone from None
    if user is None or not users.still_there(manager, user):
        raise gone
    if claims.get("credential") != tokens.fingerprint(subject, _credential(manager, subject)):
        raise gone
    # Auth managers whose users are somewhere else ask there now.
    if (user := accounts.refreshed(manager, user)) is None:
        raise gone
    return user


def _credential(manager: Any, subject: str) -> str:
    """Return what changes with a user's password; nothing where the auth manager keeps none."""
    if is_a(manager, SIMPLE) and not users.all_admins():
        return str(accounts.simple_passwords(manager).get(subject, ""))
    if is_a(manager, FAB):
        return str(users.fab_column(subject, "password") or "")
    return ""


def _simple_user(manager: Any, name: str) -> Any:
    """Return a user with the role of today."""
    found = users.simple_user(manager, name)
    if found is None and users.all_admins():
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        return SimpleAuthManagerUser(username=name, role="ADMIN")
    return found


def _simple_login(username: str, password: str) -> str | None:
    from airflow.api_fastapi.auth.managers.simple.datamodels.login import LoginBody
    from airflow.api_fastapi.auth.managers.simple.services.login import SimpleAuthManagerLogin

    body = LoginBody(username=username, password=password)
    return _unless_refused(lambda: SimpleAuthManagerLogin.create_token(body))


def _fab_login(manager: Any, username: str, password: str) -> str | None:
    from airflow import settings

    try:
        return _unless_refused(lambda: accounts.fab_login(manager, username, password))
    finally:
        # This thread's session, as Airflow does after each request of the auth manager's app.
        if settings.Session:
            settings.Session.remove()


def _unless_refused(login: Callable[[], Result]) -> Result | None:
    try:
        return login()
    except Exception as error:
        # A HTTPException of FastAPI.
        if getattr(error, "status_code", None) == 401:
            return None
        raise


def _fab_user_named(manager: Any, name: str) -> Any:
    from airflow.providers.fab.auth_manager.models import User

    found = rows(select(User.id, User.username, User.active).where(User.username == name))
    # SQLite finds the name in any case.
    if not found or found[0].username != name or found[0].active is not True:
        return None
    return manager.deserialize_user({"sub": str(found[0].id)})


def _fab_user_found_by(name: str) -> int | None:
    """Return the id of the user of a name at a login: FabAirflowSecurityManagerOverride.auth_user_db."""
    from airflow.providers.fab.auth_manager.models import User

    # Both are asked, or the time would tell whether there is a user of this name.
    found = [
        *values(select(User.id).where(func.lower(User.username) == func.lower(name)).limit(1)),
        *values(select(User.id).where(User.email == name).limit(1)),
    ]
    return int(found[0]) if found else None


def folded(name: str) -> str:
    """Return a name without what databases and directories pass over: case, accents, width, blanks around."""
    if len(name) > LONGEST_FOLDED:
        return name
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return " ".join("".join(sign for sign in apart if not unicodedata.combining(sign)).split())
