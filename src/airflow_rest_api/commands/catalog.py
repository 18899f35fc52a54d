"""All commands of the installed Airflow, and the making of invocations from them."""

from __future__ import annotations

import argparse
import difflib
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

from airflow_rest_api.commands import binding, discovery, masking
from airflow_rest_api.commands.argument_parser import NO_HELP, CheckingParser, Occurrence
from airflow_rest_api.commands.model import Command, Invocation
from airflow_rest_api.errors import BadArgument, UnknownCommand

_LONGEST_NAME = 60
"""Characters of an unknown name that are looked at: a longer one is no typing error."""

_PROGRAM = "airflow"
"""What a line begins with where it is written for a shell."""


class Catalog:
    """The commands that a parser knows."""

    def __init__(self, parser: argparse.ArgumentParser, successors: Mapping[str, str] | None = None) -> None:
        """
        Read the commands off ``parser``, which stays as it is.

        :param successors: for names that are gone, the names of the commands that took over
        """
        found = sorted(discovery.leaves(parser), key=lambda leaf: leaf[0])
        commands = [discovery.describe(*leaf) for leaf in found]
        by_name = {command.name: command for command in commands}
        self.commands: Mapping[str, Command] = MappingProxyType(by_name)
        self.groups: Mapping[str, str] = MappingProxyType(discovery.groups(parser))
        """The first words that commands share, with Airflow's line on each."""
        self._parsers = {
            path: CheckingParser(leaf, masking.is_secretive(path, leaf._actions)) for path, leaf, _ in found
        }
        self._successors = successors or {}

    def get(self, path: str | Sequence[str]) -> Command:
        """
        Return the command called ``dags list``, ``dags/list`` or ``("dags", "list")``.

        :raises UnknownCommand: there is none
        """
        name = " ".join((path.replace("/", " ") if isinstance(path, str) else " ".join(path)).split())
        command = self.commands.get(name)
        if command is None:
            raise UnknownCommand(name[:_LONGEST_NAME], self.nearest(name))
        return command

    def nearest(self, name: str) -> list[str]:
        """Return the names that a client may have meant by ``name``, the likeliest first."""
        name = name[:_LONGEST_NAME].removeprefix(f"{_PROGRAM} ")
        successor = [self._successors[name]] if name in self._successors else []
        below = [other for other in self.commands if other.startswith(f"{name} ")]
        alike = difflib.get_close_matches(name, self.commands, n=5)
        # "list_dags" and "render", as Airflow 1 called them: the words are right, the whole is not.
        same_words = [other for other in self.commands if _words(other) == _words(name)]
        last = (name.split() or [""])[-1]
        all_ends = {other.split()[-1] for other in self.commands}
        ends = difflib.get_close_matches(last, all_ends, n=2, cutoff=0.8)
        same_end = [other for end in ends for other in self.commands if other.split()[-1] == end]
        likeliest = dict.fromkeys(successor + below + same_words + alike + same_end)
        return list(likeliest)[: max(5, len(below))]

    def bind(
        self, command: Command, arguments: Mapping[str, Any], *, json_output: bool = False
    ) -> Invocation:
        """
        Return the invocation with JSON values by argument name.

        :param arguments: a value of None is an argument that is not given
        :param json_output: whether to ask for JSON where the command can print it and ``output`` is not given
        :raises BadArgument: a value does not fit its argument, or the arguments the command
        """
        parser = self._parsers[command.path]
        found = binding.occurrences(command.by_name, parser.by_name, arguments)
        given = {name: binding.truth(value) for name, value in arguments.items() if value is not None}
        added = _added(command, parser, given)
        if json_output and command.json_output and "output" not in given:
            added.append((parser.by_name["output"], ["json"]))
        return self._invocation(command, parser, found, given, added)

    def parse(self, argv: Sequence[str], *, as_it_is: bool = False) -> Invocation:
        """
        Return the invocation of a command line, without the leading ``airflow``.

        It has the same arguments, in a form of our own: with long names, options before positionals.

        :param as_it_is: nothing is added: it is one that was made here before
        :raises UnknownCommand: the words begin with no command
        :raises BadArgument: an argument is refused
        """
        words = list(argv)
        if not all(isinstance(word, str) for word in words):
            raise BadArgument(None, "a command line is a list of strings")
        binding.check_size(words)
        binding.check_flags(words)
        for word in words:
            binding.check_text(None, word)
        command, rest = self._split(words)
        parser = self._parsers[command.path]
        values, found = parser.check(rest)
        given = {action.dest: values.get(action.dest) for action, _ in found}
        found = binding.collapsed(found)
        added = [] if as_it_is else _added(command, parser, given)
        return self._invocation(command, parser, found, given, added)

    def _split(self, words: list[str]) -> tuple[Command, list[str]]:
        for length in range(1, min(len(words), 4) + 1):
            command = self.commands.get(" ".join(words[:length]))
            if command is not None and command.path == tuple(words[:length]):
                return command, words[length:]
            if words[length - 1] in ("-h", "--help"):
                raise BadArgument("help", NO_HELP)
        options = [index for index, word in enumerate(words) if word.startswith("-")]
        most = 3 if words[:1] == [_PROGRAM] else 2
        name = " ".join(words[: min([*options, most])])[:_LONGEST_NAME]
        raise UnknownCommand(name, self.nearest(name), self._cut(name, words[:most]))

    def _cut(self, name: str, words: list[str]) -> str:
        """Return what is wrong with a command whose words came in one, empty where that is not it."""
        parts = name.removeprefix(f"{_PROGRAM} ").split()
        starts = [" ".join(parts[:length]) for length in range(1, len(parts) + 1)]
        if not any(len(word.split()) > 1 for word in words) or self.commands.keys().isdisjoint(starts):
            return ""
        return f" in one word: each is an item of its own, {', '.join(map(repr, parts))}."

    def _invocation(
        self,
        command: Command,
        parser: CheckingParser,
        found: list[Occurrence],
        given: Mapping[str, Any],
        added: list[Occurrence],
    ) -> Invocation:
        found = found + added
        words = binding.command_line(parser._actions, found, given)
        binding.check_size(words)
        values, understood = parser.check(words)
        binding.check_names(values)
        binding.check_patterns(values)
        binding.check_parts(values)
        if _comparable(understood) != _comparable(found):
            # argparse read something else than what was meant, and what it read is not ours to run.
            wrong = [item[0] for item in _comparable(found) if item not in _comparable(understood)]
            name = wrong[0] if wrong else None
            raise BadArgument(name, f"argument {name}: the value cannot be passed on a command line")
        masked = masking.masked(command.path, found, values)
        shown = binding.command_line(parser._actions, masked, given)
        names = {action.dest for action, _ in found} - {action.dest for action, _ in added}
        return Invocation(
            command=command,
            argv=[*command.path, *words],
            values={name: _json_value(values.get(name)) for name in command.by_name},
            given=frozenset(names),
            masked=[*command.path, *map(masking.shortened, shown)],
            secrets=masking.secrets(command.path, found, masked, values),
        )


