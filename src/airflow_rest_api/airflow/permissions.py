"""What one user may, by the auth manager in use, and how Flask-AppBuilder grants our powers to a role."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import column, delete, inspect, or_, select, table

from airflow_rest_api.airflow.compat.accounts import DETAILS_HAVE_TEAM, authorized_names, multi_team
from airflow_rest_api.airflow.expressions import dags_matching_somehow
from airflow_rest_api.airflow.queries import rows, values
from airflow_rest_api.airflow.users import FAB, SIMPLE, answers_as, auth_manager, is_a, overrides
from airflow_rest_api.commands.needs import resource_of
from airflow_rest_api.storage.transient import away

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)

ANY = "~"
"""Airflow's own id for all DAGs, and no DAG's: who may work on it may work on every DAG."""

WITH_COLLATIONS = frozenset({"mysql", "mariadb"})
"""The databases that can take two names for the same, by SQLAlchemy's name."""


class Named(NamedTuple):
    """
    A kind whose objects have names that an auth manager can tell apart.

    :ivar model: of the database, as `module:class`, and its `column` with the names
    :ivar names: asks an auth manager for the names that a user may see
    :ivar details: the class of what an auth manager is asked about, and its `argument` for the name
    """

    model: str
    column: str
    names: str
    details: str
    argument: str


NAMED = {
    "DAG": Named("airflow.models.dag:DagModel", "dag_id", "get_authorized_dag_ids", "DagDetails", "id"),
    "connection": Named(
        "airflow.models:Connection", "conn_id", "get_authorized_connections", "ConnectionDetails", "conn_id"
    ),
    "variable": Named("airflow.models:Variable", "key", "get_authorized_variables", "VariableDetails", "key"),
    "pool": Named("airflow.models:Pool", "pool", "get_authorized_pools", "PoolDetails", "name"),
    "team": Named("airflow.models.team:Team", "name", "get_authorized_teams", "TeamDetails", "name"),
}


CREATED = frozenset({"connection", "variable", "pool"})
"""Kinds of which Airflow's own routes ask whether a user may create one, and not which
(`airflow.api_fastapi.core_api.security`, `requires_access_connection` and the like)."""


