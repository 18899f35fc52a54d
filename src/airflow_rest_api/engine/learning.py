"""What a command's own process learns of secrets, passed on to the one who reads what it prints."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from airflow_rest_api.secret_names import maskers, shortest_of

PIECE = 2048
"""Characters told at once, so that one message is one piece on the socket, whoever else writes there."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def pass_on(secrets: Iterable[str], tell: Callable[[list[str]], None] | None) -> None:
    """
    Tell what Airflow's secrets maskers know already, and at once whatever they learn.

    What is printed later than it was learned is then told before it is printed.

    :param secrets: what the maskers are to learn here, for the log files that the command writes
    :param tell: None where what the command prints is to be seen
    """
    for module in maskers():
        masker = module._secrets_masker()
        _compile_late(masker)
        told: set[str] = set()
        if tell is not None:
            _tell_new(masker, told, tell)
            kind = type(masker)
            kind.add_mask = _telling(kind.add_mask, told, tell)
        for secret in secrets:
            # Its warning about short secrets would be part of what the command prints.
            if len(secret) >= shortest_of(masker):
                masker.add_mask(secret)


class Late:
    """
    A regular expression that is compiled when it is first used.

    Airflow compiles all its patterns anew with each that it learns (`SecretsMasker.add_mask`): a thousand
    would take a minute.
    """

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._of = (pattern, flags)

    @functools.cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(*self._of)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)


class _LateRe:
    """The module `re` as a masker sees it."""

    compile = Late

    def __getattr__(self, name: str) -> Any:
        return getattr(re, name)


def _compile_late(masker: Any) -> None:
    names = getattr(type(masker).add_mask, "__globals__", {})
    if names.get("re") is re:
        names["re"] = _LateRe()


def _telling(
    add_mask: Callable[..., None], told: set[str], tell: Callable[[list[str]], None]
) -> Callable[..., None]:
    @functools.wraps(add_mask)
    def add(self: Any, *args: Any, **kwargs: Any) -> None:
        add_mask(self, *args, **kwargs)
        if not told.issuperset(self.patterns):
            _tell_new(self, told, tell)

    return add


def _tell_new(masker: Any, told: set[str], tell: Callable[[list[str]], None]) -> None:
    new = set(masker.patterns) - told
    told |= new
    message: list[str] = []
    room = PIECE
    for pattern in sorted(new):
        # The masker keeps what `re.escape` made of a secret.
        secret = _ESCAPED.sub(r"\1", pattern)
        # Pieces of the same length: a short one at the end would be found everywhere.
        size = math.ceil(len(secret) / math.ceil(len(secret) / PIECE))
        for start in range(0, len(secret), size):
            piece = secret[start : start + size]
            if message and len(piece) >= room:
                tell(message)
                message, room = [], PIECE
            message.append(piece)
            room -= len(piece) + 1
    if message:
        tell(message)
