"""What commands and arguments of 1.x are called by the installed Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_rest_api.commands.model import Command, Invocation
from airflow_rest_api.errors import BadArgument, Refusal, UnknownCommand
from airflow_rest_api.legacy.actions import Ignored
from airflow_rest_api.legacy.model import LegacyRequest

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "execution_date": ("logical_date_or_run_id", "execution_date_or_run_id", "execution_date"),
    "exec_date": ("logical_date", "exec_date"),
    "start_date": ("start_date", "from_date"),
    "end_date": ("end_date", "to_date"),
}
"""An argument: the first of these that the command has. One that is not listed has kept its name."""

IMPLIED = frozenset({"no_confirm", "daemon"})
"""Always the case: not worth a warning."""

SEPARATE = frozenset({"subdir"})
"""Not an argument of any command any more: looked after before the command runs."""


class Commands(Protocol):
    """What the installed Airflow can run: the catalog."""

    def get(self, path: str) -> Command:
        """Return a command by name; raise UnknownCommand."""

    def bind(
        self, command: Command, arguments: Mapping[str, Any], *, json_output: bool = False
    ) -> Invocation:
        """Return a command with its arguments, checked; raise BadArgument."""


@dataclass(frozen=True)
class TranslationContext:
    """
    What a translation may look at beside the request.

    :ivar catalog: None where the endpoint has no commands
    :ivar as_json: whether commands are asked for JSON, of which the text of 1.x is made
    :ivar processor_alive: asks the database
    """

    catalog: Commands | None
    exchange_folder: str = ""
    as_json: bool = False
    processor_alive: Callable[[], bool] = lambda: True

    def get(self, name: str) -> Command:
        """Return a command by name; raise UnknownCommand."""
        assert self.catalog is not None
        return self.catalog.get(name)

    def bind(self, command: Command, values: Mapping[str, Any]) -> Invocation:
        """Return a command with its arguments; Refusal in the parser's words where they are wrong."""
        assert self.catalog is not None
        try:
            return self.catalog.bind(command, values, json_output=self.as_json)
        except BadArgument as error:
            raise Refusal(error.message) from None


def command_of(request: LegacyRequest, context: TranslationContext) -> Command:
    """Return the command that an endpoint has on the installed Airflow."""
    endpoint = request.endpoint
    for name in endpoint.commands:
        try:
            return context.get(name)
        except UnknownCommand:
            continue
    hint = f": {endpoint.comes_with} is not installed" if endpoint.comes_with else ""
    raise Refusal(f"This Airflow has no command 'airflow {endpoint.commands[0]}'{hint}")


def counterpart(command: Command, name: str) -> str | None:
    """Return what an argument of 1.x is called by a command of today, None where it has none."""
    candidates = ARGUMENTS.get(name, (name.replace("-", "_"),))
    return next((candidate for candidate in candidates if command.argument(candidate)), None)


def renamed(
    request: LegacyRequest, command: Command, *, leave: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """
    Return a request's arguments by the names of a command, and a warning for those that have no counterpart.

    :param leave: arguments that are looked after elsewhere
    """
    values: dict[str, Any] = {}
    lost: list[str] = []
    left = {*leave, *IMPLIED, *SEPARATE}
    for argument in request.endpoint.arguments:
        name = argument.name
        if name in left or not request.given(name):
            continue
        target = counterpart(command, name)
        if target is None:
            lost.append(name)
        else:
            values.setdefault(target, True if argument.check_box else request.values[name])
    text = f"Argument(s) {lost} have no effect: 'airflow {command.name}' has no such option"
    return values, [Ignored(text, *lost)] if lost else []
