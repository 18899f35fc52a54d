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

    :param names: None for all of the kind
    """
    if names is None:
        return f"every {kind}"
    more = " …" if len(names) > SHOWN else ""
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return f"the {kind}{'s' if len(names) > 1 else ''} {shown}{more}"


def _spelled(entity: str | None) -> str:
    return (entity or "").replace("_", " ").lower()
