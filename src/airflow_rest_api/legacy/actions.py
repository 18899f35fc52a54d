"""What a request to a 1.x endpoint becomes: one of five actions."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from airflow_rest_api.commands import policy
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.legacy.model import LegacyRequest
from airflow_rest_api.security.decision import Attempt
from airflow_rest_api.services.model import StartRequest

RECORDED = ("dag_id", "task_id", "run_id")
"""The arguments that the records of what was done have columns for."""


class Ignored(str):
    """
    A warning that arguments had no effect.

    :ivar names: of the arguments, for those who count them
    """

    names: tuple[str, ...]

    def __new__(cls, text: str, *names: str) -> Ignored:
        """Return the text as a warning."""
        made = super().__new__(cls, text)
        made.names = names
        return made


@dataclass(frozen=True)
class LegacyWork:
    """
    What is done by an operation.

    :ivar recorded: as what it is recorded; `argv` is empty
    :ivar attempts: what it comes to, for the permissions: each command of Airflow, or the work itself
    """

    recorded: Invocation
    attempts: tuple[Attempt, ...]
    warnings: Sequence[str] = ()

    @property
    def ignored(self) -> list[str]:
        """The names of the arguments that have no effect."""
        return [name for warning in self.warnings if isinstance(warning, Ignored) for name in warning.names]

    @property
    def commands(self) -> list[str]:
        """The names of the commands that it comes to."""
        return [attempt.command.name for attempt in self.attempts]

    @property
    def airflow_cmd(self) -> str:
        """The command line as a client reads it, secrets masked."""
        return _line(self.recorded.masked)


@dataclass(frozen=True)
class RunCommands(LegacyWork):
    """
    Commands of Airflow, one after the other, in one child.

    :ivar order: what `legacy.child.commands` takes
    :ivar instead: what is done for those who may not do this
    """

    entry: ClassVar[str] = "commands:run_commands"
    _: KW_ONLY
    invocations: tuple[Invocation, ...]
    order: Mapping[str, Any] = field(default_factory=dict)
    instead: RunCommands | None = None

    @property
    def airflow_cmd(self) -> str:
        """The command lines as a client reads them, secrets masked."""
        return " && ".join(_line(one.masked or one.argv) for one in self.invocations)


@dataclass(frozen=True)
class RunChild(LegacyWork):
    """
    Work that no command of Airflow does, in a child.

    :ivar entry: `module:function` of `legacy.child` that does it
    :ivar order: what that function takes
    :ivar prints_as: the command whose result it prints, where there is one
    :ivar instead: what is done for those who may not do this
    """

    _: KW_ONLY
    entry: str
    order: Mapping[str, Any] = field(default_factory=dict)
    prints_as: Invocation | None = None
    instead: RunChild | None = None


@dataclass(frozen=True)
class StartService(LegacyWork):
    """A component is started, and goes on after the request."""

    _: KW_ONLY
    plan: StartRequest


@dataclass(frozen=True)
class Deploy(LegacyWork):
    """
    A file, or the files of an archive, are put into a DAG bundle.

    :ivar file: what the client calls it
    :ivar force_invalid: also what cannot be imported
    :ivar folder: of the bundle
    :ivar paused: what becomes of the DAGs; None: nothing
    """

    _: KW_ONLY
    file: str
    force: bool = False
    force_invalid: bool = False
    paused: bool | None = None
    bundle: str | None = None
    folder: str = ""
    wait: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer is known already; `attempts` as of `LegacyWork`."""

    output: str
    attempts: tuple[Attempt, ...]


Action = Answer | RunCommands | RunChild | StartService | Deploy


def own(request: LegacyRequest, effect: Effect) -> tuple[Invocation, tuple[Attempt, ...]]:
    """Return as what work is recorded that no command of Airflow does, and what it comes to."""
    command = policy.own_command(request.endpoint.name, effect)
    values = {**request.values, **dict.fromkeys(request.checked, True)}
    return _recorded(request, command, line_of_1x(request)), (Attempt(command, values, frozenset(values)),)


def of_commands(
    request: LegacyRequest, invocations: Sequence[Invocation]
) -> tuple[Invocation, tuple[Attempt, ...]]:
    """Return as what commands of Airflow are recorded that are run as one, and what they come to."""
    commands = [one.command for one in invocations]
    as_one = Command(
        commands[0].path,
        "",
        None,
        (),
        max((command.effect for command in commands), key=list(Effect).index),
        known=all(command.known for command in commands),
        reveals_secrets=any(command.reveals_secrets for command in commands),
    )
    masked = [word for one in invocations for word in one.masked or one.argv]
    secrets = tuple(secret for one in invocations for secret in one.secrets)
    return _recorded(request, as_one, masked, secrets), attempts_of(request, invocations)


def attempts_of(request: LegacyRequest, invocations: Iterable[Invocation]) -> tuple[Attempt, ...]:
    """Return what commands of Airflow come to, for the permissions."""
    # The file of a DAG that is read is of the client's choice.
    chosen = frozenset({"subdir"} if request.given("subdir") else ())
    return tuple(Attempt(one.command, one.values, one.given | chosen) for one in invocations)


def line_of_1x(request: LegacyRequest) -> list[str]:
    """Return the command line that the 1.x plugin would have run."""
    line, places = [request.endpoint.name], []
    for argument in request.endpoint.arguments:
        if argument.file or not request.given(argument.name):
            continue
        if argument.position is not None:
            places.append((argument.position, request.values[argument.name]))
        elif argument.check_box:
            line.append(f"--{argument.name}")
        else:
            line += [f"--{argument.name}", "***" if argument.secret else request.values[argument.name]]
    return line + [value for _, value in sorted(places)]


def _line(words: Iterable[str]) -> str:
    return shlex.join(["airflow", *words])


def _recorded(
    request: LegacyRequest, command: Command, masked: list[str], secrets: tuple[str, ...] = ()
) -> Invocation:
    values = {name: request.values[name] for name in RECORDED if name in request.values}
    return Invocation(command, argv=[], values=values, given=frozenset(), masked=masked, secrets=secrets)