def _words(name: str) -> frozenset[str]:
    return frozenset(word.rstrip("s") for word in re.split(r"[ _-]+", name.lower()))


def _added(command: Command, parser: CheckingParser, given: Mapping[str, Any]) -> list[Occurrence]:
    """Return what is added to what the client gave: ``--yes``, as no question can be answered."""
    yes = command.argument("yes")
    if yes is None or not yes.flag or "yes" in given:
        return []
    return [(parser.by_name["yes"], [])]


def _comparable(found: Sequence[Occurrence]) -> list[tuple[str, list[str]]]:
    return sorted(((action.dest, words) for action, words in found), key=lambda item: item[0])


def _json_value(value: Any) -> Any:
    """Return what the parser made of a value as JSON knows it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_json_value(item) for item in value]
    return str(value)


_lock = threading.Lock()
_catalog: Catalog | None = None


def load_catalog() -> Catalog:
    """
    Return the catalog of the installed Airflow.

    The first call imports Airflow's parser, which takes about a second.
    """
    global _catalog
    with _lock:
        if _catalog is None:
            from airflow.cli.cli_parser import get_parser

            _catalog = Catalog(get_parser(), _successors())
        return _catalog


def _successors() -> Mapping[str, str]:
    """Return Airflow's own table of the commands it has replaced."""
    try:
        from airflow.cli.commands.legacy_commands import COMMAND_MAP
    except ImportError:
        return {}
    return dict(COMMAND_MAP)
