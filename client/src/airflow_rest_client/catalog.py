"""The commands of an Airflow, as its server describes them: names, arguments, flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

STDOUT = "-"
"""A file to be written that is standard output."""


@dataclass(frozen=True)
class Argument:
    """
    An argument of a command.

    :ivar name: by which a request names it
    :ivar flags: empty for one that is given by its place
    :ivar type: `string`, `integer`, `number`, `boolean`, `datetime`, `json` or `list`: with commas
    :ivar together: its values follow one flag, and not each a flag of its own
    :ivar flag: takes no value
    :ivar negative: the flag that stands for false
    :ivar file: a file of the client's that the command reads (`in`) or writes (`out`)
    :ivar dash: a file to be written that `-` makes standard output
    """

    name: str
    flags: tuple[str, ...]
    type: str
    help: str | None
    required: bool
    repeatable: bool
    together: bool
    flag: bool
    negative: str | None
    choices: tuple[str, ...] | None
    default: Any
    file: str | None
    dash: bool
    secret: bool

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Argument:
        """Return the argument that the server describes."""
        fields: dict[str, Any] = {name: data.get(name) for name in cls.__dataclass_fields__}
        choices = fields["choices"]
        fields |= {"flags": tuple(fields["flags"] or ()), "choices": tuple(choices) if choices else None}
        return cls(**fields)

    @property
    def positional(self) -> bool:
        """Whether it is given by its place."""
        return not self.flags


class Command:
    """
    A command.

    :ivar name: such as `dags list`
    :ivar effect: `read`, `write`, `execute`, `service` or `destructive`
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.name: str = data["name"]
        self.help: str = data["help"]
        self.description: str | None = data["description"]
        self.effect: str = data["effect"]
        self.asks: Sequence[str] = data["asks"]
        """Arguments of which one has to be given: the command would ask a person for the first."""
        self.confirms: bool = data["confirms"]
        """It would ask a person whether they are sure."""
        self.confirms_with: str | None = data["confirms_with"]
        """The argument without which it does not."""
        self._arguments: Sequence[Mapping[str, Any]] = data["arguments"]

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """Its arguments, as its help lists them."""
        return tuple(map(Argument.of, self._arguments))

    @property
    def reads(self) -> bool:
        """Whether it only reads, so that it may run twice."""
        return self.effect == "read"

    @property
    def is_plain(self) -> bool:
        """Whether a command line of it can be sent as it is, with nothing to be read or asked for here."""
        return not self.confirms and not any(one["file"] or one["secret"] for one in self._arguments)

    @property
    def positionals(self) -> list[Argument]:
        """The arguments that are given by their place, in their order."""
        return [argument for argument in self.arguments if argument.positional]

    def argument(self, name: str) -> Argument | None:
        """Return the argument of a name, None where there is none."""
        return next((argument for argument in self.arguments if argument.name == name), None)

    def parse(self, words: Sequence[str]) -> dict[str, Any] | None:
        """
        Return the arguments that a command line gives, by name; None where it cannot be read.

        Which ones are files, secrets and confirmations is looked up in this. What is run, and whether it can
        be, the server's parser says.
        """
        from airflow_rest_client.parsing import parse

        return parse(self, words)

    def parser(self, program: str) -> argparse.ArgumentParser:
        """Return a parser of its arguments, for its help."""
        from airflow_rest_client.parsing import parser_of

        return parser_of(self, program)


class Catalog:
    """
    All commands of a server.

    :ivar etag: by which the server knows whether it has others
    :ivar body: as the server said it
    """

    def __init__(self, body: Mapping[str, Any], etag: str) -> None:
        self.body = body
        self.etag = etag
        self.airflow_version: str = body["airflow_version"]
        self.groups: Mapping[str, str] = body["groups"]
        self._data: dict[str, Any] = {command["name"]: command for command in body["commands"]}
        self._made: dict[str, Command] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def get(self, name: str) -> Command | None:
        """Return the command of a name, None where there is none."""
        if name not in self._data:
            return None
        if name not in self._made:
            self._made[name] = Command(self._data[name])
        return self._made[name]

    def split(self, words: Sequence[str]) -> tuple[Command | None, Sequence[str]]:
        """Return the command with which a command line begins, None where there is none, and what follows."""
        for length in range(1, min(len(words), 4) + 1):
            command = self.get(" ".join(words[:length]))
            if command is not None:
                return command, words[length:]
        return None, words

    def below(self, group: str) -> list[Command]:
        """Return the commands of a group."""
        return [command for name in self if name.startswith(f"{group} ") and (command := self.get(name))]
