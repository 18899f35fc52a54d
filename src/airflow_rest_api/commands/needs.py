"""What of Airflow's permissions a command can need, and that in words.

No method of HTTP and no constant of Airflow's gets to a client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_rest_api.commands.model import Effect

VERBS: Mapping[str, str] = {"GET": "read", "POST": "create", "PUT": "edit", "DELETE": "delete"}
"""What a method of Airflow's auth managers (`ResourceMethod`) stands for."""

NAMES: Mapping[str, str] = {
    "DOCS": "documentation",
    "HITL_DETAIL": "required actions",
    "RUN": "runs",
    "TASK": "tasks",
    "TASK_INSTANCE": "task instances",
    "TASK_RESCHEDULE": "task reschedules",
    "VERSION": "versions",
    "WARNING": "warnings",
    "XCOM": "XComs",
}
"""Parts of a DAG (`DagAccessEntity`) and views (`AccessView`) that are not called as Airflow spells them."""

SHOWN = 5
"""Names in a message; more do not help."""


class Resource(str, Enum):
    """The kinds of things that an auth manager decides about."""

    DAG = "DAG"
    CONNECTION = "connection"
    VARIABLE = "variable"
    POOL = "pool"
    CONFIGURATION = "configuration"
    ASSET = "asset"
    ASSET_ALIAS = "asset alias"
    TEAM = "team"
    BACKFILL = "backfill"
    """Asked about by themselves before Airflow 3.1 alone."""
    VIEW = "view"
    """A read-only view of the installation; the entity says which."""
    ACCOUNTS = "accounts"
    """Users and roles, which only Flask-AppBuilder has; the entity is its name for them."""
    POWER = "power"
    """Held by administrators, and by whom they grant it to; the entity says which: see ``POWERS``."""


EXECUTE, SERVICE, DESTRUCTIVE, DEPLOY, ADMINISTER = (
    "Execute",
    "Service",
    "Destructive",
    "Deploy",
    "Administration",
)
POWERS = (EXECUTE, SERVICE, DESTRUCTIVE, DEPLOY, ADMINISTER)
QUEUE = "Queue:"
"""What the power begins with that is for one queue of runners."""
OF_EFFECT = {Effect.EXECUTE: EXECUTE, Effect.SERVICE: SERVICE, Effect.DESTRUCTIVE: DESTRUCTIVE}


@dataclass(frozen=True)
class Need:
    """
    One thing that a command needs.

    :ivar method: GET to read, POST to create, PUT to edit, DELETE
    :ivar entity: what of the DAG (Airflow's DagAccessEntity), which view (AccessView), which power
    :ivar argument: names the object, or a list of them; without it, or where it is not given, all objects of
        the kind are meant
    :ivar pattern: the flag that makes the argument a regular expression
    :ivar outlet_of: the object is the DAG whose outlet is the asset that the arguments name and uri describe
    :ivar rows: the key by which each row of the output names its object: rows of others are left out. With a
        leading ``*.`` the objects are only mentioned inside the rows
    :ivar when: the argument without which the need does not arise
    :ivar unless: the argument with which it does not
    :ivar before: it arises on older versions of Airflow than this one alone
    :ivar to_reveal: without it nothing is refused: the secrets in what is printed are masked
    """

    resource: Resource
    method: str = "GET"
    entity: str | None = None
    argument: str | None = None
    pattern: str | None = None
    outlet_of: bool = False
    rows: str | None = None
    when: str | None = None
    unless: str | None = None
    before: tuple[int, int] | None = None
    to_reveal: bool = False


@dataclass(frozen=True)
class Ask:
    """
    One question to the auth manager: a need, with the objects that it came to.

    :ivar names: None: all of the kind; empty: any one of them, for messages alone
    """

    resource: Resource
    method: str
    entity: str | None
    names: tuple[str, ...] | None

    def __str__(self) -> str:
        """Return the permission that is needed, in words."""
        objects = named(self.resource.value, self.names)
        return permission(self.resource, self.method, self.entity, objects)


Needed = tuple[Need, ...]

