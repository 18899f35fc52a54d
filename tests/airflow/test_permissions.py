from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow import expressions, permissions
from airflow_rest_api.airflow.compat.version_compat import base_version
from airflow_rest_api.airflow.permissions import ANY, Permissions
from airflow_rest_api.commands.model import Command, Effect
from airflow_rest_api.commands.needs import POWERS, Ask, Resource, resource_of
from airflow_rest_api.security.decision import Attempt, decide, granted, possible
from tests.airflow.variables import airflow_in
from tests.databases import KINDS
from tests.standin import auth_manager


def simple(role: str) -> Permissions:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return Permissions(auth_manager(), SimpleAuthManagerUser(username=role, role=role.upper()))


def fab(*permissions: tuple[str, str]) -> Permissions:
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
    from airflow.providers.fab.auth_manager.models import User

    user = User(id=1, username="someone", active=True)
    user._perms = set(permissions) or {("can_read", "Website")}
    return Permissions(FabAuthManager(), user)


CREATE_BACKFILL = Command(("backfill", "create"), "", None, (), Effect.WRITE)


class Other:
    """An auth manager that we know nothing of, with a rule for each object."""

    def __init__(self, *dags: str) -> None:
        self.dags = dags

    def is_authorized_dag(self, *, method: str, user: Any, details: Any, access_entity: Any = None) -> bool:
        return details.id in self.dags

    def get_authorized_dag_ids(self, *, user: Any, method: str) -> set[str]:
        return {dag for dag in self.dags if dag != ANY}

    def is_authorized_custom_view(self, **asked: Any) -> bool:
        return True

    def is_authorized_pool(self, **asked: Any) -> bool:
        raise ConnectionError

    def is_authorized_team(self, **asked: Any) -> bool:
        raise NotImplementedError


@pytest.fixture
def existing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "_existing", lambda resource: ["a", "b"])


@pytest.mark.parametrize("role", ["viewer", "user", "op"])
def test_who_may_create_a_backfill_is_whom_airflow_lets(role: str):
    held = simple(role)
    runs = held.may("DAG", "POST", "RUN", "a")
    decision = decide(held, Attempt(CREATE_BACKFILL, {"dag_id": "a"}, frozenset({"dag_id"})))
    # Airflow 3.0 asks its auth managers for backfills as well, and the simple one wants another role then.
    assert (decision.missing is None) == (runs and (base_version() >= (3, 1) or role == "op"))


def test_a_role_of_the_simple_auth_manager_counts_for_every_object():
    assert simple("user").may("DAG", "PUT", None, None)
    assert simple("user").may("DAG", "PUT", "TASK_INSTANCE", "a")
    assert not simple("viewer").may("DAG", "PUT", None, "a")
    assert not simple("user").may("connection", "GET", None, "a")
    assert simple("op").may("connection", "PUT", None, "a")
    assert simple("viewer").may("view", "GET", "JOBS", None)


def test_the_simple_auth_manager_is_never_asked_for_names_in_the_database(monkeypatch: pytest.MonkeyPatch):
    def nothing(resource: str) -> Iterable[str]:
        raise AssertionError(resource)

    monkeypatch.setattr(permissions, "_existing", nothing)
    viewer = simple("viewer")
    assert viewer.names("DAG", "PUT") == frozenset()
    assert viewer.may("DAG", "GET", None, None)
    assert not viewer.blocking


@pytest.mark.slow
@pytest.mark.parametrize("power", POWERS)
def test_only_flask_appbuilder_can_grant_a_power(power: str):
    assert fab(("can_edit", resource_of(power))).may("power", "PUT", power, None)
    assert not fab(("can_read", resource_of(power))).may("power", "PUT", power, None)
    # It lets every viewer pass what it calls a custom view.
    assert not simple("op").may("power", "PUT", power, None)
    assert not Permissions(Other(), object()).may("power", "PUT", power, None)


def test_one_dag_is_not_every_dag_with_flask_appbuilder():
    one = fab(("can_edit", "DAG:a"), ("can_read", "DAG:a"), ("can_create", "DAG Runs"))
    assert one.may("DAG", "PUT", None, "a")
    assert not one.may("DAG", "PUT", None, "b")
    for method, entity in (("GET", None), ("PUT", None), ("POST", "RUN")):
        # Airflow's own question for a list says yes to who may read one.
        assert not one.may("DAG", method, entity, None)
    every = fab(("can_edit", "DAGs"), ("can_create", "DAG Runs"))
    assert every.may("DAG", "POST", "RUN", None)


