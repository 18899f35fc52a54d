"""The shared header token: every client may be asked for it, and it alone may act as one user."""

from __future__ import annotations

import contextlib
import hmac
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_rest_api.airflow.auth import Accounts, NoNames
from airflow_rest_api.errors import HeaderUserGone, Misconfigured

log = logging.getLogger(__name__)

OPTION = "[rest_api_plugin] http_token_username"


class HeaderUser:
    """
    The user of the option ``http_token_username``.

    :param name: of the user; empty: there is none, and a header token alone is not enough
    """

    def __init__(self, accounts: Accounts, name: str = "") -> None:
        self._accounts = accounts
        self._name = name
        self._found = not name

    @property
    def exists(self) -> bool:
        """Whether there is such a user at all."""
        return bool(self._name)

    async def begin(self) -> None:
        """Look for the user when the server starts, so that its log says early what is wrong."""
        try:
            await self.check()
        except Misconfigured:
            pass  # logged; the requests are answered with it
        except Exception:
            log.exception("The user of %s could not be looked for; the next request tries again", OPTION)

    async def check(self) -> None:
        """
        See that the user exists, before each request until they once did: Airflow knows its users only
        after it has mounted us.

        :raises ApiError: they do not; the plugin stays off
        """
        if self._found:
            return
        if await self._load() is None:
            log.error("The REST API plugin is off: %s names no user who exists and is active", OPTION)
            raise Misconfigured
        self._found = True

    async def load(self) -> Any:
        """Return the user as they are now; raise ApiError where they are gone or not active any more."""
        user = await self._load()
        if user is None:
            raise HeaderUserGone(f"The user of {OPTION} does not exist any more or is not active.")
        return user

    async def _load(self) -> Any:
        try:
            return await self._accounts.named(self._name)
        except NoNames as error:
            log.error("%s cannot be used: %s", OPTION, error)
            return None


FAILED = "Token Authentication Failed"


@dataclass(frozen=True)
class HeaderToken:
    """
    The shared token of the configuration.

    :ivar name: of the header; `-` and `_` in it are the same, as they were to the 1.x plugin
    :ivar expected: the token; empty where none is asked for
    """

    name: str = ""
    expected: str = field(default="", repr=False)

    @property
    def asked_for(self) -> bool:
        """Whether requests have to carry one."""
        return bool(self.expected)

    def is_carried(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """
        Whether a request carries the token.

        A header that comes several times, in whatever spelling of its name, has to be right each time: what
        a proxy checked or set may not be what we would pick.

        :param headers: of the request, as ASGI has them
        """
        wanted = _folded(self.name.encode())
        given = [value for name, value in headers if _folded(name) == wanted]
        if not given:
            return False
        # Clients write what is not ASCII in one way or the other.
        # Bytes of the environment that are no text came as half characters, and are these bytes again.
        spellings = [self.expected.encode(errors="surrogateescape")]
        with contextlib.suppress(UnicodeEncodeError):
            spellings.append(self.expected.encode("latin-1"))
        right = [any(hmac.compare_digest(value, spelling) for spelling in spellings) for value in given]
        return self.asked_for and all(right)


def _folded(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")