NOTHING: Needed = ()
"""To be signed in is enough: the effect asks for the rest, or there is nothing to protect."""


def dag(method: str = "GET", entity: str | None = None, **more: Any) -> Needed:
    """Return the need of the DAG that `dag_id` names, or of something inside it."""
    return (Need(Resource.DAG, method, entity, "dag_id", **more),)


def that(resource: Resource, argument: str, *methods: str, **more: Any) -> Needed:
    """Return the needs of the object that an argument names, to read it where no method is given."""
    return tuple(Need(resource, method, argument=argument, **more) for method in methods or ("GET",))


def every(resource: Resource, *methods: str, **more: Any) -> Needed:
    """Return the needs of all objects of a kind, to read them where no method is given."""
    return tuple(Need(resource, method, **more) for method in methods or ("GET",))


def view(name: str) -> Needed:
    """Return the need of a view of the installation."""
    return (Need(Resource.VIEW, entity=name),)


def power(name: str, when: str | None = None, *, unless: str | None = None) -> Needed:
    """Return the need of one of `POWERS`."""
    return (Need(Resource.POWER, "PUT", name, when=when, unless=unless),)


def accounts(entity: str, *methods: str) -> Needed:
    """Return the needs of Flask-AppBuilder's users or roles."""
    return tuple(Need(Resource.ACCOUNTS, method, entity) for method in methods)


def phrase(need: Need) -> str:
    """Return a need in words; names of arguments stand in backquotes."""
    words = permission(need.resource, need.method, need.entity, _objects(need))
    if need.to_reveal:
        words += ", for what Airflow masks to be shown"
    if need.when:
        words += f" (with `{need.when}`)"
    if need.unless:
        words += f" (without `{need.unless}`)"
    if need.before:
        words += f" (before Airflow {'.'.join(map(str, need.before))})"
    return words


def _objects(need: Need) -> str:
    kind = need.resource.value
    if need.outlet_of:
        return "the DAG that makes the asset"
    if need.rows and need.rows.startswith("*."):
        return f"each {kind} mentioned (the others are left out)"
    if need.argument:
        other = f", or each that it matches with `{need.pattern}`" if need.pattern else ""
        other = other or (" (without it, the rows of the others are left out)" if need.rows else "")
        return f"the {kind} that `{need.argument}` names{other}"
    return f"each {kind} listed (the others are left out)" if need.rows else f"every {kind}"


def permission(resource: Resource, method: str, entity: str | None, of: str) -> str:
    """
    Return a permission in words: `permission to edit the pool 'a'`.

    :param entity: as in `Need`
    :param of: the objects, such as `every pool`; not looked at where the kind has none
    """
    if resource is Resource.POWER:
        return f"an administrator, or permission to edit {resource_of(str(entity))!r}"
    what = of
    if resource is Resource.VIEW:
        what = f"the {_spelled(entity)}"
    elif resource is Resource.ACCOUNTS:
        what = _spelled(entity)
    elif resource is Resource.CONFIGURATION:
        what = "the configuration"
    elif entity:
        # What is created is not there yet.
        article = "" if method == "POST" else "the "
        what = f"{article}{_spelled(entity)} of {of}"
    return f"permission to {VERBS[method]} {what}"


def resource_of(power: str) -> str:
    """Return the name of the resource on which Flask-AppBuilder's `can_edit` grants a power to a role."""
    return f"REST API {power}"


def queue_power(queue: str) -> str:
    """Return the power of who may name a queue where the rules lead elsewhere."""
    return f"{QUEUE} {queue}"


def named(kind: str, names: Sequence[str] | None) -> str:
    """
    Return objects by their names: `the DAGs 'a', 'b'`.

    :param names: None for all of the kind, empty for any one
    """
    if not names:
        return f"every {kind}" if names is None else f"any {kind}"
    more = " …" if len(names) > SHOWN else ""
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return f"the {kind}{'s' if len(names) > 1 else ''} {shown}{more}"


def _spelled(entity: str | None) -> str:
    return NAMES.get(entity or "", (entity or "").replace("_", " ").lower())
