"""What is set right in a child for its command, and the start of the command itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

from airflow_rest_api import airflow as package
from airflow_rest_api.airflow import event_log
from airflow_rest_api.airflow.child import output
from airflow_rest_api.engine.job import function

PACKAGE = package.__name__
_PRINTS = "child.output:dag_files_to_stderr"
_TRIES = "expressions:try_first"
_TEST_OF_DAG = "child.dag_test:test_unseen"
_ONE_DAG = "child.one_dag:parse_its_file"

BY_COMMAND: Mapping[str, tuple[str, ...]] = {
    "dags list": (_PRINTS,),
    "dags list-import-errors": (_PRINTS,),
    "dags pause": (_TRIES, "child.output:print_paused"),
    "dags report": (_PRINTS,),
    "dags reserialize": (_PRINTS,),
    "dags show": (_PRINTS,),
    "dags test": (_PRINTS, _ONE_DAG, _TEST_OF_DAG),
    "dags unpause": (_TRIES, "child.output:print_unpaused"),
    "tasks clear": (_PRINTS, _TRIES, "child.clearing:as_asked"),
    "tasks list": (_PRINTS, _ONE_DAG),
    "tasks render": (_PRINTS, _ONE_DAG),
    "tasks test": (_PRINTS, _ONE_DAG, "child.task_test:test_in_memory"),
}
"""
The functions of this package that set something right for a command, by its name.

Nothing of it is undone: a child runs one command. They are imported when they are needed, with what they need
of Airflow, which may be slow or lack it.
"""

REDACTED: Mapping[str, tuple[str, ...]] = {
    "tasks render": ("maskers:learn_within",),
    "variables get": ("maskers:variables_as_shown",),
}
"""What is set right for which command that prints values for a user who may read and not edit them."""

ASKS = "airflow.utils.cli"
"""The module that writes the `cli_…` rows of Airflow's event log."""

COMMANDS = "airflow.cli.commands."
"""The modules that write who triggered a run or created a backfill."""

ABOUT_THE_MACHINE = frozenset({f"{COMMANDS}info_command"})
"""Commands that show the operating system's user on purpose."""


def act_as(user: str) -> None:
    """
    Have Airflow's commands take `user` for the one who runs them, for the rest of this process.

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


class SetupOrder(TypedDict):
    """
    The argument of `prepare`.

    :ivar user: the Airflow user as whom commands act
    :ivar commands: the names of those that will run, such as ``tasks test``
    :ivar redacted: whether the user may read values and not edit them
    :ivar visible: the rows that may be printed, by the key with which they name an object; None for all
    """

    user: str
    commands: list[str]
    redacted: bool
    visible: dict[str, list[str]] | None


def order(
    user: str,
    commands: Sequence[str],
    *,
    redacted: bool = False,
    visible: Mapping[str, Sequence[str]] | None = None,
) -> SetupOrder:
    """Return the argument of `prepare`."""
    rows = None if visible is None else {key: list(names) for key, names in visible.items()}
    return {"user": user, "commands": list(commands), "redacted": redacted, "visible": rows or None}


def prepare(order: SetupOrder) -> None:
    """
    Set right what the commands of an order need.

    :raises SystemExit: says in one sentence what cannot be
    """
    if order["visible"]:
        output.show_only(order["visible"])
    act_as(order["user"])
    event_log.shorten_command_rows()
    for command in order["commands"]:
        more = REDACTED.get(command, ()) if order["redacted"] else ()
        for name in (*BY_COMMAND.get(command, ()), *more):
            # The run of a test carries its user.
            function(f"{PACKAGE}.{name}")(*([order["user"]] if name == _TEST_OF_DAG else ()))


PREPARE = f"{__name__}:{prepare.__name__}"
"""As the engine knows it."""


def run_airflow(argv: Sequence[str]) -> None:
    """Run Airflow's own entry point, its parser with the real arguments."""
    from airflow.__main__ import main
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    parser.parse_args = partial(parser.parse_args, list(argv))  # type: ignore[assignment]
    main()  # type: ignore[no-untyped-call]