class Permissions:
    """
    What one user may, for the time of one request.

    An auth manager that fails at a question has answered no; one whose database is away has not answered.

    :ivar blocking: whether an answer can take long, so that nothing may be asked from the event loop
    """

    def __init__(self, manager: Any, user: Any) -> None:
        self._manager = manager
        self._user = user
        self._fab = is_a(manager, FAB)
        self._as_simple, self._as_fab = answers_as(manager, SIMPLE), answers_as(manager, FAB)
        self._known: dict[tuple[str, ...], Any] = {}
        self.blocking = not self._as_simple or self._teams

    def may(self, resource: str, method: str, entity: str | None, name: str | None) -> bool:
        """
        Return whether the user may do this to an object.

        :param name: of the object; None for every object of the kind, those included that do not exist yet
        """
        key = ("may", resource, method, entity or "", *(() if name is None else (name,)))
        return bool(self._once(key, lambda: self._may(resource, method, entity, name), otherwise=False))

    def names(self, resource: str, method: str) -> frozenset[str]:
        """Return the names of the existing objects of a kind that the user may do this to."""
        found = self._once(("names", resource, method), lambda: self._names(resource, method), otherwise=())
        return frozenset(found)

    def matching_dags(self, pattern: str) -> list[str] | None:
        """Return the existing DAGs that a regular expression finds; None where that is not known."""
        if not self.blocking:
            return None  # as below
        return self._once(("matching", pattern), lambda: dags_matching_somehow(pattern), otherwise=None)  # type: ignore[no-any-return]

    def dags_with_outlet(self, name: str | None, uri: str | None) -> list[str] | None:
        """Return the DAGs that make an asset; None where that is not known."""
        if not self.blocking:
            return None  # who may not do this to every DAG may do it to none
        key = ("outlet", name or "", uri or "")
        return self._once(key, lambda: _dags_with_outlet(name, uri), otherwise=None)  # type: ignore[no-any-return]

    def readable_files(self) -> list[str]:
        """Return the DAG files, as `bundle:path`, all of whose DAGs the user may read."""
        return list(self._once(("files",), self._readable_files, otherwise=()))

    @cached_property
    def _teams(self) -> bool:
        return multi_team()

    @property
    def _alike(self) -> bool:
        """Whether who may do something to all objects of a kind may do it to each."""
        return (self._as_simple or self._as_fab) and not self._teams

    def _once(self, key: tuple[str, ...], ask: Callable[[], Any], otherwise: Any) -> Any:
        if key not in self._known:
            try:
                self._known[key] = ask()
            except NotImplementedError:
                # Only auth managers that know teams answer questions about them.
                self._known[key] = otherwise
            except Exception as error:
                if away(error):
                    raise
                log.exception("%s could not answer", type(self._manager).__name__)
                self._known[key] = otherwise
        return self._known[key]

    def _may(self, resource: str, method: str, entity: str | None, name: str | None) -> bool:
        if resource == "power":
            # Another auth manager may let every user pass: the simple one does.
            return self._fab and self._custom_view(method, resource_of(str(entity)))
        if resource == "accounts":
            return self._fab and self._custom_view(method, str(entity))
        if resource == "view":
            return self._view(str(entity))
        if name is None:
            return self._may_all(resource, method, entity)
        if self._alike and self.may(resource, method, entity, None):
            return True
        if method == "POST" and resource in CREATED and self._may_one(resource, method, None, None, None):
            return True
        return all(
            self._may_one(resource, method, entity, each, self._team_of(resource, each))
            for each in self._spellings(resource, name)
        )

    def _may_all(self, resource: str, method: str, entity: str | None) -> bool:
        all_of_them = ANY if resource == "DAG" else None
        if resource == "team" or not self._may_one(resource, method, entity, all_of_them, None):
            return False
        if resource not in NAMED or self._alike:
            return True
        # Rules of others, and those of teams, can make exceptions. Those for what is inside a DAG show where
        # one is named: to ask for each would be a question for every DAG, which can take a second each.
        return frozenset(_existing(resource)) <= self.names(resource, method)

    def _tells_apart(self, resource: str) -> bool:
        """Return whether one object of a kind may be another's than the next."""
        if resource not in NAMED:
            return False
        return self._teams or not (self._as_simple or (self._as_fab and resource != "DAG"))

    def _spellings(self, resource: str, name: str) -> set[str]:
        """Return a name as it was given, and as the database has it."""
        if not self._tells_apart(resource):
            return {name}
        key = ("stored", resource, name)
        if key not in self._known:
            # What cannot be looked up is raised, and no answer of the auth manager.
            self._known[key] = _stored(resource, name)
        return {name, *self._known[key]}

    def _may_one(
        self, resource: str, method: str, entity: str | None, name: str | None, team: str | None
    ) -> bool:
        from airflow.api_fastapi.auth.managers.models import resource_details as details

        asked: dict[str, Any] = {"method": method, "user": self._user, "details": None}
        if entity:
            asked["access_entity"] = details.DagAccessEntity[entity]
        if (kind := NAMED.get(resource)) is not None:
            of_team = {"team_name": team} if DETAILS_HAVE_TEAM and resource != "team" else {}
            asked["details"] = getattr(details, kind.details)(**{kind.argument: name}, **of_team)
        question = getattr(self._manager, f"is_authorized_{resource.lower().replace(' ', '_')}")
        return question(**asked) is True

    def _view(self, name: str) -> bool:
        from airflow.api_fastapi.auth.managers.models.resource_details import AccessView

        return self._manager.is_authorized_view(access_view=AccessView[name], user=self._user) is True

    def _custom_view(self, method: str, name: str) -> bool:
        asked = {"method": method, "resource_name": name, "user": self._user}
        return self._manager.is_authorized_custom_view(**asked) is True

    def _names(self, resource: str, method: str) -> Iterable[str]:
        if (self._as_fab and resource != "DAG") or (self._as_simple and not self._teams):
            # It tells none of them apart; that of Flask-AppBuilder lists them all to every user.
            return _existing(resource) if self.may(resource, method, None, None) else ()
        question = NAMED[resource].names
        # The lists of Flask-AppBuilder do not ask what one made from it says of each.
        lists = self._as_fab or not self._fab or overrides(self._manager, FAB, question)
        ask = authorized_names(self._manager, question) if lists else None
        if ask is None:
            return [name for name in _existing(resource) if self.may(resource, method, None, name)]
        found: Iterable[str] = ask(user=self._user, method=method)
        return found

    def _team_of(self, resource: str, name: str) -> str | None:
        if not self._teams or resource not in NAMED or resource == "team":
            return None
        team: str | None = _model(resource).get_team_name(name)
        return team

    def _readable_files(self) -> Iterable[str]:
        from airflow.models.dag import DagModel

        readable = self.names("DAG", "GET")
        found: dict[str, bool] = {}
        dags = select(DagModel.dag_id, DagModel.bundle_name, DagModel.relative_fileloc)
        for dag_id, bundle, path in rows(dags):
            key = f"{bundle}:{path}"
            found[key] = found.get(key, True) and dag_id in readable
        return [key for key, holds in found.items() if holds]


