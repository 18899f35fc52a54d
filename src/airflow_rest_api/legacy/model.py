"""The terms of the 1.x contract: an endpoint with its arguments, and a request to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow_rest_api.legacy.actions import Action
    from airflow_rest_api.legacy.names import TranslationContext
    from airflow_rest_api.legacy.printed import Printed

PATH = "/api"
"""Where the endpoints are, below the plugin's own address."""

OWN = "not a command of Airflow's"


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
    runs: str
    """What does the job today, in one phrase."""
    arguments: tuple[EndpointArgument, ...] = ()
    _: KW_ONLY
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
        return {
            "name": self.name,
            "description": self.description,
            "runs": self.runs,
            "since": self.since,
            "methods": list(self.methods),
            "background": self.background,
            "example": f"{root}{PATH}?api={self.name}{''.join(f'&{one.example}' for one in self._shown)}",
            "arguments": [{name: getattr(one, name) for name in names} for one in self.arguments],
        }

    @property
    def _shown(self) -> list[EndpointArgument]:
        # In the body, where it is: a query is in every log on the way.
        return [argument for argument in self.arguments if not argument.file and not argument.secret]


@dataclass(frozen=True)
class SentFile:
    """A file of a multipart body."""

    name: str
    content: BinaryIO


@dataclass(frozen=True)
class LegacyRequest:
    """
    What a client asked for.

    :ivar values: the text arguments that were given
    :ivar checked: the check boxes that were checked
    :ivar ignored: the names of arguments that have no effect, whatever becomes of the request
    :ivar leaves: whether the client does not wait for the command; no command sees anything of that
    """

    endpoint: Endpoint
    values: Mapping[str, str] = field(default_factory=dict)
    checked: frozenset[str] = frozenset()
    files: Mapping[str, SentFile] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    leaves: bool = False

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
