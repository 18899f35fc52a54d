"""The user behind a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.airflow.tokens import expires_at

if TYPE_CHECKING:
    from airflow_rest_api.security.decision import Permissions

T = TypeVar("T")


class Host(Protocol):
    """What is asked of the Airflow that hosts us."""

    session_cookie: str

    async def user(self, token: str) -> Any:
        """Return the user that a token stands for; raise InvalidToken."""

    def user_name(self, user: Any) -> str:
        """Return the name by which operations are recorded as this user's."""

    async def is_admin(self, user: Any) -> bool:
        """Return whether a user may do everything."""

    def permissions(self, user: Any) -> Permissions:
        """Return what a user may."""

    def trusted_origins(self) -> frozenset[str]:
        """Return the other origins whose pages may call this API server."""


class Caller:
    """
    An authenticated user, for the time of one request.

    :param token: by which they were known, where it was one
    """

    def __init__(self, host: Host, user: Any, token: str | None = None) -> None:
        self._host = host
        self._user = user
        self._token = token
        self._admin: bool | None = None
        self._permissions: Permissions | None = None
        self.name = host.user_name(user)
        self.address: str | None = None
        """Where the request came from, for the records."""

    def expires_at(self) -> float | None:
        """Return when the caller's token ends, in seconds since 1970; None where there is none."""
        return None if self._token is None else expires_at(self._token)

    async def again(self) -> Caller:
        """Return the caller as they are now, for what lasts longer than a request; raise InvalidToken."""
        user = self._user if self._token is None else await self._host.user(self._token)
        caller = Caller(self._host, user, self._token)
        caller.address = self.address
        return caller

    async def is_admin(self) -> bool:
        """Return whether the caller may do everything; the auth manager is asked once."""
        if self._admin is None:
            self._admin = await self._host.is_admin(self._user)
        return self._admin

    async def ask(self, question: Callable[[Permissions], T]) -> T:
        """Return what a function finds out from the caller's permissions; each answer is asked for once."""
        if self._permissions is None:
            self._permissions = self._host.permissions(self._user)
        if self._permissions.blocking:
            return await ask(question, self._permissions)
        return question(self._permissions)
