"""What each command needs of Airflow's permissions: the other half of the policy table.

The rows follow what Airflow's own REST API asks for the same thing (``airflow/api_fastapi/core_api/routes``,
as of 3.3.2). What a command's effect asks for comes on top: see ``of_effect``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from airflow_rest_api.commands.model import Command, Effect

VERBS: Mapping[str, str] = {"GET": "read", "POST": "create", "PUT": "edit", "DELETE": "delete"}
"""What a method of Airflow's auth managers (`ResourceMethod`) lets somebody do."""

PARTS: Mapping[str, str] = {
    "AUDIT_LOG": "audit log",
    "CODE": "code",
    "DEPENDENCIES": "dependencies",
    "HITL_DETAIL": "required actions",
    "RUN": "runs",
    "TASK": "tasks",
    "TASK_INSTANCE": "task instances",
    "TASK_LOGS": "task logs",
    "TASK_RESCHEDULE": "task reschedules",
    "VERSION": "versions",
    "WARNING": "warnings",
    "XCOM": "XComs",
}
"""What is inside a DAG, by Airflow's `DagAccessEntity`."""

VIEWS: Mapping[str, str] = {
    "CLUSTER_ACTIVITY": "cluster activity",
    "DOCS": "documentation",
    "IMPORT_ERRORS": "import errors",
    "JOBS": "jobs",
    "PLUGINS": "plugins",
    "PROVIDERS": "providers",
    "TRIGGERS": "triggers",
    "WEBSITE": "website",
}
"""The views of the installation, by Airflow's `AccessView`."""

POWER = "REST API {}"
"""What Flask-AppBuilder's permission for a power is on."""

DEEDS: Mapping[str, str] = {
    "check_dag_files": "check DAG files",
    "delete_dag_file": "delete DAG files",
    "deploy_dag": "deploy DAG files",
    "legacy_usage": "see who calls the 1.x endpoints",
    "list_dags": "list DAGs",
    "list_tasks": "list the tasks of this DAG",
    "read_dag_files": "look at DAG files",
    "refresh_all_dags": "have all DAG files parsed",
    "refresh_dag": "have the file of this DAG parsed",
    "refresh_dag_file": "have DAG files parsed",
    "rest_api_plugin_version": "see the version of the plugin",
    "rollback_dag_file": "bring back versions of DAG files",
    "run": "run tasks of this DAG",
    "serve_logs": "serve the logs of tasks",
}
"""What is done by what is no command of Airflow's: see `needs.ENDPOINTS`."""

SHOWN = 5
"""Names in a message; more do not help."""


def permission(resource: str, method: str, entity: str | None, of: str) -> str:
    """
    Return a permission as what somebody has to have: `permission to edit the pool 'a'`.

    :param resource: a value of `needs.Resource`
    :param entity: as in `needs.Need`
    :param of: the objects, such as `every pool`; not looked at where the kind has none
    """
    if resource == "power":
        return f"an administrator, or permission to edit {POWER.format(entity)!r}"
    what = of
    if resource == "view":
        what = f"the {VIEWS.get(entity or '') or _spelled(entity)}"
    elif resource == "accounts":
        what = _spelled(entity)
    elif resource == "configuration":
        what = "the configuration"
    elif entity:
        # What is created is not there yet.
        article = "" if method == "POST" else "the "
        what = f"{article}{PARTS.get(entity) or _spelled(entity)} of {of}"
    return f"permission to {VERBS[method]} {what}"


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


def refusal(command: str, takes: object) -> str:
    """
    Return what somebody is told who may not run a command.

    :param takes: what they would have to have, in words
    """
    return f"You may not {DEEDS.get(command) or f'run {command!r}'}: that takes {takes}."


def _spelled(entity: str | None) -> str:
    return (entity or "").replace("_", " ").lower()


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
    to_reveal: bool = False


@dataclass(frozen=True)
class Ask:
    """
    One question to the auth manager: a need, with the objects that it came to.

    :ivar names: None: all of the kind; empty: any one of them, which is only told and never asked
    """

    resource: Resource
    method: str
    entity: str | None
    names: tuple[str, ...] | None

    def __str__(self) -> str:
        """Return what somebody has to have, in words."""
        objects = named(self.resource.value, self.names)
        return permission(self.resource.value, self.method, self.entity, objects)


def _dag(method: str = "GET", entity: str | None = None, *, pattern: str | None = None) -> Need:
    return Need(Resource.DAG, method, entity, "dag_id", pattern)


def _view(name: str) -> Need:
    return Need(Resource.VIEW, entity=name)


