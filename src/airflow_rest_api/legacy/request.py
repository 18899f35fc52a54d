"""A request to a 1.x endpoint: which one, and with which arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.body import Body, File, firsts, parse_pairs
from airflow_rest_api.legacy.endpoints import ASYNC, BY_NAME, Argument, Endpoint

UNCHECKED = frozenset({"false", "off", "0", "no"})
"""The values that leave a check box unchecked; the 1.x plugin took them for checked."""


@dataclass(frozen=True)
class Request:
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
    files: Mapping[str, File] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    leaves: bool = False

    def get(self, name: str) -> str | None:
        """Return the value of a text argument, None where it was not given."""
        return self.values.get(name)

    def given(self, name: str) -> bool:
        """Whether an argument was given or checked."""
        return name in self.values or name in self.checked


@dataclass(frozen=True)
class Sent:
    """What was sent, before it is known to make sense: the query and the body."""

    query: list[tuple[str, str | None]]
    body: Body

    @classmethod
    def of(cls, query: str, body: Body | None = None) -> Sent:
        """Return what a raw query string and a body send."""
        return cls(parse_pairs(query), body or Body())

    @property
    def arguments(self) -> dict[str, str]:
        """`arguments` of the envelope: what came in the query string."""
        return firsts(self.query)

    @property
    def post_arguments(self) -> dict[str, Any]:
        """`post_arguments` of the envelope: what came in the body."""
        return self.body.echo


def endpoint_of(sent: Sent) -> Endpoint | None:
    """Return the endpoint that a request names, None where there is none of that name."""
    return BY_NAME.get(_name(sent))


def understand(sent: Sent) -> Request:
    """
    Return the request that was sent.

    :raises Refusal: no endpoint, an unknown one, or arguments are missing
    """
    query, body = _collect(sent.query), _collect(sent.body.fields)
    name = _name(sent)
    if not name:
        raise Refusal("API should be provided")
    endpoint = endpoint_of(sent)
    if endpoint is None:
        raise Refusal(f"API '{name}' was not found")
    values: dict[str, str] = {}
    checked: set[str] = set()
    for argument in endpoint.arguments:
        if argument.check_box:
            if _is_checked(argument, query, body):
                checked.add(argument.name)
        elif not argument.file and (value := _value(argument, query, body)):
            values[argument.name] = value
    for given, text in values.items():
        if not _is_unicode(text):
            raise Refusal(f"Argument '{given}' is not valid Unicode text")
    missing = [name for name in endpoint.required if name not in values and not _is_file(endpoint, name)]
    if missing:
        raise Refusal(f"The argument(s) {missing} are required")
    without_effect = [
        a.name for a in endpoint.arguments if a.without_effect and a.name in {*values, *checked}
    ]
    unknown = _unknown(endpoint, sent)
    return Request(
        endpoint,
        values,
        frozenset(checked - {ASYNC.name}),
        {name: file for name, file in sent.body.files.items() if _is_file(endpoint, name)},
        tuple(_warnings(unknown, sent)),
        (*without_effect, *unknown),
        leaves=ASYNC.name in checked,
    )


def _name(sent: Sent) -> str:
    """Return what a request calls its endpoint; empty where it names none."""
    firsts = (next((v for n, v in pairs if n == "api"), None) for pairs in (sent.query, sent.body.fields))
    return next((value for value in firsts if value), "").strip().lower()


def is_complete(query: list[tuple[str, str | None]]) -> bool:
    """Return whether a query alone names an endpoint and gives all that it requires."""
    try:
        endpoint = understand(Sent(query, Body())).endpoint
    except Refusal:
        return False
    return not any(_is_file(endpoint, name) for name in endpoint.required)


def _is_unicode(text: str) -> bool:
    """Return whether a text can be written anywhere: JSON can have half a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _collect(pairs: list[tuple[str, str | None]]) -> dict[str, str | None]:
    result: dict[str, str | None] = {}
    for name, value in pairs:
        result.setdefault(name, value)
    return result


def _first(name: str, *sources: dict[str, str | None]) -> str | None:
    return next((value for source in sources if (value := source.get(name))), None)


def _value(argument: Argument, *sources: dict[str, str | None]) -> str | None:
    value = _first(argument.name, *sources)
    return value.strip() if value and argument.name == "dag_id" else value


def _is_checked(argument: Argument, *sources: dict[str, str | None]) -> bool:
    for source in sources:
        if argument.name not in source:
            continue
        value = source[argument.name]
        if value is None:
            return True
        if value.strip():
            return value.strip().lower() not in UNCHECKED
    return False


def _is_file(endpoint: Endpoint, name: str) -> bool:
    argument = endpoint.argument(name)
    return argument is not None and argument.file


def _unknown(endpoint: Endpoint, sent: Sent) -> list[str]:
    names = [name for name, _ in (*sent.query, *sent.body.fields)] + list(sent.body.files)
    return sorted({name for name in names if name != "api" and endpoint.argument(name) is None})


def _warnings(unknown: list[str], sent: Sent) -> list[str]:
    warnings = list(sent.body.warnings)
    if unknown:
        warnings.append(f"Unknown argument(s) {unknown} were ignored")
    return warnings
