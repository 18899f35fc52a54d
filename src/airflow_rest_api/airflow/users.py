"""
The auth manager in use, the user that a token stands for there, and whether the user is still there.

Auth managers are known by name, so that one that is not in use need not be importable.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_rest_api.airflow import tokens
from airflow_rest_api.airflow.compat.accounts import simple_users
from airflow_rest_api.airflow.queries import ask, values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager

SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"

_QUESTIONS = (
    "is_authorized_",
    "_is_authorized",
    "batch_is_authorized_",
    "get_authorized_",
    "filter_authorized_",
    "_get_user_permissions",
)
"""What the methods by which an auth manager says who may do what begin with."""

CACHING = ("deserialize_user", "__cachetools_cachedmethods")
"""Where cachetools keeps what it has bound to an object and its cache (``cachetools._descriptor``)."""


def auth_manager() -> BaseAuthManager[Any]:
    """Return the auth manager in use."""
    from airflow.api_fastapi.app import get_auth_manager

    return get_auth_manager()


def is_a(manager: object, name: str) -> bool:
    """Return whether an auth manager is of the class of this name, or of one made from it."""
    return any(_name(cls) == name for cls in type(manager).__mro__)


def answers_as(manager: object, name: str) -> bool:
    """Return whether an auth manager is of the class of this name, and says who may do what as that does."""
    return is_a(manager, name) and not overrides(manager, name, *_QUESTIONS)


def overrides(manager: object, name: str, *questions: str) -> bool:
    """Return whether a class made from that of this name has a method of its own that begins so."""
    for cls in type(manager).__mro__:
        if _name(cls) == name:
            break
        if any(attribute.startswith(questions) for attribute in vars(cls)):
            return True
    return False


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


async def known_user(
    manager: Any, token: str, then: Callable[[Any, Mapping[str, Any]], Any] | None = None
) -> Any:
    """
    Return the user that an auth manager has for a token.

    Airflow's ``BaseAuthManager.get_user_from_token`` is a coroutine that asks the database on the event loop:
    whether the token was revoked, and Flask-AppBuilder's for the user. Where an auth manager has left it as
    it is, it runs in a thread here, but for what needs no database and may need the loop: the signature, with
    a key that may have to be fetched. An auth manager with another way is awaited as Airflow does.

    :param then: looks at the user and the token's claims in the same thread, as going to another takes
        longer; what it returns is returned in place of the user
    :raises jwt.InvalidTokenError: Airflow does not take the token
    :raises Unavailable: the database has no answer
    """
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager

    kind = type(manager)
    if getattr(kind, "get_user_from_token", None) is not BaseAuthManager.get_user_from_token:
        user = await manager.get_user_from_token(token)
        return user if then is None else await ask(then, user, tokens.unverified(token))
    claims: dict[str, Any] = await kind._get_token_validator().avalidated_claims(token)

    async def validated(token: str) -> dict[str, Any]:
        # A copy: some auth managers take out what they have read.
        return {**claims}

    view = copy.copy(manager)
    view._get_token_validator = lambda: SimpleNamespace(avalidated_claims=validated)
    if is_a(manager, FAB):
        # Its cache of users is made for one thread, and would hide for a while who is not active any more.
        view.cache = {}
        for bound in CACHING:
            vars(view).pop(bound, None)

    def found() -> Any:
        user = _at_once(view, token)
        return user if then is None else then(user, claims)

    return await ask(found)


def _at_once(view: Any, token: str) -> Any:
    """Return what the coroutine returns, which has nothing left to wait for."""
    coroutine = view.get_user_from_token(token)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("BaseAuthManager.get_user_from_token waits for something beyond the validator")


def still_there(manager: Any, user: Any) -> bool:
    """
    Return whether the user of a good token still exists and is active.

    Airflow does not look for the simple auth manager's users again, and for Flask-AppBuilder's not within
    `[fab] cache_ttl`: these are looked up in the database. Other auth managers are believed.
    """
    if is_a(manager, SIMPLE):
        return simple_user(manager, user.username) is not None or all_admins()
    if is_a(manager, FAB):
        return fab_column(user.id, "active") is True
    return True


def simple_user(manager: Any, name: str) -> Any:
    """Return the simple auth manager's user of a name, None where it has none."""
    return next((user for user in simple_users(manager) if user.username == name), None)


def all_admins() -> bool:
    """Return whether the simple auth manager takes everyone for an administrator."""
    from airflow.configuration import conf

    return bool(conf.getboolean("core", "simple_auth_manager_all_admins"))


def fab_column(identifier: Any, name: str) -> Any:
    """Return a column of a user, None where there is no such user."""
    from airflow.providers.fab.auth_manager.models import User

    found = values(select(getattr(User, name)).where(User.id == int(identifier)))
    return found[0] if found else None
