"""
Which commands are run through REST and as a plain process, in which order.

Each lane is a script on the same database; lanes touch different things, so that they may run side by side.
A word that begins with `@` or `>` is a file: `@name` is read and comes with the request, `>name` is written
and compared.
"""

from __future__ import annotations

LANES: dict[str, tuple[str, ...]] = {
    "variables": (
        "variables set colour green",
        "variables set --json shape '{\"sides\": 3}'",
        "variables get colour",
        "variables get shape --json",
        "variables get nothing",
        "variables get nothing --default none",
        "variables list",
        "variables list --show-values -o json",
        "variables export >variables.json",
        "variables import @variables.json",
        "variables delete colour",
        "variables delete nothing",
    ),
    "connections": (
        "connections add parity --conn-uri http://ada:lovelace@example.org:80/path",
        "connections add parity --conn-uri http://again@example.org",
        "connections add second --conn-type generic --conn-host example.org --conn-extra '{\"a\": 1}'",
        "connections get parity -o yaml",
        "connections get nothing",
        "connections list -o json",
        "connections test second",
        "connections export >connections.json",
        "connections import @connections.json",
        "connections delete parity",
        "connections create-default-connections",
        "connections list",
    ),
    "pools": (
        "pools set parity 3 'Three slots'",
        "pools set parity many 'Not a number'",
        "pools get parity",
        "pools list -o plain",
        "pools export >pools.json",
        "pools import @pools.json",
        "pools delete parity",
        "pools get parity",
    ),
    "dags": (
        "dags list -o json",
        "dags list -o yaml",
        "dags list --columns dag_id,is_paused",
        "dags list --local",
        "dags list-import-errors",
        "dags details daily -o json",
        "dags pause daily -o json",
        "dags unpause daily",
        "dags pause nothing",
        "dags trigger daily --run-id parity --logical-date 2024-02-01 -o json",
        "dags trigger nothing",
        "dags trigger daily --run-id parity --logical-date 2024-02-01",
        "dags list-runs daily -o json",
        "dags state daily 2024-02-01",
        "dags next-execution daily",
        "dags list-jobs",
        "tasks list daily",
        "tasks list nothing",
        "tasks state daily greet parity",
        "tasks states-for-dag-run daily parity -o json",
        "tasks failed-deps daily part parity",
        "tasks render daily greet parity",
        "tasks test daily greet 2024-02-02",
        "tasks clear daily --yes",
        "dags test daily 2024-03-01",
        "dags clear daily --run-id parity --yes",
        "backfill create --dag-id daily --from-date 2024-01-01 --to-date 2024-01-02 --dry-run",
        "backfill create --dag-id daily --from-date 2024-01-01 --to-date 2024-01-02",
        "partitions clear -d daily --run-id parity",
        "assets list -o json",
        "assets details --name parity_asset -o json",
        "assets materialize --name parity_asset -o json",
        "assets details --name nothing",
        "dags report -o json",
        "dags reserialize",
        "dags show-dependencies",
        "dags show daily",
        "dags delete daily --yes",
        "dags delete daily --yes",
    ),
    "installation": (
        "version",
        "info -o json",
        "cheat-sheet",
        "config get-value core executor",
        "config get-value core nothing",
        "config lint",
        "config list --section core",
        "config update",
        "plugins -o json",
        "providers auth-managers",
        "providers behaviours",
        "providers configs -o json",
        "providers executors",
        "providers get apache-airflow-providers-standard",
        "providers get nothing",
        "providers hooks -o json",
        "providers links",
        "providers list",
        "providers logging",
        "providers notifications",
        "providers queues",
        "providers secrets",
        "providers triggers -o yaml",
        "providers widgets",
        "celery stop",
        "celery list-workers",
        "jobs check",
        "permissions-cleanup --dry-run",
        "state-store clean --dry-run",
        "teams create parity",
        "teams create parity",
        "teams list -o json",
        "teams sync",
        "teams delete parity --yes",
    ),
    "database": (
        "db check",
        "db check-migrations",
        "db migrate",
        "db clean --clean-before-timestamp 2000-01-01 --dry-run",
        "db clean --clean-before-timestamp 2000-01-01 --yes",
        "db drop-archived --yes",
        "fab-db migrate",
        "rotate-fernet-key",
    ),
}

UNORDERED = frozenset({"tasks failed-deps daily part parity"})
"""What prints a set, whose order differs from process to process."""

OPPOSITE = {
    "dags pause daily -o json": ("False", "True"),
    "dags unpause daily": ("True", "False"),
}
"""What prints the state from before in a process, and that from after through REST."""

UNRECORDED = frozenset({"tasks test daily greet 2024-02-02"})
"""What records a task instance in a process, and nothing through REST; the log says which."""

OF_RECORDS = (
    r"^.*\[airflow\.api_fastapi\.execution_api\..*\n",
    r"^.* (creating dag run|Created dag run\.) .*\n",
    # Where a line is written: there in Airflow, here in the plugin.
    r"(?<=\[airflow\.sdk\.definitions\.dag\]) loc=\S+",
)
"""What such a log says of it, as regular expressions."""

OF_THE_MACHINE = frozenset(
    {"info -o json", "plugins -o json", "providers configs -o json", "providers list"},
)
"""What tells of this machine, or of this plugin: it is run as a process each time, and never recorded."""

NEEDS_FAB = "needs the FAB auth manager in place of the simple one"
SERVICE = "runs until it is stopped"
DESTROYS = "would take the database away from everything that runs on it"
NOT_RUN: dict[str, str] = {
    "api-server": SERVICE,
    "celery add-queue": "needs a Celery worker",
    "celery flower": SERVICE,
    "celery remove-all-queues": "needs a Celery worker",
    "celery remove-queue": "needs a Celery worker",
    "celery shutdown-all-workers": "needs a Celery worker",
    "celery shutdown-worker": "needs a Celery worker",
    "celery worker": SERVICE,
    "rest-api runner": SERVICE,
    "dag-processor": SERVICE,
    "db downgrade": DESTROYS,
    "db export-archived": "writes into a folder of the server, which is no argument of a request",
    "db reset": DESTROYS,
    "db shell": "is a conversation with a person",
    "db-manager downgrade": "needs an external database manager in the configuration",
    "db-manager migrate": "needs an external database manager in the configuration",
    "db-manager reset": "needs an external database manager in the configuration",
    "fab-db downgrade": DESTROYS,
    "fab-db reset": DESTROYS,
    "kerberos": SERVICE,
    "providers lazy-loaded": "tells where in its own process the providers were first looked for",
    "roles add-perms": NEEDS_FAB,
    "roles create": NEEDS_FAB,
    "roles del-perms": NEEDS_FAB,
    "roles delete": NEEDS_FAB,
    "roles export": NEEDS_FAB,
    "roles import": NEEDS_FAB,
    "roles list": NEEDS_FAB,
    "scheduler": SERVICE,
    "standalone": SERVICE,
    "sync-perm": NEEDS_FAB,
    "triggerer": SERVICE,
    "users add-role": NEEDS_FAB,
    "users create": NEEDS_FAB,
    "users delete": NEEDS_FAB,
    "users export": NEEDS_FAB,
    "users import": NEEDS_FAB,
    "users list": NEEDS_FAB,
    "users remove-role": NEEDS_FAB,
    "users reset-password": NEEDS_FAB,
}
