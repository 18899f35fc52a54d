"""The resources of Flask-AppBuilder by which our powers are granted to a role."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.auth_managers import FAB, is_a

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)

POWER = "REST API {}"


def resource_of(power: str) -> str:
    """Return the name of the resource on which `can_edit` grants a power."""
    return POWER.format(power)


def create(powers: Iterable[str]) -> None:
    """Have Flask-AppBuilder, where it is in use, know the permissions that grant our powers to a role."""
    from airflow.api_fastapi.app import get_auth_manager

    try:
        if not is_a(get_auth_manager(), FAB):
            return
        from airflow.providers.fab.www.security_appless import ApplessAirflowSecurityManager
        from airflow.utils.session import create_session

        with create_session() as session:
            security: Any = ApplessAirflowSecurityManager(session=session)
            for power in powers:
                security.create_permission("can_edit", resource_of(power))
    except Exception:
        # They can still be made by hand; nothing else depends on them.
        log.exception("The permissions %r could not be created", resource_of("…"))


def existing(engine: Engine, powers: Iterable[str], folders_of: str) -> list[str]:
    """
    Return the resources that are there for powers, by name; none where Flask-AppBuilder was never in use.

    :param folders_of: a power that is granted for folders too: `<power> <folder>`
    """
    from sqlalchemy import inspect, or_, select

    resources = _tables()[0]
    with engine.connect() as connection:
        if not inspect(connection).has_table(resources.name):
            return []
        ours = or_(
            resources.c.name.in_([resource_of(power) for power in powers]),
            resources.c.name.startswith(f"{resource_of(folders_of)} ", autoescape=True),
        )
        return list(connection.execute(select(resources.c.name).where(ours)).scalars())


def remove(engine: Engine, names: Iterable[str]) -> None:
    """Take the permissions on some resources from every role, and delete them with the resources."""
    from sqlalchemy import delete, select

    resources, permissions, granted = _tables()
    with engine.begin() as connection:
        there = select(resources.c.id).where(resources.c.name.in_(list(names)))
        of_resources = list(connection.execute(there).scalars())
        pairs = select(permissions.c.id).where(permissions.c.view_menu_id.in_(of_resources))
        of_permissions = list(connection.execute(pairs).scalars())
        connection.execute(delete(granted).where(granted.c.permission_view_id.in_(of_permissions)))
        connection.execute(delete(permissions).where(permissions.c.id.in_(of_permissions)))
        connection.execute(delete(resources).where(resources.c.id.in_(of_resources)))


def _tables() -> tuple[Any, Any, Any]:
    """
    Return the tables of resources, of pairs of action and resource, and of what roles have.

    As `airflow.providers.fab.auth_manager.models` has them, which may not be installed any more.
    """
    from sqlalchemy import column, table

    return (
        table("ab_view_menu", column("id"), column("name")),
        table("ab_permission_view", column("id"), column("view_menu_id")),
        table("ab_permission_view_role", column("permission_view_id")),
    )
