"""The token that every client may be asked for, beside its own credentials."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

FAILED = "Token Authentication Failed"


@dataclass(frozen=True)
class HeaderToken:
    """
    The shared token of the configuration.

    :ivar name: of the header; `-` and `_` in it are the same, as they were to the 1.x plugin
    :ivar expected: the token; empty where none is asked for
    """

    name: str = ""
    expected: str = ""

    def __repr__(self) -> str:
        return f"HeaderToken({self.name!r}, ***)"

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
        right = [self._is_right(value) for value in given]
        return self.asked_for and bool(right) and all(right)

    def _is_right(self, value: bytes) -> bool:
        # Clients write what is not ASCII in one way or the other.
        return any(hmac.compare_digest(value, spelling) for spelling in self._spellings())

    def _spellings(self) -> list[bytes]:
        spellings = [self.expected.encode()]
        with contextlib.suppress(UnicodeEncodeError):
            spellings.append(self.expected.encode("latin-1"))
        return spellings


def _folded(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")
