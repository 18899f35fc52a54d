"""What a child does before its command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_rest_api.airflow import event_log, expressions, maskers
from airflow_rest_api.airflow.child import clearing, output
from airflow_rest_api.airflow.child.dag_test import test_unseen
from airflow_rest_api.airflow.child.task_test import test_in_memory

ASKS = "airflow.utils.cli"
"""The module that writes the `cli_…` rows of Airflow's event log."""

COMMANDS = "airflow.cli.commands."
"""The modules that write who triggered a run or created a backfill."""

ABOUT_THE_MACHINE = frozenset({f"{COMMANDS}info_command"})
"""What tells of the operating system's user on purpose."""


def act_as(user: str) -> None:
    """
    Have Airflow's commands take `user` for whoever runs them, for the rest of this process.

    `airflow.utils.platform.getuser` is also what task instances and jobs write down as the `unixname` of
    their process: only the commands themselves, and the decorator around them, get the other answer.
    """
    import airflow.utils.platform

    platform: Any = airflow.utils.platform
    of_the_machine = platform.getuser

    def getuser() -> str:
        asks = _asks(sys._getframe(1).f_globals.get("__name__", ""))
        return user if asks else str(of_the_machine())

    # A module that is imported later takes it from there.
    platform.getuser = getuser
    package = sys.modules.get(COMMANDS.rstrip("."))
    for module in (sys.modules.get(ASKS), *(vars(package).values() if package else ())):
        if getattr(module, "getuser", None) is of_the_machine and _asks(getattr(module, "__name__", "")):
            holder: Any = module
            holder.getuser = getuser


def _asks(module: str) -> bool:
    return module == ASKS or (module.startswith(COMMANDS) and module not in ABOUT_THE_MACHINE)


Adjust = Callable[[str], None]
"""Sets something right; is given the user of the request."""


def _whoever(adjust: Callable[..., None], *arguments: Any) -> Adjust:
    """Return what sets something right in the same way for every user."""
    return lambda user: adjust(*arguments)


_PRINTS = _whoever(output.dag_files_to_stderr)
_TRIES = _whoever(expressions.try_first)

BY_COMMAND: Mapping[str, tuple[Adjust, ...]] = {
    "dags list": (_PRINTS,),
    "dags list-import-errors": (_PRINTS,),
    "dags pause": (_TRIES, _whoever(output.paused_as, True)),
    "dags report": (_PRINTS,),
    "dags reserialize": (_PRINTS,),
    "dags show": (_PRINTS,),
    "dags test": (_PRINTS, test_unseen),
    "dags unpause": (_TRIES, _whoever(output.paused_as, False)),
    "tasks clear": (_PRINTS, _TRIES, _whoever(clearing.as_asked)),
    "tasks list": (_PRINTS,),
    "tasks render": (_PRINTS,),
    "tasks test": (_PRINTS, test_in_memory),
}
"""What is set right for which command, by its name; nothing of it is undone: a child runs one command."""


REDACTED: Mapping[str, tuple[Adjust, ...]] = {
    "tasks render": (_whoever(maskers.learn_within),),
    "variables get": (_whoever(maskers.variables_as_shown),),
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
    event_log.shorten_command_rows()
    for command in order["commands"]:
        more = REDACTED.get(command, ()) if order["redacted"] else ()
        for adjust in (*BY_COMMAND.get(command, ()), *more):
            adjust(order["user"])


PREPARE = f"{__name__}:{prepare.__name__}"
"""As the engine knows it."""
