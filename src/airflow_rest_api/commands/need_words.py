"""Permissions in words for people: no method of HTTP and no constant of Airflow's gets to a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
