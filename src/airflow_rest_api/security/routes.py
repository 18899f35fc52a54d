"""Every route says who may use it; an app with one that does not say is not built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, TypeVar

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_MARK = "__rest_api_needs__"


class Needs(str, Enum):
    """What a route needs beyond a token, which all need but those that give them out."""

    TOKEN = "a token"
    COMMAND = "a token of a user who may run the command on its objects"
    OPERATION = "a token of the operation's user, of one who may do the same, or of an administrator"
    SERVICE = "a token of a user with the power Service, and with what the component's arguments need"
    ADMINISTRATION = "a token of an administrator, or of a user with the power Administration"
    PASSWORD = "no token yet, but a user name and a password"
    REFRESH_TOKEN = "a refresh token, which nothing else takes"


class UndecidedRoute(RuntimeError):
    """A route without a decision."""


def needs(decision: Needs) -> Callable[[Endpoint], Endpoint]:
    """Record what an endpoint needs; the endpoint itself sees to everything beyond the token."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, decision)
        return endpoint

    return mark


def decision(route: Any) -> Needs | None:
    """Return what a route needs, None when that is not decided. A mounted app cannot be."""
    return getattr(getattr(route, "endpoint", None), _MARK, None)


def leaves(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield every route, those of mounted apps included; a mount without routes stands for itself."""
    for route in routes:
        inner = getattr(route, "routes", None)
        if inner:
            yield from leaves(inner)
        else:
            yield route


def check(routes: Iterable[Any]) -> None:
    """Raise UndecidedRoute when a route has no decision."""
    for route in leaves(routes):
        if decision(route) is None:
            raise UndecidedRoute(
                f"no decision who may use {getattr(route, 'path', route)!r}: mark it with @needs"
            )
