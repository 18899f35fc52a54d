"""What is replaced in this process for one command, and taken back after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ABSENT = object()

_before: list[tuple[Any, str, Any]] = []


def patch(owner: Any, name: str, value: Any) -> None:
    """
    Set an attribute for the rest of the command that this process runs.

    :param owner: a module, a class or an object; a class keeps its own entry, be it a `staticmethod`
    """
    _before.append((owner, name, vars(owner).get(name, _ABSENT)))
    setattr(owner, name, value)


def take_back() -> None:
    """Undo what `patch` has set, the last first."""
    while _before:
        owner, name, value = _before.pop()
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have an attribute be another for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