def test_users_and_roles_are_flask_appbuilders():
    assert fab(("can_create", "Users")).may("accounts", "POST", "Users", None)
    assert not fab(("can_create", "Users")).may("accounts", "POST", "Roles", None)
    assert not simple("op").may("accounts", "GET", "Users", None)


@pytest.mark.usefixtures("existing")
def test_the_rules_of_another_auth_manager_can_make_exceptions():
    assert not Permissions(Other("a", "b"), object()).may("DAG", "GET", None, None)
    assert not Permissions(Other("a", ANY), object()).may("DAG", "GET", None, None)
    assert Permissions(Other("a", "b", ANY), object()).may("DAG", "GET", None, None)
    assert Permissions(Other("a"), object()).may("DAG", "GET", None, "a")
    assert Permissions(Other("a"), object()).blocking


class Forbidding(Other):
    """An auth manager that lets everybody do everything, but for what is inside one DAG and one variable."""

    def is_authorized_dag(self, *, method: str, user: Any, details: Any, access_entity: Any = None) -> bool:
        return details.id != "b" or access_entity is None

    def is_authorized_variable(self, *, method: str, user: Any, details: Any) -> bool:
        return details.key != "of_a_secrets_backend"


@pytest.mark.usefixtures("existing")
def test_what_is_named_is_asked_about_whatever_holds_for_the_others():
    held = Permissions(Forbidding("a", "b"), object())

    def missing(*words: str, **values: str) -> str | None:
        command = Command(words, "", None, (), Effect.WRITE)
        found = decide(held, Attempt(command, values, frozenset(values))).missing
        return found and str(found)

    assert missing("dags", "trigger", dag_id="a") is None
    # It is among the DAGs whose names may be seen.
    assert missing("dags", "trigger", dag_id="b") == "permission to create runs of the DAG 'b'"
    assert missing("dags", "list-runs", dag_id="b") is not None
    # It is in no table, so that no list of what may be seen says that it is missing.
    assert missing("variables", "get", key="of_a_secrets_backend") == (
        "permission to read the variable 'of_a_secrets_backend'"
    )
    assert missing("variables", "set", key="a", value="1") is None


@pytest.mark.usefixtures("existing")
def test_each_dag_that_an_expression_finds_is_asked_about(monkeypatch: pytest.MonkeyPatch):
    held = Permissions(Forbidding("a", "b"), object())
    clear = Command(("tasks", "clear"), "", None, (), Effect.WRITE)

    def missing(*found: str) -> str | None:
        monkeypatch.setattr(permissions, "dags_matching_somehow", lambda pattern: list(found))
        values = {"dag_id": ".", "dag_regex": True}
        ask = decide(Permissions(held._manager, object()), Attempt(clear, values, frozenset(values))).missing
        return ask and str(ask)

    assert missing("a") is None
    assert missing("a", "b") == "permission to edit the task instances of the DAG 'b'"


def test_the_questions_for_one_dag_do_not_grow_with_the_number_of_dags(monkeypatch: pytest.MonkeyPatch):
    names = [f"dag_{number}" for number in range(300)]
    monkeypatch.setattr(permissions, "_existing", lambda resource: names)
    questions: list[str] = []

    class Counting(Other):
        def is_authorized_dag(self, **asked: Any) -> bool:
            questions.append("one")
            return True

        def get_authorized_dag_ids(self, **asked: Any) -> set[str]:
            questions.append("all")
            return set(names)

    held = Permissions(Counting(), object())
    trigger = Command(("dags", "trigger"), "", None, (), Effect.WRITE)
    assert possible(held, trigger) is None
    assert decide(held, Attempt(trigger, {"dag_id": "dag_7"}, frozenset({"dag_id"}))).missing is None
    assert len(questions) <= 4
    # What somebody saw of a listing.
    assert granted(held, Ask(Resource.DAG, "GET", None, tuple(names)))
    assert len(questions) <= 5


@pytest.mark.usefixtures("existing")
def test_to_create_something_is_asked_for_as_airflows_routes_do():
    class ByOwner(Other):
        def is_authorized_connection(self, *, method: str, user: Any, details: Any) -> bool:
            return details.conn_id == "mine" or (method == "POST" and details.conn_id is None)

    held = Permissions(ByOwner(), object())
    assert held.may("connection", "POST", None, "new")
    assert not held.may("connection", "PUT", None, "new")
    assert held.may("connection", "PUT", None, "mine")


