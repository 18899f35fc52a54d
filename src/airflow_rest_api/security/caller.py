"""The user behind a request, and who was let in a moment ago."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.airflow.tokens import expires_at
from airflow_rest_api.asgi import PAGES, STATIC

if TYPE_CHECKING:
    from airflow_rest_api.airflow.auth import AirflowAuth
    from airflow_rest_api.airflow.permissions import Permissions

SECONDS = 60.0
"""For how long: a token that was taken back meanwhile sees nothing but the list of commands."""

MOST = 1000
"""Tokens; the one that came longest ago is forgotten first."""

WAIT = 1.0
"""Seconds that a request of a remembered user waits for the database."""

COMMANDS = "/v2/commands"


class Remembered:
    """
    Users by their token, of which a hash is kept.

    A user is remembered when Airflow has said who they are, and forgotten when it does not any more. That the
    token has not expired is for the caller to see to.

    :param clock: gives seconds, which only grow
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._users: OrderedDict[bytes, tuple[float, Any]] = OrderedDict()

    def put(self, token: str, user: Any) -> None:
        """Airflow said just now that this is the user."""
        key = _key(token)
        self._users[key] = self._clock(), user
        self._users.move_to_end(key)
        while len(self._users) > MOST:
            self._users.popitem(last=False)

    def get(self, token: str) -> Any:
        """Return the user of a token, None where Airflow has not named one recently."""
        key = _key(token)
        since, user = self._users.get(key, (0.0, None))
        if user is not None and self._clock() - since >= SECONDS:
            del self._users[key]
            return None
        return user

    def forget(self, token: str) -> None:
        """Airflow does not take the token any more."""
        self._users.pop(_key(token), None)

    def __len__(self) -> int:
        """Return how many are remembered, those included whose time is over."""
        return len(self._users)


def needs_no_database(method: str, path: str) -> bool:
    """Return whether a request is answered from memory: the page, its files, and the list of commands."""
    return method in ("GET", "HEAD") and (
        path in PAGES or path == COMMANDS or path.startswith((STATIC, f"{COMMANDS}/"))
    )


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


T = TypeVar("T")


class Caller:
    """
    An authenticated user, for the time of one request.

    :param token: by which they were known, where it was one
    :param session: whom Airflow has found by the cookies that the token came with
    :param load: finds them again who were known by no token of theirs; raises ApiError where they are gone
    """

    def __init__(
        self,
        host: AirflowAuth,
        user: Any,
        token: str | None = None,
        session: Any = None,
        load: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self._host = host
        self._user = user
        self._token = token
        self._session = session
        self._load = load
        self._admin: bool | None = None
        self._permissions: Permissions | None = None
        self.name = host.user_name(user)
        self.address: str | None = None
        """Where the request came from, for the records."""

    def expires_at(self) -> float | None:
        """Return when the caller's token ends, in seconds since 1970; None where there is none."""
        return None if self._token is None else expires_at(self._token)

    async def again(self) -> Caller:
        """
        Return the caller as they are now, for what lasts longer than a request.

        :raises InvalidToken: their token does not count any more
        :raises HeaderUserGone: the user of the header token is gone
        """
        user = self._user
        if self._token is not None:
            user = await self._host.user(self._token, self._session)
        elif self._load is not None:
            user = await self._load()
        caller = Caller(self._host, user, self._token, self._session, self._load)
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
