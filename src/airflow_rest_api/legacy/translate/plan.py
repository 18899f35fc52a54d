"""What a request comes to, and how to put it together."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Protocol

from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import BadArgument, Refusal, UnknownCommand
from airflow_rest_api.legacy.child.messages import unknown_dag
from airflow_rest_api.legacy.deploy import Deployment
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.names import ARGUMENTS, COMMANDS, IMPLIED, MISSING, SEPARATE
from airflow_rest_api.services.launching import Plan

CHILD = "airflow_rest_api.legacy.child"
STRONGEST_LAST = (Effect.READ, Effect.WRITE, Effect.EXECUTE, Effect.SERVICE, Effect.DESTRUCTIVE)


class Commands(Protocol):
    """What the installed Airflow can run: the catalog."""

    def get(self, path: str) -> Command:
        """Return a command by name; raise UnknownCommand."""

    def bind(
        self, command: Command, arguments: Mapping[str, Any], *, json_output: bool = False
    ) -> Invocation:
        """Return a command with its arguments, checked; raise BadArgument."""


@dataclass(frozen=True)
class Context:
    """
    What a translation may look at beside the request.

    :ivar as_json: whether commands are asked for JSON, of which the text of 1.x is made
    :ivar processor_alive: asks the database
    """

    catalog: Commands
    exchange_folder: str = ""
    as_json: bool = False
    processor_alive: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Answer:
    """The answer is known already."""

    output: str
    ignored: tuple[str, ...] = ()


class Ignored(str):
    """
    A warning that arguments had no effect.

    :ivar names: of the arguments, for those who count them
    """

    names: tuple[str, ...]

    def __new__(cls, text: str, names: Iterable[str]) -> Ignored:
        """Return the text as a warning."""
        made = super().__new__(cls, text)
        made.names = tuple(names)
        return made


@dataclass(frozen=True)
class Work:
    """
    Something for a child process.

    :ivar name: for the record of the operation
    :ivar entry: `module:function` of `legacy.child` that does it
    :ivar order: what that module takes
    :ivar lines: the command lines for the client's eyes, secrets masked
    :ivar invocations: the commands of Airflow that it runs, for the permissions
    :ivar secrets: what must not be in the output
    :ivar instead: what is done for those who may not do this
    :ivar component: what is started, and goes on after the request; `entry` and `order` have nothing to do
    :ivar deployment: what is deployed; `entry` and `order` have nothing to do
    :ivar key: by which the messages of its child are known
    """

    name: str
    effect: Effect
    entry: str
    order: dict[str, Any]
    lines: list[list[str]]
    known: bool = True
    reveals_secrets: bool = False
    warnings: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    invocations: tuple[Invocation, ...] = ()
    instead: Work | None = None
    component: Plan | None = None
    deployment: Deployment | None = None
    key: str = field(default_factory=lambda: token_hex(8), repr=False, compare=False)

    @property
    def ignored(self) -> list[str]:
        """The names of the arguments that have no effect."""
        return [name for warning in self.warnings if isinstance(warning, Ignored) for name in warning.names]

    @property
    def airflow_cmd(self) -> str:
        """The command line as a client reads it."""
        return " && ".join(shlex.join(["airflow", *line]) for line in self.lines)


def command_of(request: Request, context: Context) -> Command:
    """Return the command that an endpoint has on the installed Airflow."""
    names = COMMANDS[request.endpoint.name]
    for name in names:
        try:
            return context.catalog.get(name)
        except UnknownCommand:
            continue
    needs = MISSING.get(request.endpoint.name)
    hint = f": {needs} is not installed" if needs else ""
    raise Refusal(f"This Airflow has no command 'airflow {names[0]}'{hint}")


def counterpart(command: Command, name: str) -> str | None:
    """Return what an argument of 1.x is called by a command of today, None where it has none."""
    candidates = ARGUMENTS.get(name, (name.replace("-", "_"),))
    return next((candidate for candidate in candidates if command.argument(candidate)), None)


def renamed(
    request: Request, command: Command, *, leave: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """
    Return a request's arguments by the names of a command, and a warning for those that have no counterpart.

    :param leave: arguments that somebody else looks after
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
    return values, without_effect(lost, command.name)


def without_effect(names: Sequence[str], command: str) -> list[str]:
    """Return the warning that arguments have no effect, if there are any."""
    text = f"Argument(s) {list(names)} have no effect: 'airflow {command}' has no such option"
    return [Ignored(text, names)] if names else []


def bind(context: Context, command: Command, values: Mapping[str, Any]) -> Invocation:
    """Return a command with its arguments; Refusal in the parser's words where they are wrong."""
    try:
        return context.catalog.bind(command, values, json_output=context.as_json)
    except BadArgument as error:
        raise Refusal(error.message) from None


def airflow_commands(
    request: Request, invocations: Sequence[Invocation], warnings: Sequence[str] = (), **order: Any
) -> Work:
    """
    Return the work of running commands of Airflow one after the other, after the look at DAG and path.

    :param order: more for `child.commands`
    """
    order.setdefault("dag_id", dag_id_of(request))
    order.setdefault("subdir", request.get("subdir"))
    order.setdefault("date", _date_of(request, invocations))
    return Work(
        name=invocations[0].command.name,
        effect=max((invocation.command.effect for invocation in invocations), key=STRONGEST_LAST.index),
        entry="commands:run_commands",
        order={"argvs": [invocation.argv for invocation in invocations], **_without_nones(order)},
        lines=[invocation.masked or invocation.argv for invocation in invocations],
        known=all(invocation.command.known for invocation in invocations),
        reveals_secrets=any(invocation.command.reveals_secrets for invocation in invocations),
        warnings=list(warnings),
        invocations=tuple(invocations),
        secrets=tuple(secret for invocation in invocations for secret in invocation.secrets),
    )


def _date_of(request: Request, invocations: Sequence[Invocation]) -> str | None:
    """Return the date, or the id, of the run that a command is to be given."""
    names = ARGUMENTS["execution_date"]
    takes_one = any(invocation.command.argument(name) for invocation in invocations for name in names)
    return request.get("execution_date") if takes_one else None


def own_work(
    request: Request, entry: str, effect: Effect, order: Mapping[str, Any], warnings: Sequence[str] = ()
) -> Work:
    """Return work that no command of Airflow does; the client reads the command line of 1.x."""
    return Work(
        name=request.endpoint.name,
        effect=effect,
        entry=entry,
        order=_without_nones(order),
        lines=[line_of_1x(request)],
        warnings=list(warnings),
    )


def json_object(request: Request, name: str) -> dict[str, Any] | None:
    """Return an argument that is a JSON object, None where it was not given; Refusal where it is none."""
    text = request.get(name)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"Argument '{name}' is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal(f"Argument '{name}' must be a JSON object")
    return value


def dag_id_of(request: Request) -> str | None:
    """Return the DAG that a request names; Refusal where no DAG can have that name."""
    dag_id = request.get("dag_id")
    if dag_id is not None and "\0" in dag_id:
        raise Refusal(unknown_dag(dag_id))
    return dag_id


def line_of_1x(request: Request) -> list[str]:
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


def _without_nones(order: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if value is not None}