@pytest.mark.slow
@pytest.mark.usefixtures("existing")
@pytest.mark.parametrize("kind", ["simple", "fab"])
def test_one_made_from_an_auth_manager_of_airflow_can_make_exceptions(kind: str):
    held = simple("op") if kind == "simple" else fab(("can_edit", "Connections"), ("can_read", "Connections"))

    class Stricter(type(held._manager)):  # type: ignore[misc]
        def is_authorized_connection(self, *, method: str, user: Any, details: Any = None) -> bool:
            return details.conn_id != "b" and super().is_authorized_connection(
                method=method, user=user, details=details
            )

    class Renamed(type(held._manager)):  # type: ignore[misc]
        pass

    stricter, same = (Permissions(object.__new__(each), held._user) for each in (Stricter, Renamed))
    assert held.may("connection", "PUT", None, "b")
    assert same.may("connection", "PUT", None, None)
    assert same.blocking == held.blocking
    assert stricter.blocking
    assert stricter.may("connection", "PUT", None, "a")
    assert not stricter.may("connection", "PUT", None, "b")
    assert not stricter.may("connection", "PUT", None, None)
    # Airflow's own list, which asks for each, is of its database.
    assert stricter.names("connection", "PUT") == ({"a"} if kind == "fab" else frozenset())

    class Listing(type(held._manager)):  # type: ignore[misc]
        def get_authorized_dag_ids(self, **asked: Any) -> set[str]:
            return {"b"}

    assert Permissions(object.__new__(Listing), held._user).names("DAG", "GET") == {"b"}


def test_an_auth_manager_that_fails_has_answered_no(caplog: pytest.LogCaptureFixture):
    failing = Permissions(Other(), object())
    with caplog.at_level(logging.ERROR):
        assert not failing.may("pool", "GET", None, "a")
        assert not failing.may("pool", "GET", None, "a")
        assert not failing.may("team", "GET", None, "a")
        assert len(caplog.records) == 1
        assert failing.names("connection", "GET") == frozenset()


@pytest.mark.slow
@pytest.mark.usefixtures("existing")
def test_a_regular_expression_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(expressions, "TIME_LIMIT", 0.5)
    monkeypatch.setattr(expressions, "values", lambda statement: ["a" * 40])
    permissions = simple("user")
    permissions.blocking = True  # as with every auth manager that tells DAGs apart
    assert permissions.matching_dags("(a+)+!") is None
    monkeypatch.setattr(expressions, "TIME_LIMIT", 60.0)
    assert permissions.matching_dags("^a") == ["a" * 40]
    assert permissions.matching_dags("(") is None


def test_a_team_decides_where_there_are_teams(monkeypatch: pytest.MonkeyPatch):
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    monkeypatch.setattr(Permissions, "_team_of", lambda self, resource, name: {"a": "blue"}.get(name))
    monkeypatch.setattr(permissions, "_existing", lambda resource: ["a"])
    blue = SimpleAuthManagerUser(username="x", role="OP", teams=["blue"])
    red = SimpleAuthManagerUser(username="x", role="OP", teams=["red"])
    assert Permissions(auth_manager(), blue).may("pool", "PUT", None, "a")
    assert not Permissions(auth_manager(), red).may("pool", "PUT", None, "a")
    monkeypatch.setattr(Permissions, "names", lambda self, resource, method: frozenset())
    assert not Permissions(auth_manager(), red).may("pool", "PUT", None, None)


class ByKey:
    """An auth manager with a rule for each variable."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def is_authorized_variable(self, *, method: str, user: Any, details: Any) -> bool:
        return details.key in self.keys


@pytest.mark.airflow
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_the_database_takes_for_another_needs_the_permission_on_that_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with airflow_in(kind, tmp_path, monkeypatch, db_password="x"):
        same = kind == "mariadb"
        for key in ("db_password", "DB_Password", "db_pässword", "db_password "):
            wanted, other = (
                Permissions(ByKey(key), object()),
                Permissions(ByKey("db_password"), object()),
            )
            assert wanted.may("variable", "GET", None, key) is (key == "db_password" or not same), key
            assert other.may("variable", "GET", None, key) is (key == "db_password"), key
        both = Permissions(ByKey("DB_Password", "db_password"), object())
        assert both.may("variable", "PUT", None, "DB_Password")
        assert Permissions(ByKey("new"), object()).may("variable", "POST", None, "new")


@pytest.mark.airflow
def test_what_cannot_be_looked_up_is_not_allowed(monkeypatch: pytest.MonkeyPatch):
    def fails(resource: str, name: str) -> list[str]:
        raise ValueError

    monkeypatch.setattr(permissions, "_stored", fails)
    assert not Permissions(ByKey("a"), object()).may("variable", "GET", None, "a")