def _power(name: str, when: str | None = None) -> Need:
    return Need(Resource.POWER, "PUT", name, when=when)


def _accounts(entity: str, *methods: str) -> tuple[Need, ...]:
    return tuple(Need(Resource.ACCOUNTS, method, entity) for method in methods)


Row = tuple[Need, ...]

NOTHING: Row = ()
"""To be signed in is enough: the effect asks for the rest, or there is nothing to protect."""

_ADMINISTRATOR: Row = (_power(ADMINISTER),)
_INSTANCE: Row = (_dag(entity="TASK_INSTANCE"),)
_PROVIDERS: Row = (_view("PROVIDERS"),)
_PICTURE = _power(ADMINISTER, when="imgcat")
_PAUSE: Row = (_dag("PUT", pattern="treat_dag_id_as_regex"),)
_DAG_ROWS = Need(Resource.DAG, rows="dag_id")
_MENTIONED_DAGS = Need(Resource.DAG, rows="*.dag_id")
_ASSETS: Row = (
    Need(Resource.ASSET, unless="alias"),
    Need(Resource.ASSET_ALIAS, when="alias"),
    _MENTIONED_DAGS,
)
_CONFIGURATION = Need(Resource.CONFIGURATION)
_SET_POOL: Row = tuple(Need(Resource.POOL, method, argument="pool") for method in ("POST", "PUT"))


def _all(resource: Resource, *methods: str) -> Row:
    return tuple(Need(resource, method) for method in methods)


