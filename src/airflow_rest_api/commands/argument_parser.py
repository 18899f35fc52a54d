"""A parser that checks arguments as Airflow's own would, but neither prints, exits nor opens files."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NoReturn

from airflow_rest_api.commands import argument_kinds
from airflow_rest_api.errors import BadArgument

Occurrence = tuple[argparse.Action, list[str]]
"""An argument as it stands on a command line, once: the words that are its values."""

LONGEST_MOMENT = 200
"""Characters of a date and time with its zone: to read one takes time with the square of that."""

_OF_ANY_ACTION = (
    "option_strings",
    "dest",
    "nargs",
    "const",
    "default",
    "type",
    "choices",
    "required",
    "help",
    "metavar",
)
"""What each action of argparse is made of."""

NO_HELP = "argument -h/--help: not here, the catalog of commands has the help"

# How argparse begins the messages that repeat words of the client's which may be meant for any argument.
_ECHOES = ("unrecognized arguments: ", "ignored explicit argument ")


class CheckingParser(argparse.ArgumentParser):
    """
    Checks the arguments of one command.

    It is made from the parser of the command, which it leaves as it is. It may be used by several threads at
    once.
    """

    def __init__(self, leaf: argparse.ArgumentParser, secretive: bool = False) -> None:
        """
        Copy ``leaf``.

        :param secretive: whether a value may be a secret, so that no message repeats one
        """
        super().__init__(
            prog=leaf.prog,
            prefix_chars=leaf.prefix_chars,
            argument_default=leaf.argument_default,
            allow_abbrev=leaf.allow_abbrev,
            add_help=False,
            exit_on_error=False,
        )
        self.secretive = secretive
        self.seen: list[Occurrence] = []
        for action in leaf._actions:
            self._add_action(_harmless(action))
        self.by_name: dict[str, argparse.Action] = {}
        for action in self._actions:
            if not isinstance(action, argparse._HelpAction):
                self.by_name.setdefault(action.dest, action)
        self._by_shown_name = {shown_name(action): action.dest for action in self._actions}

    def check(self, words: Sequence[str]) -> tuple[dict[str, Any], list[Occurrence]]:
        """
        Return what the parser makes of ``words`` by argument name, and the arguments in their order.

        :raises BadArgument: in argparse's words
        """
        run = copy.copy(self)
        run.seen = []
        try:
            namespace = vars(run.parse_args(list(words)))
        except argparse.ArgumentError as error:
            raise self._bad_argument(error.argument_name, error.message) from None
        except (SystemExit, ValueError, RecursionError):
            # argparse itself trips over some words, such as a lone "--" where a value belongs (before Python
            # 3.12.5).
            raise BadArgument(None, "the arguments cannot be parsed") from None
        return namespace, [(action, values) for action, values in run.seen if values or action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Raise argparse's message, where Airflow's parser would print its help and exit."""
        raise self._bad_argument(None, message)

    def print_help(self, file: Any = None) -> NoReturn:
        """Refuse ``--help``: there is no terminal to print it on."""
        raise BadArgument("help", NO_HELP)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Refuse what would end the process."""
        raise BadArgument(None, message or "the arguments cannot be parsed")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        values = super()._get_values(action, arg_strings)
        # Only now: before Python 3.12.5 it is this call that takes the "--" out of the words.
        self.seen.append((action, list(arg_strings)))
        return values

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        if argument_kinds.value_type(action) == "datetime" and len(arg_string) > LONGEST_MOMENT:
            problem = f"no date and time has more than {LONGEST_MOMENT} characters"
            raise argparse.ArgumentError(action, problem)
        try:
            value = super()._get_value(action, arg_string)
            if argument_kinds.value_type(action) == "datetime" and not _is_moment(value):
                # Durations and spans of time are texts that pendulum takes as well.
                raise argparse.ArgumentError(action, f"invalid parse value: {arg_string!r}")
            return value
        except argparse.ArgumentError:
            raise
        except (Exception, SystemExit) as error:
            # A type function may raise anything: pendulum an OverflowError, json a RecursionError.
            raise argparse.ArgumentError(action, f"invalid value ({type(error).__name__})") from None

    def _bad_argument(self, shown_name: str | None, message: str) -> BadArgument:
        name = self._by_shown_name.get(shown_name or "")
        if shown_name is None and message.startswith("ambiguous option: "):
            option, could_match, matches = message.rpartition(" could match ")
            message = f"{option.partition('=')[0]}{could_match}{matches}"
        elif shown_name is None and message.startswith("the following arguments are required: "):
            listed = message.rpartition(": ")[2].split(", ")
            name = next((self._by_shown_name[word] for word in listed if word in self._by_shown_name), None)
        if self.secretive:
            message = self._without_values(name, message)
        return BadArgument(name, f"argument {shown_name}: {message}" if shown_name else message)

    def _without_values(self, name: str | None, message: str) -> str:
        action = self.by_name.get(name or "")
        for echo in _ECHOES:
            if message.startswith(echo):
                return echo.rstrip(": ")
        harmless = message.startswith(("expected ", "the following "))
        return (
            "invalid value"
            if action is not None and argument_kinds.is_secret(action) and not harmless
            else message
        )


def shown_name(action: argparse.Action) -> str:
    """Return what argparse calls the argument in its messages."""
    if action.option_strings:
        return "/".join(action.option_strings)
    return action.metavar if isinstance(action.metavar, str) else action.dest


class _Stored(argparse.Action):
    """What an action of argparse's own would do with the words of an argument."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep them."""
        setattr(namespace, self.dest, True if self.nargs == 0 else values)


def _harmless(action: argparse.Action) -> argparse.Action:
    """
    Copy an argument, without an action or a type function that may do more than convert; sort its choices.

    A provider's action can ask for a password at the terminal
    (``airflow.providers.keycloak.cli.definition.Password``).
    """
    twin = copy.copy(action)
    if type(action).__module__ != argparse.__name__:
        twin = _Stored(**{name: getattr(action, name) for name in _OF_ANY_ACTION})
    if argument_kinds.value_type(action) is None:
        twin.type = None
        twin.choices = None
    elif isinstance(action.choices, (set, frozenset)):
        twin.choices = sorted(action.choices)
    return twin


def _is_moment(value: Any) -> bool:
    """Return whether a value is a date and time, in UTC too: a zone can lead out of the calendar."""
    try:
        return isinstance(value, datetime) and value.astimezone(timezone.utc) is not None
    except (OverflowError, ValueError):
        return False
