"""From what a command needs and what a user may to a decision; pure of HTTP and of Airflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.model import Command
from airflow_rest_api.commands.needs import Ask, Need, Resource
from airflow_rest_api.commands.policy import needs_of, of_effect

if TYPE_CHECKING:
    from airflow_rest_api.airflow.permissions import Permissions

LISTED = frozenset({Resource.DAG, Resource.CONNECTION, Resource.VARIABLE, Resource.POOL, Resource.TEAM})
"""The kinds of which a user may be allowed some objects and not others."""


@dataclass(frozen=True)
class Attempt:
    """
    What is to be run.

    :ivar values: the arguments by name, as the command gets to see them
    :ivar given: the names of those that the caller chose
    """

    command: Command
    values: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """
    Whether a command may run.

    :ivar missing: what the user lacks, None where the command may run
    :ivar asks: what was asked, for those who want to see the operation later
    :ivar visible: the names of what may be seen, by the key with which the rows of an output name it; None
        where all may
    :ivar redacted: whether the secrets in what is printed are not to be seen
    """

    missing: Ask | None
    asks: tuple[Ask, ...] = ()
    visible: Mapping[str, tuple[str, ...]] | None = None
    redacted: bool = False


def decide(permissions: Permissions, attempt: Attempt) -> Decision:
    """Return whether a user who is no administrator may run a command with its arguments."""
    asks: list[Ask] = []
    visible: dict[str, tuple[str, ...]] = {}
    redacted = False
    for need in (*of_effect(attempt.command, attempt.given), *_arising(attempt)):
        if need.rows and not _names(need, attempt):
            ask, rows = _seen(permissions, need)
            if rows is not None:
                if ask.names is None:
                    return Decision(ask)
                before = visible.get(need.rows)
                visible[need.rows] = rows if before is None else tuple(set(before) & set(rows))
        else:
            ask = _resolved(permissions, need, attempt)
            if not granted(permissions, ask):
                if not need.to_reveal:
                    return Decision(_told(permissions, need, ask, attempt))
                redacted = True
                continue
        asks.append(ask)
    return Decision(None, tuple(asks), visible or None, redacted)


def granted(permissions: Permissions, ask: Ask) -> bool:
    """
    Return whether a user may.

    What is named is asked about by its name, as Airflow's own routes do: who may do it to the others, or to
    all that exist, may not do it to one that an auth manager makes an exception of.
    """
    kind = ask.resource.value
    if not ask.names:
        return permissions.may(kind, ask.method, ask.entity, None)
    names = set(ask.names)
    if len(names) > 1 and ask.entity is None and ask.resource in LISTED:
        # One question for those that exist: what somebody saw of a listing are all of them.
        names -= permissions.names(kind, ask.method)
    return all(permissions.may(kind, ask.method, ask.entity, name) for name in sorted(names))


def asks_of(attempt: Attempt) -> tuple[Ask, ...]:
    """Return what a command asks for without looking anything up: for an administrator, who sees all."""
    needs = (*of_effect(attempt.command, attempt.given), *_arising(attempt))
    return tuple(
        Ask(need.resource, need.method, need.entity, None if _on(attempt, need.pattern) else names or None)
        for need in needs
        for names in [_names(need, attempt)]
    )


def possible(permissions: Permissions, command: Command) -> Ask | None:
    """
    Return what a user lacks to run a command on anything at all, None where there is something.

    Where one object would do, the names of the question are empty.

    Arguments are not looked at: neither what they name nor what they need on top.
    """
    for need in (*of_effect(command), *needs_of(command)):
        if need.when or need.unless or need.to_reveal or (need.rows or "").startswith("*."):
            continue
        kind = need.resource
        if permissions.may(kind.value, need.method, need.entity, None):
            continue
        some = bool(need.argument or need.rows or need.outlet_of) and kind in LISTED
        if some and _any(permissions, need):
            continue
        return Ask(kind, need.method, need.entity, () if some else None)
    return None


def _any(permissions: Permissions, need: Need) -> bool:
    # On top of a DAG, what is inside it is created and deleted by those who may edit the DAG.
    whole = "PUT" if need.entity and need.method != "GET" else need.method
    names = permissions.names(need.resource.value, whole)
    return any(permissions.may(need.resource.value, need.method, need.entity, name) for name in sorted(names))


def _arising(attempt: Attempt) -> Iterable[Need]:
    """Yield the needs that arise with these arguments."""
    for need in needs_of(attempt.command):
        if need.when and not _on(attempt, need.when):
            continue
        if need.unless and _on(attempt, need.unless):
            continue
        yield need


def _on(attempt: Attempt, argument: str | None) -> bool:
    return argument is not None and (argument in attempt.given or bool(attempt.values.get(argument)))


def _names(need: Need, attempt: Attempt) -> tuple[str, ...]:
    """Return the objects that the arguments name."""
    value = attempt.values.get(need.argument or "")
    if value is None or value == "":
        return ()
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)


def _resolved(permissions: Permissions, need: Need, attempt: Attempt) -> Ask:
    """Return a need with the objects that it is about."""
    names: Iterable[str] | None = _names(need, attempt)
    if need.outlet_of:
        names = permissions.dags_with_outlet(attempt.values.get("name"), attempt.values.get("uri"))
    elif _on(attempt, need.pattern):
        names = permissions.matching_dags("".join(_names(need, attempt)))
    return Ask(need.resource, need.method, need.entity, tuple(names) if names else None)


def _told(permissions: Permissions, need: Need, ask: Ask, attempt: Attempt) -> Ask:
    """Return what is missing as it is told: of what was looked up, nothing that the user may not see."""
    if ask.names is None or not (need.outlet_of or _on(attempt, need.pattern)):
        return ask
    readable = permissions.names(ask.resource.value, "GET")
    lacking = [
        name
        for name in ask.names
        if name in readable and not granted(permissions, replace(ask, names=(name,)))
    ]
    return replace(ask, names=tuple(lacking) or None)


def _seen(permissions: Permissions, need: Need) -> tuple[Ask, tuple[str, ...] | None]:
    """Return the question that a listing comes to, and what rows a user may see of it: None for all."""
    kind = need.resource
    if permissions.may(kind.value, need.method, need.entity, None):
        return Ask(kind, need.method, need.entity, None), None
    names = tuple(sorted(permissions.names(kind.value, need.method)))
    rows = tuple(permissions.readable_files()) if names and need.rows == "filepath" else names
    nothing = not names and not (need.rows or "").startswith("*.")
    return Ask(kind, need.method, need.entity, None if nothing else names), rows
