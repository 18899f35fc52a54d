"""What each command may do: the only list of commands in our code.

The rows were filled in by reading what the commands do (``airflow/cli/commands`` and the providers'
``cli`` packages, as of Airflow 3.3.2). Only an administrator may run a command without a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_rest_api.commands.model import Effect

READ, WRITE, EXECUTE, SERVICE, DESTRUCTIVE = Effect


@dataclass(frozen=True)
class Policy:
    """What running a command may do."""

    effect: Effect
    reveals_secrets: bool = False
    """Its output or its file can hold passwords, keys, connection strings, or personal data in clear."""
    raised_by: Mapping[str, Effect] = field(default_factory=dict)
    """Arguments that make the effect a graver one."""
    revealed_by: str | None = None
    """Where the installed command has this argument, secrets are shown only when it is given."""
    grants_access: bool = False
    """It starts another API server, or changes users, roles, or what they may: who runs it can become
    anybody, so that it is for administrators alone, and off until the configuration names it."""


# Of a command that nobody has looked at, the worst is taken to be true.
UNKNOWN = Policy(EXECUTE, reveals_secrets=True, grants_access=True)

# Airflow 2: a command with one of these arguments imports DAG files of the client's choice.
RUNS_DAG_FILES = frozenset({"subdir"})

# --local parses the DAG files in place of reading the database.
_LISTS_DAGS = Policy(READ, raised_by={"local": EXECUTE})
_LISTS_VALUES = Policy(READ, reveals_secrets=True, revealed_by="show_values")
_REVEALS = Policy(READ, reveals_secrets=True)
_CHANGES_ACCESS = Policy(WRITE, grants_access=True)
# All tables of the users may be among those that are dropped, or go back in time.
_ENDS_ACCESS = Policy(DESTRUCTIVE, grants_access=True)

# Airflow 3.3 with its own commands and those of the Celery and FAB providers.
CURRENT: dict[str, Policy] = {
    "api-server": Policy(SERVICE, grants_access=True),
    "assets details": Policy(READ),
    "assets list": Policy(READ),
    "assets materialize": Policy(WRITE),
    "backfill create": Policy(WRITE),
    "celery add-queue": Policy(SERVICE),
    "celery flower": Policy(SERVICE),
    "celery list-workers": Policy(READ),
    "celery remove-all-queues": Policy(SERVICE),
    "celery remove-queue": Policy(SERVICE),
    "celery shutdown-all-workers": Policy(SERVICE),
    "celery shutdown-worker": Policy(SERVICE),
    "celery stop": Policy(SERVICE),
    "celery worker": Policy(SERVICE),
    "cheat-sheet": Policy(READ),
    "config get-value": _REVEALS,
    # A finding may quote the value of the option: "You currently have … set".
    "config lint": _REVEALS,
    "config list": _LISTS_VALUES,
    # --fix writes airflow.cfg; without it, the findings of lint.
    "config update": Policy(WRITE, reveals_secrets=True),
    "connections add": Policy(WRITE),
    "connections create-default-connections": Policy(WRITE),
    "connections delete": Policy(WRITE),
    "connections export": _REVEALS,
    "connections get": _REVEALS,
    "connections import": Policy(WRITE),
    "connections list": _LISTS_VALUES,
    # Runs the hook of a provider, with the stored password, against the other side.
    "connections test": Policy(EXECUTE, reveals_secrets=True),
    "dag-processor": Policy(SERVICE),
    "dags clear": Policy(WRITE),
    "dags delete": Policy(DESTRUCTIVE),
    "dags details": Policy(READ),
    "dags list": _LISTS_DAGS,
    "dags list-import-errors": _LISTS_DAGS,
    "dags list-jobs": Policy(READ),
    "dags list-runs": Policy(READ),
    "dags next-execution": Policy(READ),
    "dags pause": Policy(WRITE),
    "dags report": Policy(EXECUTE),
    "dags reserialize": Policy(EXECUTE),
    "dags show": Policy(READ),
    "dags show-dependencies": Policy(READ),
    "dags state": Policy(READ),
    "dags test": Policy(EXECUTE),
    "dags trigger": Policy(WRITE),
    "dags unpause": Policy(WRITE),
    "db check": Policy(READ),
    "db check-migrations": Policy(READ),
    "db clean": Policy(DESTRUCTIVE),
    "db downgrade": _ENDS_ACCESS,
    "db drop-archived": Policy(DESTRUCTIVE),
    # Writes to a folder of the server, and with --drop-archives drops what it has exported.
    "db export-archived": Policy(DESTRUCTIVE, reveals_secrets=True),
    "db migrate": Policy(WRITE),
    "db reset": _ENDS_ACCESS,
    "db shell": Policy(DESTRUCTIVE, reveals_secrets=True, grants_access=True),
    "db-manager downgrade": _ENDS_ACCESS,
    "db-manager migrate": _ENDS_ACCESS,
    "db-manager reset": _ENDS_ACCESS,
    "fab-db downgrade": _ENDS_ACCESS,
    "fab-db migrate": Policy(WRITE),
    "fab-db reset": _ENDS_ACCESS,
    # The database's connection string and the server's folders; --file-io sends them to a public service.
    "info": Policy(READ, reveals_secrets=True, raised_by={"file_io": WRITE}),
    "jobs check": Policy(READ),
    "kerberos": Policy(SERVICE),
    "partitions clear": Policy(WRITE),
    "permissions-cleanup": _ENDS_ACCESS,
    "plugins": Policy(READ),
    "pools delete": Policy(WRITE),
    "pools export": Policy(READ),
    "pools get": Policy(READ),
    "pools import": Policy(WRITE),
    "pools list": Policy(READ),
    "pools set": Policy(WRITE),
    "providers auth-managers": Policy(READ),
    "providers behaviours": Policy(READ),
    "providers configs": Policy(READ),
    "providers executors": Policy(READ),
    "providers get": Policy(READ),
    "providers hooks": Policy(READ),
    "providers lazy-loaded": Policy(READ),
    "providers links": Policy(READ),
    "providers list": Policy(READ),
    "providers logging": Policy(READ),
    "providers notifications": Policy(READ),
    "providers queues": Policy(READ),
    "providers secrets": Policy(READ),
    "providers triggers": Policy(READ),
    "providers widgets": Policy(READ),
    "roles add-perms": _CHANGES_ACCESS,
    "roles create": _CHANGES_ACCESS,
    "roles del-perms": _CHANGES_ACCESS,
    "roles delete": _CHANGES_ACCESS,
    "roles export": Policy(READ),
    "roles import": _CHANGES_ACCESS,
    "roles list": Policy(READ),
    "rotate-fernet-key": Policy(DESTRUCTIVE),
    "scheduler": Policy(SERVICE),
    # Starts an API server whose users are those of the simple auth manager, and prints the password of the
    # administrator that it makes.
    "standalone": Policy(SERVICE, reveals_secrets=True, grants_access=True),
    # Deletes what has expired, as the scheduler would.
    "state-store clean": Policy(WRITE),
    "sync-perm": _CHANGES_ACCESS,
    # With one of these it parses the DAG files; without, it reads the database.
    "tasks clear": Policy(
        WRITE, raised_by={"bundle_name": EXECUTE, "dag_regex": EXECUTE, "task_regex": EXECUTE}
    ),
    "tasks failed-deps": Policy(READ),
    "tasks list": Policy(EXECUTE),
    "tasks render": Policy(EXECUTE, reveals_secrets=True),
    "tasks state": Policy(READ),
    "tasks states-for-dag-run": Policy(READ),
    "tasks test": Policy(EXECUTE),
    "teams create": Policy(WRITE),
    "teams delete": Policy(WRITE),
    "teams list": Policy(READ),
    "teams sync": Policy(WRITE),
    "triggerer": Policy(SERVICE),
    "users add-role": _CHANGES_ACCESS,
    "users create": _CHANGES_ACCESS,
    "users delete": _CHANGES_ACCESS,
    "users export": _REVEALS,
    "users import": _CHANGES_ACCESS,
    "users list": _REVEALS,
    "users remove-role": _CHANGES_ACCESS,
    "users reset-password": _CHANGES_ACCESS,
    "variables delete": Policy(WRITE),
    "variables export": _REVEALS,
    "variables get": _REVEALS,
    "variables import": Policy(WRITE),
    "variables list": _LISTS_VALUES,
    "variables set": Policy(WRITE),
    "version": Policy(READ),
}

# The Kubernetes provider, where it is installed.
KUBERNETES: dict[str, Policy] = {
    "kubernetes cleanup-pods": Policy(DESTRUCTIVE),
    # Parses the DAG file, and writes to a folder of the server.
    "kubernetes generate-dag-yaml": Policy(EXECUTE),
}

# Airflow 2.11, gone in 3.0.
REMOVED_IN_3_0: dict[str, Policy] = {
    "dags backfill": Policy(EXECUTE),
    "db init": Policy(WRITE),
    "db upgrade": Policy(WRITE),
    "providers auth": Policy(READ),
    "tasks run": Policy(EXECUTE),
    "webserver": Policy(SERVICE, grants_access=True),
}

POLICY: dict[str, Policy] = {**CURRENT, **KUBERNETES, **REMOVED_IN_3_0}
