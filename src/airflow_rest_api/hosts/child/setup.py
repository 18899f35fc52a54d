"""What a child does before its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from airflow_rest_api.hosts.child import clearing, dag_prints, paused
from airflow_rest_api.hosts.child.acting_user import act_as

BY_COMMAND: Mapping[str, tuple[Callable[[], None], ...]] = {
    "dags list": (dag_prints.to_stderr,),
    "dags list-import-errors": (dag_prints.to_stderr,),
    "dags pause": (partial(paused.shown_as, True),),
    "dags report": (dag_prints.to_stderr,),
    "dags reserialize": (dag_prints.to_stderr,),
    "dags show": (dag_prints.to_stderr,),
    "dags test": (dag_prints.to_stderr,),
    "dags unpause": (partial(paused.shown_as, False),),
    "tasks clear": (dag_prints.to_stderr, clearing.as_asked),
    "tasks list": (dag_prints.to_stderr,),
    "tasks render": (dag_prints.to_stderr,),
    "tasks test": (dag_prints.to_stderr,),
}
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
