"""What a child does before its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_rest_api.hosts.child.acting_user import act_as

BY_COMMAND: Mapping[str, tuple[Callable[[], None], ...]] = {}
"""What is set right for which command, by its name; nothing of it is undone: a child runs one command."""


def order(user: str, commands: Sequence[str]) -> dict[str, Any]:
    """
    Return the argument of `prepare`.

    :param user: the Airflow user as whom commands act
    :param commands: the names of those that will run, such as ``tasks test``
    """
    return {"user": user, "commands": list(commands)}


def prepare(order: Mapping[str, Any]) -> None:
    """Set right what the commands of an order need."""
    act_as(order["user"])
    for command in order["commands"]:
        for adjust in BY_COMMAND.get(command, ()):
            adjust()


PREPARE = f"{__name__}:{prepare.__name__}"
"""As the engine knows it."""