def _column(resource: str) -> Any:
    return getattr(_model(resource), NAMED[resource].column)


def _model(resource: str) -> Any:
    module, _, name = NAMED[resource].model.partition(":")
    return getattr(import_module(module), name)


def _existing(resource: str) -> list[str]:
    return [str(name) for name in values(select(_column(resource)))]


def _stored(resource: str, name: str) -> list[str]:
    """
    Return the existing names that the database takes for a name.

    By the collations of MySQL and MariaDB neither accents, nor case, nor blanks at the end tell two keys of
    `variable` apart: what a command does to `key`, it does to the row `Kéy`.
    """
    from airflow.utils.session import create_session

    column = _column(resource)
    with create_session() as session:
        if session.get_bind().dialect.name not in WITH_COLLATIONS:
            return []
        return [str(found) for found in session.scalars(select(column).where(column == name))]


def _dags_with_outlet(name: str | None, uri: str | None) -> list[str]:
    """Find DAGs as `airflow assets materialize` does."""
    from airflow.models.asset import AssetModel, TaskOutletAssetReference

    found = select(TaskOutletAssetReference.dag_id).join(TaskOutletAssetReference.asset)
    if name:
        found = found.where(AssetModel.name == name)
    if uri:
        found = found.where(AssetModel.uri == uri)
    return values(found.distinct())


def create_resources(powers: Iterable[str]) -> None:
    """Have Flask-AppBuilder, where it is in use, know the permissions that grant our powers to a role."""
    try:
        if not is_a(auth_manager(), FAB):
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


def existing_resources(engine: Engine, powers: Iterable[str], beginnings: Iterable[str]) -> list[str]:
    """
    Return the resources that are there for powers, by name; none where Flask-AppBuilder was never in use.

    :param beginnings: of powers that are granted for each of something: `<power> <folder>`
    """
    resources = _fab_tables()[0]
    with engine.connect() as connection:
        if not inspect(connection).has_table(resources.name, schema=resources.schema):
            return []
        ours = or_(
            resources.c.name.in_([resource_of(power) for power in powers]),
            *(resources.c.name.startswith(f"{resource_of(one)} ", autoescape=True) for one in beginnings),
        )
        return list(connection.execute(select(resources.c.name).where(ours)).scalars())


def remove_resources(engine: Engine, names: Iterable[str]) -> None:
    """Take the permissions on some resources from every role, and delete them with the resources."""
    resources, permissions, granted = _fab_tables()
    with engine.begin() as connection:
        there = select(resources.c.id).where(resources.c.name.in_(list(names)))
        of_resources = list(connection.execute(there).scalars())
        pairs = select(permissions.c.id).where(permissions.c.view_menu_id.in_(of_resources))
        of_permissions = list(connection.execute(pairs).scalars())
        connection.execute(delete(granted).where(granted.c.permission_view_id.in_(of_permissions)))
        connection.execute(delete(permissions).where(permissions.c.id.in_(of_permissions)))
        connection.execute(delete(resources).where(resources.c.id.in_(of_resources)))


def _fab_tables() -> tuple[Any, Any, Any]:
    """
    Return the tables of resources, of pairs of action and resource, and of what roles have.

    As `airflow.providers.fab.auth_manager.models` has them, which may not be installed any more, in
    the schema of Airflow's own.
    """
    from airflow.models.base import metadata

    return (
        table("ab_view_menu", column("id"), column("name"), schema=metadata.schema),
        table("ab_permission_view", column("id"), column("view_menu_id"), schema=metadata.schema),
        table("ab_permission_view_role", column("permission_view_id"), schema=metadata.schema),
    )
