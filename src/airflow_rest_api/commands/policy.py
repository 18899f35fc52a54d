"""What each command may do and needs: the one table of all commands.

Effects were found by reading what the commands do (``airflow/cli/commands`` and the providers' ``cli``
packages, as of Airflow 3.3.2); needs follow what Airflow's own REST API asks for the same thing
(``airflow/api_fastapi/core_api/routes``). Only an administrator may run a command without a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from airflow_rest_api.airflow.compat.accounts import multi_team
from airflow_rest_api.airflow.compat.version_compat import base_version
from airflow_rest_api.commands.model import Command, Effect
from airflow_rest_api.commands.needs import (
    ADMINISTER,
    DEPLOY,
    NOTHING,
    OF_EFFECT,
    Needed,
    Resource,
    accounts,
    dag,
    every,
    phrase,
    power,
    that,
    view,
)

READ, WRITE, EXECUTE, SERVICE, DESTRUCTIVE = Effect

DAG, CONNECTION, VARIABLE, POOL = Resource.DAG, Resource.CONNECTION, Resource.VARIABLE, Resource.POOL

CHOOSES_CODE = frozenset({"bundle_name", "subdir"})
"""Say which DAG file is read: elsewhere, the DAG that a caller may touch could be another one."""


@dataclass(frozen=True)
class Rule:
    """
    What running a command may do, and what of Airflow's permissions it needs beside the power of its effect.

    :ivar with_teams: needs on top of them where objects belong to teams: it may give one to any, or take it
    :ivar reveals_secrets: its output or its file can hold passwords, keys, connection strings, or personal
        data in clear
    :ivar raised_by: arguments that make the effect a more severe one
    :ivar revealed_by: where the installed command has this argument, secrets are shown only when it is given;
        where it has none, they always are, unless they are `hidden_before`
    :ivar hidden_before: no version shows secrets that lacks the argument `revealed_by`
    :ivar grants_access: it starts another API server, or changes users, roles, or what they may: who runs it
        can become any user, so that it is for administrators alone, and off until the configuration names it
    :ivar runs_dag_code: a component that runs the code of DAG authors where it is started
    :ivar own_power: its needs have the power in them, and the one of its effect is not asked for
    :ivar alone: a process of its own runs it, though its effect would let a resident child (`Rule.resident`)
    :ivar parses_before: on older versions of Airflow than this one it parses DAG files, whatever it is given
    :ivar deed: what it does, in words, where it is no command of Airflow's
    """

    effect: Effect
    needs: Needed = NOTHING
    with_teams: Needed = NOTHING
    reveals_secrets: bool = False
    raised_by: Mapping[str, Effect] = field(default_factory=dict)
    revealed_by: str | None = None
    hidden_before: bool = False
    grants_access: bool = False
    runs_dag_code: bool = False
    own_power: bool = False
    alone: bool = False
    parses_before: tuple[int, int] | None = None
    deed: str = ""

    @property
    def resident(self) -> bool:
        """
        Whether a child may run it that has run other commands, and runs others after it.

        Its code is Airflow's own, and changes nothing but the database: no DAG author's code, no component.
        """
        return self.effect in (READ, WRITE) and not (self.alone or self.grants_access)

    def on(self, version: tuple[int, ...]) -> Rule:
        """Return what holds on a version of Airflow, such as ``(3, 0, 6)``."""
        parses = self.parses_before is not None and version < self.parses_before
        return replace(self, effect=EXECUTE) if parses else self


ADMINISTRATOR = power(ADMINISTER)

UNKNOWN = Rule(EXECUTE, ADMINISTRATOR, reveals_secrets=True, grants_access=True)
"""Of a command that was never looked at, the worst is taken to be true."""

_ASSETS = Rule(
    READ,
    every(Resource.ASSET, unless="alias")
    + every(Resource.ASSET_ALIAS, when="alias")
    + every(DAG, rows="*.dag_id"),
)
_LISTED_DAGS = every(DAG, rows="dag_id")
_INSTANCE = Rule(READ, dag("GET", "TASK_INSTANCE"))
_OF_TEAM = that(Resource.TEAM, "team_name", when="team_name")
_PAUSE = Rule(WRITE, dag("PUT", pattern="treat_dag_id_as_regex"))
_PICTURE = power(ADMINISTER, when="imgcat")
_PROVIDERS = Rule(READ, view("PROVIDERS"))
_BEFORE_3_3 = tuple(replace(need, before=(3, 3)) for need in ADMINISTRATOR)
_COMPONENT = Rule(SERVICE)
_DAG_COMPONENT = Rule(SERVICE, runs_dag_code=True)
# All tables of the users may be among those that are dropped, or go back in time.
_ENDS_ACCESS = Rule(DESTRUCTIVE, grants_access=True)
# The configuration holds the keys that sign Airflow's tokens: who reads them can be any user. The simple auth
# manager lets the role OP edit it, so that permission is not enough.
_SHOWS_CONFIGURATION = Rule(READ, ADMINISTRATOR, reveals_secrets=True)


def _roles(*methods: str) -> Rule:
    return Rule(WRITE, accounts("Roles", *methods), grants_access=True)


def _users(*methods: str) -> Rule:
    return Rule(WRITE, accounts("Users", *methods), grants_access=True)


def _listed(resource: Resource, key: str, hidden_before: bool = False) -> Rule:
    """Return the rule of a listing that shows values only when asked to: of what the caller may edit."""
    needs = every(resource, rows=key) + every(resource, "PUT", rows=key, when="show_values")
    return Rule(READ, needs, reveals_secrets=True, revealed_by="show_values", hidden_before=hidden_before)


# Airflow 3.3 with its own commands and those of the Celery and FAB providers.
CURRENT: dict[str, Rule] = {
    "api-server": Rule(SERVICE, grants_access=True),
    "assets details": _ASSETS,
    "assets list": _ASSETS,
    "assets materialize": Rule(
        WRITE, every(Resource.ASSET, "POST") + every(DAG, "POST", entity="RUN", outlet_of=True)
    ),
    # Leaves a handler of a signal.
    "backfill create": Rule(
        WRITE, dag("POST", "RUN") + every(Resource.BACKFILL, "POST", before=(3, 1)), alone=True
    ),
    "celery add-queue": _COMPONENT,
    "celery flower": _COMPONENT,
    # Speaks to the broker, and waits for the answers of workers.
    "celery list-workers": Rule(READ, view("CLUSTER_ACTIVITY"), alone=True),
    "celery remove-all-queues": _COMPONENT,
    "celery remove-queue": _COMPONENT,
    "celery shutdown-all-workers": _COMPONENT,
    "celery shutdown-worker": _COMPONENT,
    "celery stop": _COMPONENT,
    "celery worker": _DAG_COMPONENT,
    "cheat-sheet": Rule(READ),
    "config get-value": _SHOWS_CONFIGURATION,
    # A finding may quote the value of the option: "You currently have … set".
    "config lint": _SHOWS_CONFIGURATION,
    "config list": Rule(
        READ,
        every(Resource.CONFIGURATION) + power(ADMINISTER, when="show_values"),
        reveals_secrets=True,
        revealed_by="show_values",
    ),
    # --fix writes airflow.cfg; without it, the findings of lint.
    "config update": Rule(WRITE, ADMINISTRATOR, reveals_secrets=True, alone=True),
    "connections add": Rule(WRITE, that(CONNECTION, "conn_id", "POST"), power(ADMINISTER, "conn_json")),
    "connections create-default-connections": Rule(WRITE, every(CONNECTION, "POST")),
    "connections delete": Rule(WRITE, that(CONNECTION, "conn_id", "DELETE")),
    "connections export": Rule(READ, every(CONNECTION, "PUT"), reveals_secrets=True),
    "connections get": Rule(READ, that(CONNECTION, "conn_id", "PUT"), reveals_secrets=True),
    "connections import": Rule(WRITE, every(CONNECTION, "POST", "PUT"), with_teams=ADMINISTRATOR),
    "connections list": _listed(CONNECTION, "conn_id"),
    # Runs the hook of a provider, with the stored password, against the other side.
    "connections test": Rule(EXECUTE, that(CONNECTION, "conn_id", "PUT"), reveals_secrets=True),
    "dag-processor": _DAG_COMPONENT,
    "dags clear": Rule(WRITE, dag("PUT", "RUN")),
    "dags delete": Rule(DESTRUCTIVE, dag("DELETE")),
    "dags details": Rule(READ, dag()),
    # --local parses the DAG files in place of reading the database.
    "dags list": Rule(READ, _LISTED_DAGS, raised_by={"local": EXECUTE}),
    "dags list-import-errors": Rule(
        READ, view("IMPORT_ERRORS") + every(DAG, rows="filepath"), raised_by={"local": EXECUTE}
    ),
    "dags list-jobs": Rule(READ, view("JOBS") + that(DAG, "dag_id", rows="dag_id")),
    "dags list-runs": Rule(READ, dag("GET", "RUN")),
    "dags next-execution": Rule(READ, dag()),
    "dags pause": _PAUSE,
    "dags report": Rule(EXECUTE, every(DAG, rows="dags")),
    "dags reserialize": Rule(EXECUTE, every(DAG, "PUT")),
    # A program draws the picture.
    "dags show": Rule(READ, dag("GET", "TASK") + _PICTURE, alone=True),
    "dags show-dependencies": Rule(READ, every(DAG, entity="DEPENDENCIES") + _PICTURE, alone=True),
    "dags state": Rule(READ, dag("GET", "RUN")),
    "dags test": Rule(EXECUTE, dag("POST", "RUN") + power(ADMINISTER, when="imgcat_dagrun")),
    "dags trigger": Rule(WRITE, dag("POST", "RUN")),
    "dags unpause": _PAUSE,
    "db check": Rule(READ),
    "db check-migrations": Rule(READ, alone=True),
    "db clean": Rule(DESTRUCTIVE, that(DAG, "dag_ids", "DELETE")),
    "db downgrade": _ENDS_ACCESS,
    "db drop-archived": Rule(DESTRUCTIVE),
    # Writes to a folder of the server, and with --drop-archives drops what it has exported.
    "db export-archived": Rule(DESTRUCTIVE, reveals_secrets=True),
    "db migrate": Rule(WRITE, ADMINISTRATOR, alone=True),
    "db reset": _ENDS_ACCESS,
    "db shell": Rule(DESTRUCTIVE, reveals_secrets=True, grants_access=True),
    "db-manager downgrade": _ENDS_ACCESS,
    "db-manager migrate": _ENDS_ACCESS,
    "db-manager reset": _ENDS_ACCESS,
    "fab-db downgrade": _ENDS_ACCESS,
    "fab-db migrate": Rule(WRITE, ADMINISTRATOR, alone=True),
    "fab-db reset": _ENDS_ACCESS,
    # The database's address with its password, and the server's folders; --file-io sends them to a public
    # service.
    "info": Rule(READ, ADMINISTRATOR, reveals_secrets=True, raised_by={"file_io": WRITE}, alone=True),
    "jobs check": Rule(READ, view("JOBS")),
    "kerberos": _COMPONENT,
    "partitions clear": Rule(
        WRITE,
        dag("PUT", "RUN") + dag("PUT", "TASK_INSTANCE", when="clear_task_instances"),
    ),
    "permissions-cleanup": Rule(DESTRUCTIVE, accounts("Roles", "PUT"), grants_access=True),
    "plugins": Rule(READ, view("PLUGINS")),
    "pools delete": Rule(WRITE, that(POOL, "pool", "DELETE")),
    "pools export": Rule(READ, every(POOL)),
    "pools get": Rule(READ, that(POOL, "pool")),
    "pools import": Rule(WRITE, every(POOL, "POST", "PUT"), with_teams=ADMINISTRATOR),
    "pools list": Rule(READ, every(POOL, rows="pool")),
    # Whether it creates or changes the pool is not known before; without a team it is taken from its own.
    "pools set": Rule(
        WRITE, that(POOL, "pool", "POST", "PUT") + _OF_TEAM, with_teams=power(ADMINISTER, unless="team_name")
    ),
    # Their imports leave exit handlers.
    "providers auth-managers": Rule(READ, view("PROVIDERS"), alone=True),
    "providers behaviours": _PROVIDERS,
    "providers configs": _PROVIDERS,
    "providers executors": Rule(READ, view("PROVIDERS"), alone=True),
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
    "rest-api runner": _DAG_COMPONENT,
    "roles add-perms": _roles("PUT"),
    "roles create": _roles("POST"),
    "roles del-perms": _roles("PUT"),
    "roles delete": _roles("DELETE"),
    # What lists them makes an application of Flask-AppBuilder in its process.
    "roles export": Rule(READ, accounts("Roles", "GET"), alone=True),
    "roles import": _roles("POST", "PUT"),
    "roles list": Rule(READ, accounts("Roles", "GET"), alone=True),
    "rotate-fernet-key": Rule(DESTRUCTIVE),
    "scheduler": _DAG_COMPONENT,
    # Starts an API server whose users are those of the simple auth manager, and prints the password of the
    # administrator that it makes.
    "standalone": Rule(SERVICE, reveals_secrets=True, grants_access=True, runs_dag_code=True),
    # Deletes what has expired, as the scheduler would.
    "state-store clean": Rule(WRITE, ADMINISTRATOR),
    "sync-perm": _roles("PUT"),
    # Airflow asks the DAG files which DAGs the expression matches; that the database is
    # asked (`child.clearing`) takes nothing off that. Before 3.2 it parses the file of a DAG that is named,
    # unless that has a bundle or an expression for its tasks beside it.
    "tasks clear": Rule(
        WRITE,
        dag("PUT", "TASK_INSTANCE", pattern="dag_regex"),
        raised_by={"dag_regex": EXECUTE},
        parses_before=(3, 2),
    ),
    # Leaves a transaction open.
    "tasks failed-deps": Rule(READ, dag("GET", "TASK_INSTANCE"), alone=True, parses_before=(3, 1)),
    "tasks list": Rule(EXECUTE, dag("GET", "TASK")),
    # A template can have any variable and connection in it.
    "tasks render": Rule(
        EXECUTE,
        dag("PUT", "TASK_INSTANCE")
        + every(VARIABLE, "PUT", to_reveal=True)
        + every(CONNECTION, "PUT", to_reveal=True),
        reveals_secrets=True,
    ),
    "tasks state": _INSTANCE,
    "tasks states-for-dag-run": _INSTANCE,
    # The variables are those of the process, for whatever the task starts: a shell runs what BASH_ENV holds,
    # and Airflow takes connections and variables from them.
    "tasks test": Rule(EXECUTE, dag("PUT", "TASK_INSTANCE") + power(ADMINISTER, when="env_vars")),
    "teams create": Rule(WRITE, ADMINISTRATOR),
    "teams delete": Rule(WRITE, ADMINISTRATOR),
    "teams list": Rule(READ, every(Resource.TEAM, rows="name")),
    "teams sync": Rule(WRITE, ADMINISTRATOR),
    "triggerer": _DAG_COMPONENT,
    "users add-role": _users("PUT"),
    "users create": _users("POST"),
    "users delete": _users("DELETE"),
    "users export": Rule(READ, accounts("Users", "PUT"), reveals_secrets=True, alone=True),
    "users import": _users("POST", "PUT"),
    "users list": Rule(READ, accounts("Users", "PUT"), reveals_secrets=True, alone=True),
    "users remove-role": _users("PUT"),
    "users reset-password": _users("PUT"),
    "variables delete": Rule(WRITE, that(VARIABLE, "key", "DELETE")),
    "variables export": Rule(READ, every(VARIABLE, "PUT"), reveals_secrets=True),
    # Airflow's own API shows a variable to its readers, but for what it hides by the names of keys.
    "variables get": Rule(
        READ, that(VARIABLE, "key") + that(VARIABLE, "key", "PUT", to_reveal=True), reveals_secrets=True
    ),
    # Airflow 3.2 makes a variable everybody's that is set without its team (`Variable.set`), which both do.
    "variables import": Rule(WRITE, every(VARIABLE, "POST", "PUT"), with_teams=_BEFORE_3_3),
    # Before Airflow 3.2 it prints keys alone.
    "variables list": _listed(VARIABLE, "key", hidden_before=True),
    "variables set": Rule(WRITE, that(VARIABLE, "key", "POST", "PUT"), with_teams=_BEFORE_3_3),
    "version": Rule(READ),
}

# The Kubernetes provider, where it is installed.
KUBERNETES: dict[str, Rule] = {
    "kubernetes cleanup-pods": Rule(DESTRUCTIVE),
    # Parses the DAG file, and writes to a folder of the server.
    "kubernetes generate-dag-yaml": Rule(EXECUTE, dag("GET", "CODE")),
}

KUBERNETES_ARGUMENTS: Mapping[str, Set[str]] = {
    "kubernetes cleanup-pods": {"min_completed_minutes", "min_pending_minutes", "namespace", "verbose"},
    "kubernetes generate-dag-yaml": {"bundle_name", "dag_id", "execution_date", "logical_date"}
    | {"output_path", "subdir", "team", "verbose"},
}
"""Those reviewed (airflow/providers/cncf/kubernetes/cli/definition.py); `reviewed.json` has the rest."""

COMMANDS: dict[str, Rule] = {**CURRENT, **KUBERNETES}

# What we do that no command of Airflow does, by the names of the 1.x endpoints where they are for it. Storing
# files for the DAG processor has a power of its own, although it runs their code to look into them.
OWN: dict[str, Rule] = {
    "check_dag_files": Rule(EXECUTE, power(DEPLOY), own_power=True, deed="check DAG files"),
    "delete_dag_file": Rule(WRITE, power(DEPLOY), deed="delete DAG files"),
    "deploy_dag": Rule(EXECUTE, power(DEPLOY), own_power=True, deed="deploy DAG files"),
    "legacy_usage": Rule(READ, ADMINISTRATOR, deed="see who calls the 1.x endpoints"),
    "list_dags": Rule(
        READ,
        _LISTED_DAGS + every(DAG, rows="dags", when="report"),
        raised_by={"report": EXECUTE},
        deed="list DAGs",
    ),
    "list_runners": Rule(READ, view("CLUSTER_ACTIVITY"), deed="see the runners"),
    "list_tasks": Rule(READ, dag("GET", "TASK"), deed="list the tasks of this DAG"),
    "refresh_all_dags": Rule(WRITE, every(DAG, "PUT"), deed="have all DAG files parsed"),
    "read_dag_files": Rule(READ, power(DEPLOY), deed="look at DAG files"),
    "refresh_dag": Rule(WRITE, dag("PUT"), deed="have the file of this DAG parsed"),
    "refresh_dag_file": Rule(WRITE, power(DEPLOY), deed="have DAG files parsed"),
    "rest_api_plugin_version": Rule(READ, deed="see the version of the plugin"),
    "rollback_dag_file": Rule(
        EXECUTE, power(DEPLOY), own_power=True, deed="bring back versions of DAG files"
    ),
    "run": Rule(EXECUTE, dag("POST", "RUN") + dag("PUT", "TASK_INSTANCE"), deed="run tasks of this DAG"),
    "serve_logs": Rule(SERVICE, deed="serve the logs of tasks"),
}

RULES: dict[str, Rule] = {**COMMANDS, **OWN}

ASKS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("users create", "users reset-password"), ("password", "use_random_password")
)
"""
Arguments of which one has to be given, as no question can be answered here: the command would ask for the
first (``airflow/providers/fab/auth_manager/cli_commands/user_command.py``).
"""

CONFIRMS_WITH: Mapping[str, str] = dict.fromkeys(("dags pause", "dags unpause"), "treat_dag_id_as_regex")
"""
Arguments without which a command that has `yes` does not ask whether one is sure
(``airflow/cli/commands/dag_command.py``); each other command that has it does.
"""

RUN_DAG_CODE = frozenset(name for name, rule in RULES.items() if rule.runs_dag_code)

WITH_DAG_FILES = frozenset(
    {
        "check_dag_files",
        "delete_dag_file",
        "deploy_dag",
        "read_dag_files",
        "refresh_all_dags",
        "refresh_dag",
        "refresh_dag_file",
        "rollback_dag_file",
    }
)
"""What of `OWN` needs the DAG files: all of it is done on the same host."""


def own_command(name: str, effect: Effect | None = None) -> Command:
    """
    Return what we do ourselves as the rest of the plugin sees a command.

    :param name: a key of `OWN`
    :param effect: another one than that of its row
    """
    return Command((name,), "", None, (), effect or OWN[name].effect)


def needs_of(command: Command) -> Needed:
    """
    Return what a command needs beside what its effect asks for; of an unknown one, an administrator.

    What is needed for secrets to be shown is needed always where the installed command lacks the argument
    that shows them: before Airflow 3.2, `config list` and `connections list` show them unasked.
    """
    rule = RULES.get(command.name)
    if rule is None or not command.known:
        return ADMINISTRATOR
    needs = rule.needs + (rule.with_teams if rule.with_teams and multi_team() else NOTHING)
    needs = tuple(need for need in needs if need.before is None or base_version() < need.before)
    if rule.revealed_by is None or command.revealed_by is not None or not command.reveals_secrets:
        return needs
    return tuple(replace(need, when=None) if need.when == rule.revealed_by else need for need in needs)


def of_effect(command: Command, given: frozenset[str] = frozenset()) -> Needed:
    """
    Return what a command needs because of its effect.

    :param given: the arguments that the caller chose
    """
    effect = command.effect_of(given)
    of_its_own = command.name in RULES and RULES[command.name].own_power
    found = power(OF_EFFECT[effect]) if effect in OF_EFFECT and not of_its_own else NOTHING
    if command.grants_access or (effect is EXECUTE and given & CHOOSES_CODE):
        found += ADMINISTRATOR
    arguments = [argument for name in given if (argument := command.argument(name))]
    if any(argument.server_path or not argument.reviewed for argument in arguments):
        found += ADMINISTRATOR
    return found


def described(command: Command) -> list[str]:
    """Return what a command needs, one phrase each."""
    return [phrase(need) for need in (*of_effect(command), *needs_of(command))]


def refusal(command: str, takes: object) -> str:
    """
    Return the answer to who may not run a command.

    :param takes: what they would have to have, in words
    """
    deed = OWN[command].deed if command in OWN else f"run {command!r}"
    return f"You may not {deed}: that takes {takes}."
