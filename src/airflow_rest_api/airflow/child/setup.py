"""What a child does before its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_rest_api.airflow.child import clearing, command_rows, expressions, printing, redacting
from airflow_rest_api.airflow.child.acting_user import act_as
from airflow_rest_api.airflow.child.dag_test import test_unseen
from airflow_rest_api.airflow.child.task_test import test_in_memory

Adjust = Callable[[str], None]
"""Sets something right; is given the user of the request."""


def _whoever(adjust: Callable[..., None], *arguments: Any) -> Adjust:
    """Return what sets something right in the same way for every user."""
    return lambda user: adjust(*arguments)


_PRINTS = _whoever(printing.dag_files_to_stderr)
_TRIES = _whoever(expressions.tried)

BY_COMMAND: Mapping[str, tuple[Adjust, ...]] = {
    "dags list": (_PRINTS,),
    "dags list-import-errors": (_PRINTS,),
    "dags pause": (_TRIES, _whoever(printing.paused_as, True)),
    "dags report": (_PRINTS,),
    "dags reserialize": (_PRINTS,),
    "dags show": (_PRINTS,),
    "dags test": (_PRINTS, test_unseen),
    "dags unpause": (_TRIES, _whoever(printing.paused_as, False)),
    "tasks clear": (_PRINTS, _TRIES, _whoever(clearing.as_asked)),
    "tasks list": (_PRINTS,),
    "tasks render": (_PRINTS,),
    "tasks test": (_PRINTS, test_in_memory),
}
"""What is set right for which command, by its name; nothing of it is undone: a child runs one command."""


REDACTED: Mapping[str, tuple[Adjust, ...]] = {
    "tasks render": (_whoever(redacting.learn_within),),
    "variables get": (_whoever(redacting.variables_as_shown),),
}
"""What is set right for which command that prints values for somebody who may read and not edit them."""


def order(user: str, commands: Sequence[str], *, redacted: bool = False) -> dict[str, Any]:
    """
    Return the argument of `prepare`.

    :param user: the Airflow user as whom commands act
    :param commands: the names of those that will run, such as ``tasks test``
    :param redacted: whether the user may read values and not edit them
    """
    return {"user": user, "commands": list(commands), "redacted": redacted}


def prepare(order: Mapping[str, Any]) -> None:
    """Set right what the commands of an order need; SystemExit says in one sentence what cannot be."""
    act_as(order["user"])
    command_rows.shorten()
    for command in order["commands"]:
        more = REDACTED.get(command, ()) if order["redacted"] else ()
        for adjust in (*BY_COMMAND.get(command, ()), *more):
            adjust(order["user"])


PREPARE = f"{__name__}:{prepare.__name__}"
"""As the engine knows it."""