# Airflow 3.3 with its own commands and those of the Celery and FAB providers.
CURRENT: dict[str, Row] = {
    "api-server": NOTHING,
    "assets details": _ASSETS,
    "assets list": _ASSETS,
    "assets materialize": (Need(Resource.ASSET, "POST"), Need(Resource.DAG, "POST", "RUN", outlet_of=True)),
    "backfill create": (_dag("POST", "RUN"),),
    "celery add-queue": NOTHING,
    "celery flower": NOTHING,
    "celery list-workers": (_view("CLUSTER_ACTIVITY"),),
    "celery remove-all-queues": NOTHING,
    "celery remove-queue": NOTHING,
    "celery shutdown-all-workers": NOTHING,
    "celery shutdown-worker": NOTHING,
    "celery stop": NOTHING,
    "celery worker": NOTHING,
    "cheat-sheet": NOTHING,
    # The configuration holds the keys that sign Airflow's tokens: who reads them can be anybody. The simple
    # auth manager lets the role OP edit it, so that permission is not enough.
    "config get-value": _ADMINISTRATOR,
    "config lint": _ADMINISTRATOR,
    "config list": (_CONFIGURATION, _power(ADMINISTER, when="show_values")),
    "config update": _ADMINISTRATOR,
    "connections add": (Need(Resource.CONNECTION, "POST", argument="conn_id"),),
    "connections create-default-connections": _all(Resource.CONNECTION, "POST"),
    "connections delete": (Need(Resource.CONNECTION, "DELETE", argument="conn_id"),),
    "connections export": _all(Resource.CONNECTION, "PUT"),
    "connections get": (Need(Resource.CONNECTION, "PUT", argument="conn_id"),),
    "connections import": _all(Resource.CONNECTION, "POST", "PUT"),
    "connections list": (
        Need(Resource.CONNECTION, rows="conn_id"),
        Need(Resource.CONNECTION, "PUT", rows="conn_id", when="show_values"),
    ),
    "connections test": (Need(Resource.CONNECTION, "PUT", argument="conn_id"),),
    "dag-processor": NOTHING,
    "dags clear": (_dag("PUT", "RUN"),),
    "dags delete": (_dag("DELETE"),),
    "dags details": (_dag(),),
    "dags list": (_DAG_ROWS,),
    "dags list-import-errors": (_view("IMPORT_ERRORS"), Need(Resource.DAG, rows="filepath")),
    "dags list-jobs": (_view("JOBS"), Need(Resource.DAG, argument="dag_id", rows="dag_id")),
    "dags list-runs": (_dag(entity="RUN"),),
    "dags next-execution": (_dag(),),
    "dags pause": _PAUSE,
    "dags report": (Need(Resource.DAG, rows="dags"),),
    "dags reserialize": _all(Resource.DAG, "PUT"),
    "dags show": (_dag(entity="TASK"), _PICTURE),
    "dags show-dependencies": (Need(Resource.DAG, entity="DEPENDENCIES"), _PICTURE),
    "dags state": (_dag(entity="RUN"),),
    "dags test": (_dag("POST", "RUN"), _power(ADMINISTER, when="imgcat_dagrun")),
    "dags trigger": (_dag("POST", "RUN"),),
    "dags unpause": _PAUSE,
    "db check": NOTHING,
    "db check-migrations": NOTHING,
    "db clean": (Need(Resource.DAG, "DELETE", argument="dag_ids"),),
    "db downgrade": NOTHING,
    "db drop-archived": NOTHING,
    "db export-archived": NOTHING,
    "db migrate": _ADMINISTRATOR,
    "db reset": NOTHING,
    "db shell": NOTHING,
    "db-manager downgrade": NOTHING,
    "db-manager migrate": NOTHING,
    "db-manager reset": NOTHING,
    "fab-db downgrade": NOTHING,
    "fab-db migrate": _ADMINISTRATOR,
    "fab-db reset": NOTHING,
    # Shows the database's address with its password; --file-io sends the report to a public service.
    "info": _ADMINISTRATOR,
    "jobs check": (_view("JOBS"),),
    "kerberos": NOTHING,
    "partitions clear": (
        _dag("PUT", "RUN"),
        Need(Resource.DAG, "PUT", "TASK_INSTANCE", "dag_id", when="clear_task_instances"),
    ),
    "permissions-cleanup": _accounts("Roles", "PUT"),
    "plugins": (_view("PLUGINS"),),
    "pools delete": (Need(Resource.POOL, "DELETE", argument="pool"),),
    "pools export": _all(Resource.POOL, "GET"),
    "pools get": (Need(Resource.POOL, argument="pool"),),
    "pools import": _all(Resource.POOL, "POST", "PUT"),
    "pools list": (Need(Resource.POOL, rows="pool"),),
    # Whether it creates or changes the pool, nobody knows before.
    "pools set": (*_SET_POOL, Need(Resource.TEAM, argument="team_name", when="team_name")),
    "providers auth-managers": _PROVIDERS,
    "providers behaviours": _PROVIDERS,
    "providers configs": _PROVIDERS,
    "providers executors": _PROVIDERS,
    "providers get": _PROVIDERS,
    "providers hooks": _PROVIDERS,
    "providers lazy-loaded": _PROVIDERS,
    "providers links": _PROVIDERS,
    "providers list": _PROVIDERS,
    "providers logging": _PROVIDERS,
    "providers notifications": _PROVIDERS,
    "providers queues": _PROVIDERS,
    "providers secrets": _PROVIDERS,
    "providers triggers": _PROVIDERS,
    "providers widgets": _PROVIDERS,
    "roles add-perms": _accounts("Roles", "PUT"),
    "roles create": _accounts("Roles", "POST"),
    "roles del-perms": _accounts("Roles", "PUT"),
    "roles delete": _accounts("Roles", "DELETE"),
    "roles export": _accounts("Roles", "GET"),
    "roles import": _accounts("Roles", "POST", "PUT"),
    "roles list": _accounts("Roles", "GET"),
    "rotate-fernet-key": NOTHING,
    "scheduler": NOTHING,
    "standalone": NOTHING,
    "state-store clean": _ADMINISTRATOR,
    "sync-perm": _accounts("Roles", "PUT"),
    "tasks clear": (_dag("PUT", "TASK_INSTANCE", pattern="dag_regex"),),
    "tasks failed-deps": _INSTANCE,
    "tasks list": (_dag(entity="TASK"),),
    # A template can have any variable and connection in it.
    "tasks render": (
        _dag("PUT", "TASK_INSTANCE"),
        Need(Resource.VARIABLE, "PUT", to_reveal=True),
        Need(Resource.CONNECTION, "PUT", to_reveal=True),
    ),
    "tasks state": _INSTANCE,
    "tasks states-for-dag-run": _INSTANCE,
    "tasks test": (_dag("PUT", "TASK_INSTANCE"),),
    "teams create": _ADMINISTRATOR,
    "teams delete": _ADMINISTRATOR,
    "teams list": (Need(Resource.TEAM, rows="name"),),
    "teams sync": _ADMINISTRATOR,
    "triggerer": NOTHING,
    "users add-role": _accounts("Users", "PUT"),
    "users create": _accounts("Users", "POST"),
    "users delete": _accounts("Users", "DELETE"),
    "users export": _accounts("Users", "PUT"),
    "users import": _accounts("Users", "POST", "PUT"),
    "users list": _accounts("Users", "PUT"),
    "users remove-role": _accounts("Users", "PUT"),
    "users reset-password": _accounts("Users", "PUT"),
    "variables delete": (Need(Resource.VARIABLE, "DELETE", argument="key"),),
    "variables export": _all(Resource.VARIABLE, "PUT"),
    # Airflow's own API shows a variable to its readers, but for what it hides by the names of keys.
    "variables get": (
        Need(Resource.VARIABLE, argument="key"),
        Need(Resource.VARIABLE, "PUT", argument="key", to_reveal=True),
    ),
    "variables import": _all(Resource.VARIABLE, "POST", "PUT"),
    "variables list": (
        Need(Resource.VARIABLE, rows="key"),
        Need(Resource.VARIABLE, "PUT", rows="key", when="show_values"),
    ),
    "variables set": tuple(Need(Resource.VARIABLE, method, argument="key") for method in ("POST", "PUT")),
    "version": NOTHING,
}

