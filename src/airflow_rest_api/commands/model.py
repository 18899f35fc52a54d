"""What a command is to us: its name, its arguments, and what running it may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Literal

STDOUT = "-"
"""The value of a file argument that stands for standard output (`argparse.FileType`)."""


class Effect(str, Enum):
    """The most that running a command may do, ordered by severity: later members outrank earlier ones."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"
    """Runs the code of DAG authors."""
    SERVICE = "service"
    """Starts, stops or steers a component."""
    DESTRUCTIVE = "destructive"
    """Can lose data, or hands out the database itself."""


PLAIN = (Effect.READ, Effect.WRITE)
"""What commands do that run none of DAG authors' code, and start and lose nothing."""


@dataclass(frozen=True)
class Argument:
    """One argument of a command, as a client sees it."""

    name: str
    flags: tuple[str, ...]
    """Empty for a positional."""
    type: str
    """``string``, ``integer``, ``number``, ``boolean``, ``datetime``, ``json``, or ``list``: with commas."""
    help: str | None = None
    required: bool = False
    repeatable: bool = False
    """Takes several values: given as a list."""
    together: bool = False
    """Its values follow one flag, ``--x a b``, and not each a flag of its own."""
    flag: bool = False
    """Takes no value. True and false are what the command gets to see under ``name``: a flag that stores
    false is put on the command line by ``false``, as ``--no-replace-microseconds`` is for
    ``replace_microseconds``."""
    negative: str | None = None
    """The flag that stands for ``false``, such as ``--no-x``; None where leaving the flag out says so."""
    choices: tuple[str, ...] | None = None
    default: Any = None
    """None where there is none, where it is a secret, and where it names a place on the server."""
    file: Literal["in", "out"] | None = None
    """The value is a file of the client's: read by the command, or written by it."""
    dash: bool = False
    """A file to be written that ``-`` makes standard output."""
    secret: bool = False
    server_path: bool = False
    """The value is a path on the server: a log file, a certificate, a DAG file."""
    reviewed: bool = True
    """False where nobody has looked at what it does: a later Airflow or provider has brought it."""

    @property
    def needed(self) -> bool:
        """Whether a request by name has to give it: a file to be written has a name of its own there."""
        return self.required and self.file != "out"

    @property
    def positional(self) -> bool:
        """Whether the value is given by its place."""
        return not self.flags


@dataclass(frozen=True)
class Command:
    """One command of the installed Airflow."""

    path: tuple[str, ...]
    help: str
    description: str | None
    arguments: tuple[Argument, ...]
    effect: Effect
    known: bool = True
    """False where the policy table has no row: only an administrator may run it."""
    reveals_secrets: bool = False
    """Its output can hold passwords, keys, connection strings, or personal data in clear."""
    raised_by: Mapping[str, Effect] = field(default_factory=dict)
    """Arguments that, when given, make the effect a more severe one."""
    revealed_by: str | None = None
    """The argument without which nothing secret is shown, where the command has one."""
    grants_access: bool = False
    """It starts another API server, or changes users or what they may: for administrators, and off until it
    is named."""
    resident: bool = False
    """A child may run it that runs other commands before and after."""

    @property
    def name(self) -> str:
        """The words that follow ``airflow``."""
        return " ".join(self.path)

    @cached_property
    def by_name(self) -> dict[str, Argument]:
        """The arguments by their names."""
        return {argument.name: argument for argument in self.arguments}

    def argument(self, name: str) -> Argument | None:
        """Return the argument called ``name``, or None."""
        return self.by_name.get(name)

    def files(self, values: Mapping[str, Any], given: Iterable[str]) -> list[Argument]:
        """Return the arguments called ``given`` whose values are files of the client's."""
        return [
            argument
            for argument in map(self.argument, given)
            if argument is not None
            and argument.file is not None
            and not (argument.dash and values.get(argument.name) == STDOUT)
        ]

    def effect_of(self, given: Iterable[str]) -> Effect:
        """
        Return the effect when the arguments called ``given`` are given.

        This is what permissions are about: ``dags list`` reads, ``dags list --local`` runs the DAG files.
        """
        raised = [self.raised_by[name] for name in given if name in self.raised_by]
        # Asked several times in each request, most of which raise nothing.
        return max((self.effect, *raised), key=list(Effect).index) if raised else self.effect

    def may_share(self, given: Iterable[str]) -> bool:
        """
        Return whether a child that runs other commands too may run it with the arguments called ``given``.

        It may not where one of them is a file or a place on the server, was not reviewed, or makes the effect
        more severe.
        """
        arguments = [self.argument(name) for name in given]
        return (
            self.resident
            and self.effect_of(given) is self.effect
            and not any(
                one.file or one.server_path or not one.reviewed for one in arguments if one is not None
            )
        )

    def off_until_named(self, given: Iterable[str]) -> bool:
        """Return whether the configuration has to name the command for it to be on with these arguments."""
        return self.grants_access or self.effect_of(given) is Effect.DESTRUCTIVE

    def reveals_secrets_of(self, given: Iterable[str]) -> bool:
        """Return whether secrets can be printed when the arguments called ``given`` are given."""
        return self.reveals_secrets and (self.revealed_by is None or self.revealed_by in given)

    @property
    def json_output(self) -> bool:
        """Whether the command can print JSON when asked to."""
        output = self.argument("output")
        return output is not None and "json" in (output.choices or ())


@dataclass(frozen=True)
class Invocation:
    """A command with its arguments, checked by Airflow's own parser and ready to run."""

    command: Command
    argv: list[str] = field(repr=False)
    """Without the leading ``airflow``."""
    values: dict[str, Any] = field(repr=False)
    """What the parser made of the arguments, by name; datetimes as ISO 8601 text."""
    given: frozenset[str]
    """The names the client gave, as against those that were filled in."""
    masked: list[str]
    """``argv`` with the values of secret arguments replaced by ``***``: for records and logs."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The secret values themselves, and the passwords in them: the command must not print them."""

    @property
    def effect(self) -> Effect:
        """The effect of this invocation: the command's, or a more severe one that an argument asks for."""
        return self.command.effect_of(self.given)

    @property
    def may_share(self) -> bool:
        """Whether a child that runs other commands too may run this very invocation."""
        return self.command.may_share(self.given)

    @property
    def reveals_secrets(self) -> bool:
        """Whether this very invocation can print secrets."""
        return self.command.reveals_secrets_of(self.given)
