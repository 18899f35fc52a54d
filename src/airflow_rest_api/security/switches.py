"""What the configuration switches off, for everybody."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.policy import RUN_DAG_CODE

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Command

SAYS_SOMETHING = re.compile(r"[^*?\s]")


class Switches:
    """
    The options that switch commands off.

    :param enabled: globs over names; what none of them matches is off. A command that is destructive or
        grants access is only on when one of them says something of its name: ``*`` alone does not
    :param disabled: globs over names; what one of them matches is off
    :param read_only: whether everything beyond the effect `read` is off
    :param run_dag_code: whether the code of DAG authors may run in processes of the API server's host
    :param aliases: the names of the 1.x endpoints with those of the commands that do their work; a glob that
        matches one of the former counts for the latter
    """

    def __init__(
        self,
        *,
        enabled: str = "*",
        disabled: str = "",
        read_only: bool = False,
        run_dag_code: bool = True,
        aliases: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._enabled, self._disabled = _globs(enabled), _globs(disabled)
        self._read_only = read_only
        self._run_dag_code = run_dag_code
        self._names: dict[str, list[str]] = {}
        for alias, commands in (aliases or {}).items():
            for command in commands:
                self._names.setdefault(command, []).append(alias)

    def option(self, command: Command, given: Collection[str] = ()) -> str | None:
        """
        Return the option because of which a command is off, None where it is on.

        :param given: the names of the arguments that the caller chose
        """
        names = [command.name, *self._names.get(command.name, ())]
        effect = command.effect_of(given)
        if _matches(self._disabled, names):
            return "disabled_commands"
        if self._read_only and effect is not Effect.READ:
            return "read_only"
        if not self._run_dag_code and (effect is Effect.EXECUTE or command.name in RUN_DAG_CODE):
            return "run_dag_code"
        enabling = self._enabled
        if command.off_until_named(given):
            enabling = [glob for glob in enabling if SAYS_SOMETHING.search(glob)]
        return None if _matches(enabling, names) else "enabled_commands"

    def setting(self, option: str, command: Command) -> str:
        """
        Return the line of `[rest_api_plugin]` with which an option no longer switches a command off.

        :param option: what `option` returns for the command
        """
        if option == "read_only":
            return "read_only = False"
        if option == "run_dag_code":
            return "run_dag_code = True"
        names = [command.name, *self._names.get(command.name, ())]
        if option == "disabled_commands":
            left = [glob for glob in self._disabled if not _matches([glob], names)]
            return f"disabled_commands = {', '.join(left)}".rstrip()
        return f"enabled_commands = {', '.join([*self._enabled, command.name])}"


def _globs(text: str) -> list[str]:
    return [" ".join(glob.split()) for glob in text.split(",") if glob.strip()]


def _matches(globs: Iterable[str], names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for name in names for glob in globs)