# The Kubernetes provider, where it is installed.
KUBERNETES: dict[str, Row] = {
    "kubernetes cleanup-pods": NOTHING,
    "kubernetes generate-dag-yaml": (_dag("GET", "CODE"),),
}

# Airflow 2.11, gone in 3.0.
REMOVED_IN_3_0: dict[str, Row] = {
    "dags backfill": (_dag("POST", "RUN", pattern="treat_dag_as_regex"),),
    "db init": _ADMINISTRATOR,
    "db upgrade": _ADMINISTRATOR,
    "providers auth": _PROVIDERS,
    "tasks run": (_dag("POST", "RUN"), _dag("PUT", "TASK_INSTANCE")),
    "webserver": NOTHING,
}

# What we do that no command of Airflow does, by the names of the 1.x endpoints where they are for it.
ENDPOINTS: dict[str, Row] = {
    "check_dag_files": (_power(DEPLOY),),
    "delete_dag_file": (_power(DEPLOY),),
    "deploy_dag": (_power(DEPLOY),),
    "legacy_usage": _ADMINISTRATOR,
    "list_dags": (_DAG_ROWS, Need(Resource.DAG, rows="dags", when="report")),
    "list_tasks": (_dag(entity="TASK"),),
    "read_dag_files": (_power(DEPLOY),),
    "rest_api_plugin_version": NOTHING,
    "rollback_dag_file": (_power(DEPLOY),),
    "refresh_all_dags": _all(Resource.DAG, "PUT"),
    "refresh_dag": (_dag("PUT"),),
    "refresh_dag_file": (_power(DEPLOY),),
    "run": (_dag("POST", "RUN"), _dag("PUT", "TASK_INSTANCE")),
    "serve_logs": NOTHING,
}

NEEDS: dict[str, Row] = {**CURRENT, **KUBERNETES, **REMOVED_IN_3_0, **ENDPOINTS}

# Components that run the code of DAG authors where they are started, as `execute` commands do.
RUN_DAG_CODE = frozenset({"celery worker", "dag-processor", "scheduler", "standalone", "triggerer"})

# Storing files for the DAG processor has a power of its own, although it runs their code to look into them.
DEPLOYMENT = frozenset({"check_dag_files", "deploy_dag", "rollback_dag_file"})

# Which DAG file is read: in the bundle of their choice, the DAG that a caller may touch could be another one.
CHOOSES_CODE = frozenset({"bundle_name", "subdir"})


def needs_of(command: Command) -> Row:
    """Return what a command needs beside what its effect asks for; of an unknown one, an administrator."""
    row = NEEDS.get(command.name)
    return _ADMINISTRATOR if row is None or not command.known else row


def of_effect(command: Command, given: frozenset[str] = frozenset()) -> Row:
    """
    Return what a command needs because of its effect.

    :param given: the arguments that the caller chose
    """
    effect = command.effect_of(given)
    power = OF_EFFECT.get(effect)
    found = [_power(power)] if power and command.name not in DEPLOYMENT else []
    if effect is Effect.EXECUTE and given & CHOOSES_CODE:
        found.append(_power(ADMINISTER))
    if command.grants_access:
        found.append(_power(ADMINISTER))
    if any(argument.server_path for name in given if (argument := command.argument(name))):
        found.append(_power(ADMINISTER))
    return tuple(found)


def described(command: Command) -> list[str]:
    """Return what a command needs, one phrase each."""
    return [phrase(need) for need in (*of_effect(command), *needs_of(command))]


def phrase(need: Need) -> str:
    """Return what somebody has to have for a need, in words; names of arguments stand in backquotes."""
    words = permission(need.resource.value, need.method, need.entity, _objects(need))
    if need.to_reveal:
        words += ", for what Airflow masks to be shown"
    if need.when:
        words += f" (with `{need.when}`)"
    if need.unless:
        words += f" (without `{need.unless}`)"
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
