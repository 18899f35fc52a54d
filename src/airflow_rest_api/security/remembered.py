"""Who was let in a moment ago: for what we can answer while Airflow's database cannot be asked."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from airflow_rest_api.asgi import PAGES, STATIC

SECONDS = 60.0
"""For how long: a token that was taken back meanwhile sees nothing but the list of commands."""

MOST = 1000
"""Tokens; the one that came longest ago is forgotten first."""

WAIT = 1.0
"""Seconds that a request of somebody remembered waits for the database."""

COMMANDS = "/v2/commands"


class Remembered:
    """
    Users by their token, of which a hash is kept.

    A user is remembered when Airflow has said who they are, and forgotten when it does not any more. That the
    token has not expired is for whoever asks to see to.

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
