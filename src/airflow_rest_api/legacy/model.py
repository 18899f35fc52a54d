"""The terms of the 1.x contract: an endpoint, a request to it, and what that becomes: one of four actions."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_rest_api.commands import policy
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import BadArgument, Refusal
from airflow_rest_api.security.decision import Attempt

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile

    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.legacy.printed import Printed
    from airflow_rest_api.services.model import StartRequest

PATH = "/api"
"""Where the endpoints are, below the plugin's own address."""

OWN = "not a command of Airflow's"

RECORDED = ("dag_id", "task_id", "run_id")
"""The arguments that the records of what was done have columns for."""


@dataclass(frozen=True)
class EndpointArgument:
    """One argument as a client of the 1.x plugin sends it."""

    name: str
    description: str
    required: bool = False
    check_box: bool = False
    """True when present, without a value of its own."""
    position: int | None = None
    """Its place behind the 1.x command, counted from 1; None for an option."""
    file: bool = False
    secret: bool = False
    """Its value is not shown in the answer."""

    @property
    def without_effect(self) -> bool:
        """Whether it is taken and has no effect on any Airflow of today, as its description begins."""
        return self.description.startswith("Without effect")

    @property
    def example(self) -> str:
        """The argument in a query, its value a placeholder."""
        if self.check_box:
            return self.name
        return f"{quote(self.name)}={{{self.name.upper()}{'' if self.required else ': optional'}}}"


@dataclass(frozen=True)
class Endpoint:
    """One value of `api`: all that is special about it."""

    name: str
    description: str
    arguments: tuple[EndpointArgument, ...] = ()
    _: KW_ONLY
    runs: str = ""
    """What does the job today, in one phrase; by default the first of its commands."""
    translate: Callable[[LegacyRequest, TranslationContext], Action]
    """What a request to it becomes; Refusal where it makes no sense, or this Airflow cannot do it."""
    commands: tuple[str, ...] = ()
    """All commands of today that it may run: by its name they are switched off. Where it is one command, the
    first of these that the installed Airflow has."""
    comes_with: str = ""
    """What has to be installed for its command to be there."""
    since: str = OWN
    """Since which Airflow the 1.x plugin offered it, as its page said."""
    methods: tuple[str, ...] = ("GET", "POST")
    background: bool = False
    """The command outlives the request."""
    text_output: bool = False
    """`output` is a string, not an object with stdout and stderr."""
    log_is_output: bool = False
    """What the command writes to its log is what the client asked for: never filtered."""
    has_result: bool = True
    """JSON in what it prints is a result, and no text of a DAG author that looks like one."""
    prints: Callable[[Printed], str] | None = None
    """Makes the text that 1.10 printed; None: it is answered in the words of today."""
    more: Callable[[Printed, str], dict[str, Any]] | None = None
    """Returns what a script asks for next, for keys of the envelope; see `printed.more_of`."""

    def __post_init__(self) -> None:
        if not self.runs:
            object.__setattr__(self, "runs", f"`airflow {self.commands[0]}`")

    def argument(self, name: str) -> EndpointArgument | None:
        """Return the argument called `name`, or None."""
        return next((argument for argument in self.arguments if argument.name == name), None)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the arguments that must be given."""
        return tuple(argument.name for argument in self.arguments if argument.required)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the arguments that are files."""
        return tuple(argument.name for argument in self.arguments if argument.file)

    def described(self, root: str) -> dict[str, Any]:
        """
        Return what the page tells about it.

        :param root: where the plugin is, as the browser sees it
        """
        names = ("name", "description", "required", "check_box", "file", "secret")
        # What is in the body is not shown: a query is in every log on the way.
        shown = [argument for argument in self.arguments if not argument.file and not argument.secret]
        return {
            "name": self.name,
            "description": self.description,
            "runs": self.runs,
            "since": self.since,
            "methods": list(self.methods),
            "background": self.background,
            "example": f"{root}{PATH}?api={self.name}{''.join(f'&{one.example}' for one in shown)}",
            "arguments": [{name: getattr(one, name) for name in names} for one in self.arguments],
        }


@dataclass(frozen=True)
class LegacyRequest:
    """
    What a client asked for.

    :ivar values: the text arguments that were given
    :ivar checked: the check boxes that were checked
    :ivar ignored: the names of arguments that have no effect, whatever becomes of the request
    :ivar leaves: whether the client does not wait for the command; no command sees anything of that
    :ivar queue: the queue whose runners are to run it, where the client names one
    """

    endpoint: Endpoint
    values: Mapping[str, str] = field(default_factory=dict)
    checked: frozenset[str] = frozenset()
    files: Mapping[str, UploadFile] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    leaves: bool = False
    queue: str | None = None

    def get(self, name: str) -> str | None:
        """Return the value of a text argument, None where it was not given."""
        return self.values.get(name)

    def given(self, name: str) -> bool:
        """Whether an argument was given or checked."""
        return name in self.values or name in self.checked

    @property
    def sets(self) -> bool:
        """Whether `cmd` says `set`, of which `variables` and `pool` have one each."""
        return (self.get("cmd") or "").strip().lower() == "set"


@dataclass(frozen=True)
class TranslationContext:
    """
    What a translation may look at beside the request.

    :ivar catalog: None where the endpoint has no commands
    :ivar as_json: whether commands are asked for JSON, of which the text of 1.x is made
    :ivar processor_alive: asks the database
    """

    catalog: Catalog | None
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
    :ivar invocations: the commands of Airflow that run in a child, or the one whose result it prints
    """

    recorded: Invocation
    attempts: tuple[Attempt, ...]
    warnings: Sequence[str] = ()
    invocations: Sequence[Invocation] = ()

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
        """The command lines as a client reads them, secrets masked."""
        lines = [one.masked or one.argv for one in self.invocations] or [self.recorded.masked]
        return " && ".join(shlex.join(["airflow", *words]) for words in lines)


@dataclass(frozen=True)
class RunChild(LegacyWork):
    """
    Work in a child.

    :ivar entry: `module:function` of `legacy.child` that does it
    :ivar order: what that function takes
    :ivar instead: what is done for those who may not do this
    """

    _: KW_ONLY
    entry: str = "commands:run_commands"
    order: Mapping[str, Any] = field(default_factory=dict)
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


Action = Answer | RunChild | StartService | Deploy


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


def _recorded(
    request: LegacyRequest, command: Command, masked: list[str], secrets: tuple[str, ...] = ()
) -> Invocation:
    values = {name: request.values[name] for name in RECORDED if name in request.values}
    return Invocation(command, argv=[], values=values, given=frozenset(), masked=masked, secrets=secrets)
