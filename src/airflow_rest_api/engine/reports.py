"""What a child says, checked: the code that its command runs can reach the socket as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXIT_CODES = range(256)
LONGEST_USAGE = 4 * 1024
"""Characters of the parser's words that a child passes on."""


@dataclass(frozen=True)
class Report:
    """
    The last word of a child.

    :ivar exit_code: what its process is going to return
    :ivar usage: the words of the command's own parser, where it refused the arguments
    """

    exit_code: int
    usage: str | None = None


@dataclass(frozen=True)
class Secrets:
    """Texts that the command must not print."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Begun:
    """The child has taken its job."""


@dataclass(frozen=True)
class Becomes:
    """The child is about to become another program."""


Said = Report | Secrets | Begun | Becomes


def read(message: Any) -> Said | None:
    """Return what a message says, None where it is none that a child sends: of another type, out of range."""
    if not isinstance(message, dict):
        return None
    if "exit_code" in message:
        code, usage = message["exit_code"], message.get("usage")
        if type(code) is not int or code not in EXIT_CODES or not isinstance(usage, (str, type(None))):
            return None
        return Report(code, None if usage is None else _text(usage[:LONGEST_USAGE]))
    if "secrets" in message:
        texts = message["secrets"]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return None
        return Secrets(tuple(texts))
    if message.get("begun") is True:
        return Begun()
    return Becomes() if message.get("becomes") is True else None


def _text(text: str) -> str:
    """Return a text that can be written as UTF-8."""
    return text.encode(errors="replace").decode()
