"""What commands and arguments of 1.x are called today: tables to look the installed Airflow up in."""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "render": ("tasks render",),
    "pause": ("dags pause",),
    "unpause": ("dags unpause",),
    "task_failed_deps": ("tasks failed-deps",),
    "trigger_dag": ("dags trigger",),
    "test": ("tasks test",),
    "dag_state": ("dags state",),
    "list_tasks": ("tasks list",),
    "backfill": ("backfill create", "dags backfill"),
    "list_dags": ("dags list",),
    "kerberos": ("kerberos",),
    "worker": ("celery worker",),
    "flower": ("celery flower",),
    "scheduler": ("scheduler",),
    "task_state": ("tasks state",),
    "clear": ("tasks clear",),
}
"""The command of an endpoint: the first of these that the installed Airflow has."""

ENDPOINT_COMMANDS: Mapping[str, tuple[str, ...]] = {
    **COMMANDS,
    "connections": ("connections add", "connections delete", "connections list"),
    "pool": ("pools delete", "pools get", "pools list", "pools set"),
    "variables": (
        "variables delete",
        "variables export",
        "variables get",
        "variables import",
        "variables list",
        "variables set",
    ),
}
"""All commands that an endpoint may run, for switching them off by its name."""

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "execution_date": ("logical_date_or_run_id", "execution_date_or_run_id", "execution_date"),
    "exec_date": ("logical_date", "exec_date"),
    "start_date": ("start_date", "from_date"),
    "end_date": ("end_date", "to_date"),
}
"""An argument: the first of these that the command has. One that is not listed has kept its name."""

IMPLIED = frozenset({"no_confirm", "daemon"})
"""Always the case: not worth a warning."""

SEPARATE = frozenset({"subdir"})
"""Not an argument of any command any more: looked after before the command runs."""

MISSING = {
    "worker": "the Celery provider",
    "flower": "the Celery provider",
}
"""What has to be installed for a command to be there."""
