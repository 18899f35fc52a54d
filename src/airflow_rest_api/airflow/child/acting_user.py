"""The user of a request in place of the user of the operating system, where a command asks who runs it."""

from __future__ import annotations

import sys
from typing import Any

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
