"""Every command for every role of the simple auth manager and of Flask-AppBuilder, decided by these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.airflow.auth import AirflowAuth
from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_2_PLUS, base_version
from airflow_rest_api.app import create_app
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Command, Effect
from airflow_rest_api.commands.needs import Need, Resource
from airflow_rest_api.commands.policy import RULES
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.settings import Settings
from tests.standin import StandInEngine, airflow_database, prints

ALL_ON = "*[a-z]*"
ROLES = ("viewer", "user", "op", "admin")

# What the simple auth manager documents of its roles: the least one that may read, and that may change.
SIMPLE = {
    Resource.DAG: ("viewer", "user"),
    Resource.ASSET: ("viewer", "op"),
    Resource.ASSET_ALIAS: ("viewer", "op"),
    Resource.POOL: ("op", "op"),
    Resource.CONFIGURATION: ("viewer", "op"),
    Resource.VIEW: ("viewer", "viewer"),
    Resource.CONNECTION: ("op", "op"),
    Resource.VARIABLE: ("op", "op"),
    Resource.TEAM: ("admin", "admin"),
    Resource.BACKFILL: ("viewer", "op"),
    Resource.ACCOUNTS: ("admin", "admin"),
    Resource.POWER: ("admin", "admin"),
}

# What Flask-AppBuilder calls what we ask for.
ACTIONS = {"GET": "can_read", "POST": "can_create", "PUT": "can_edit", "DELETE": "can_delete"}
RESOURCES = {
    Resource.ASSET: "Assets",
    Resource.ASSET_ALIAS: "Asset Aliases",
    Resource.BACKFILL: "Backfills",
    Resource.POOL: "Pools",
    Resource.CONFIGURATION: "Configurations",
    Resource.CONNECTION: "Connections",
    Resource.VARIABLE: "Variables",
}
VIEWS = {
    "CLUSTER_ACTIVITY": "Cluster Activity",
    "IMPORT_ERRORS": "ImportError",
    "JOBS": "Jobs",
    "PLUGINS": "Plugins",
    "PROVIDERS": "Providers",
}
ENTITIES = {
    "RUN": ("DAG Runs",),
    "TASK": ("Task Instances",),
    "TASK_INSTANCE": ("DAG Runs", "Task Instances"),
    "DEPENDENCIES": ("DAG Dependencies",),
    "CODE": ("DAG Code",),
}


SHOWS_UNASKED = frozenset() if AIRFLOW_V_3_2_PLUS else frozenset({"config list", "connections list"})
"""The listings that show secrets without being asked to, as they have no argument to ask with."""

PARSES = frozenset(name for name, rule in RULES.items() if rule.on(base_version()) != rule)
"""What runs the code of DAG authors on this version of Airflow, and only reads or writes on a later one."""

MORE_HERE = frozenset(
    name
    for name, rule in RULES.items()
    if any(one.before and base_version() < one.before for one in rule.needs)
)
"""What needs more on this version of Airflow than on a later one."""


def needed(command: Command) -> Iterator[Need]:
    """Yield what the table says that a command needs with the arguments that it cannot do without."""
    power = {Effect.EXECUTE: "Execute", Effect.SERVICE: "Service", Effect.DESTRUCTIVE: "Destructive"}
    if command.effect in power:
        yield Need(Resource.POWER, "PUT", power[command.effect])
    needs_path = any(argument.required and argument.server_path for argument in command.arguments)
    if needs_path or command.grants_access or not command.known:
        yield Need(Resource.POWER, "PUT", "Administration")
    for need in RULES[command.name].needs:
        mentioned = need.rows is not None and need.rows.startswith("*.")
        if need.before and base_version() >= need.before:
            continue
        always = need.when == "show_values" and command.name in SHOWS_UNASKED
        if always or not (need.when or need.to_reveal or mentioned):
            yield need


def simple_grants(role: str, need: Need) -> bool:
    read, change = SIMPLE[need.resource]
    least = read if need.method == "GET" else change
    if need.resource is Resource.POOL and need.method == "GET":
        least = "viewer"
    return ROLES.index(role) >= ROLES.index(least)


def fab_grants(permissions: set[tuple[str, str]], need: Need) -> bool:
    action = ACTIONS[need.method]
    if need.resource is Resource.DAG:
        whole = action if need.entity is None or need.method == "GET" else "can_edit"
        inside = {(action, name) for name in ENTITIES[need.entity]} if need.entity else set()
        return {(whole, "DAGs"), *inside} <= permissions
    if need.resource is Resource.VIEW:
        return ("can_read", VIEWS[str(need.entity)]) in permissions
    if need.resource is Resource.ACCOUNTS:
        return (action, str(need.entity)) in permissions
    if need.resource is Resource.POWER:
        return (action, f"REST API {need.entity}") in permissions
    return need.resource is not Resource.TEAM and (action, RESOURCES[need.resource]) in permissions


def fab_permissions(role: str) -> set[tuple[str, str]]:
    """Return what Flask-AppBuilder gives to a role at first."""
    from airflow.providers.fab.auth_manager.security_manager.override import (
        FabAirflowSecurityManagerOverride as Security,
    )

    of_role = {config["role"].lower(): set(config["perms"]) for config in Security.ROLE_CONFIGS}
    return set(of_role.get(role, ()))


class Roles(AirflowAuth):
    """Airflow, whose users are known by the name of their role."""

    def __init__(self, users: dict[str, Any]) -> None:
        self._users = users

    async def user(self, token: str, session: Any = None) -> Any:
        return self._users[token]


@pytest.fixture(scope="module", autouse=True)
def _tables() -> None:
    from airflow import settings
    from airflow.providers.fab.auth_manager.models import User

    airflow_database()
    User.metadata.create_all(settings.engine)


@pytest.fixture(params=["simple", "fab"])
def manager(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "fab":
        from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

        monkeypatch.setattr("airflow_rest_api.airflow.users.auth_manager", FabAuthManager)
    return str(request.param)


def users(manager: str) -> dict[str, Any]:
    if manager == "simple":
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        return {role: SimpleAuthManagerUser(username=role, role=role.upper()) for role in ROLES}
    from airflow.providers.fab.auth_manager.models import Role, User

    made = {}
    for number, role in enumerate(ROLES):
        user = User(id=number, username=role, active=True, roles=[Role(name=role.capitalize())])
        user._perms = fab_permissions(role) or {("can_read", "Website")}
        made[role] = user
    return made


def body(command: Command) -> dict[str, Any]:
    """Return the arguments that a command cannot do without."""
    values: dict[str, Any] = {}
    for argument in command.arguments:
        if argument.required and not argument.file:
            value: Any = argument.choices[0] if argument.choices else "a"
            value = {"integer": 1, "datetime": "2026-01-01"}.get(argument.type, value)
            values[argument.name] = [value] if argument.repeatable else value
    return values


@pytest.mark.slow
def test_every_command_for_every_role(manager: str):
    engine = StandInEngine(prints())
    app = create_app(
        Settings(enabled_commands=ALL_ON), engine=cast("Engine", engine), host=Roles(users(manager))
    )
    wrong: list[tuple[str, str, int]] = []
    allowed: dict[str, int] = dict.fromkeys(ROLES, 0)
    with TestClient(app) as client:
        for command in load_catalog().commands.values():
            for role in (None, *ROLES):
                headers = {"Authorization": f"Bearer {role}"} if role else {}
                status = post(client, command, headers)
                if role is None:
                    expected = {401}
                elif role == "admin" or all(granted(manager, role, need) for need in needed(command)):
                    expected = {200}
                    allowed[role] += 1
                else:
                    expected = {403}
                if status not in expected:
                    wrong.append((command.name, str(role), status))
        listed = {role: told(client, role) for role in ROLES}

    assert wrong == []
    # A role of more rank may do more, and none but the administrator all.
    counts = [allowed[role] for role in ROLES]
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[1] < counts[-1] == len(load_catalog().commands)
    assert {role: len(names) for role, names in listed.items()} == allowed


# By hand, so that a slip in the table is seen here: what a role may do that the one below it may not.
MORE = {
    (
        "simple",
        "user",
    ): "backfill create, dags clear, dags pause, dags trigger, dags unpause, partitions clear, tasks clear",
    ("simple", "op"): "assets materialize, connections add, "
    "connections create-default-connections, connections delete, connections export, connections get, "
    "connections import, connections list, pools delete, pools import, pools set, variables delete, "
    "variables export, variables get, variables import, variables list, variables set",
    (
        "fab",
        "user",
    ): "assets materialize, backfill create, dags clear, dags pause, dags trigger, dags unpause, "
    "partitions clear, tasks clear",
}
NEVER_FOR_OP = (
    "config get-value, config lint, config update, connections test, dags delete, dags test, db clean, "
    "db migrate, db reset, info, roles add-perms, "
    "rotate-fernet-key, scheduler, sync-perm, tasks list, tasks render, tasks test, teams create, "
    "users create, users list"
)


@pytest.mark.slow
@pytest.mark.parametrize(("manager", "role"), MORE, indirect=["manager"])
def test_what_a_role_may_more_than_the_one_below(manager: str, role: str):
    engine = StandInEngine(prints())
    app = create_app(
        Settings(enabled_commands=ALL_ON), engine=cast("Engine", engine), host=Roles(users(manager))
    )
    with TestClient(app) as client:
        more = told(client, role) - told(client, ROLES[ROLES.index(role) - 1])
        op = told(client, "op")

    here = load_catalog().commands.keys() - PARSES - MORE_HERE
    assert sorted(more - MORE_HERE) == [name for name in MORE[manager, role].split(", ") if name in here]
    assert set(NEVER_FOR_OP.split(", ")) & op == set()


README = Path(__file__).parents[2] / "README.md"
MARKS = {"✓": {"simple", "fab"}, "simple only": {"simple"}, "FAB only": {"fab"}, "–": set()}


def roles_of_the_readme() -> dict[tuple[str, ...], list[str]]:
    """Return the rows of the table in the README: the commands that it names, by the marks of the roles."""
    text = README.read_text().partition("<!-- roles")[2].partition("<!-- end of roles -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {tuple(row[2:]): re.findall(r"`([^`]+)`", row[1]) for row in rows}


@pytest.mark.slow
def test_the_readme_says_which_role_may_what(manager: str):
    app = create_app(
        Settings(enabled_commands=ALL_ON),
        engine=cast("Engine", StandInEngine(prints())),
        host=Roles(users(manager)),
    )
    with TestClient(app) as client:
        may = {role: told(client, role) for role in ROLES}
    rows = roles_of_the_readme()
    columns = {tuple(manager in MARKS[mark] for mark in marks) for marks in rows}

    for marks, commands in rows.items():
        assert commands
        # A version may lack some, and what shows secrets unasked or parses DAG files is another's there.
        here = may["admin"] - SHOWS_UNASKED - PARSES - MORE_HERE
        for command in [name for name in commands if name in here]:
            assert [command in may[role] for role in ROLES] == [manager in MARKS[mark] for mark in marks], (
                command
            )
    # There is no command of which none of the rows tells.
    for command in may["admin"]:
        assert tuple(command in may[role] for role in ROLES) in columns, command


def granted(manager: str, role: str, need: Need) -> bool:
    return simple_grants(role, need) if manager == "simple" else fab_grants(fab_permissions(role), need)


def post(client: TestClient, command: Command, headers: dict[str, str]) -> int:
    path = f"/v2/commands/{'/'.join(command.path)}"
    files = {a.name: ("x.json", b"{}") for a in command.arguments if a.file == "in" and a.required}
    if files:
        return client.post(path, data=body(command), files=files, headers=headers).status_code
    return client.post(path, json=body(command), headers=headers).status_code


def told(client: TestClient, role: str) -> set[str]:
    answer = client.get("/v2/commands", headers={"Authorization": f"Bearer {role}"})
    return {entry["name"] for entry in answer.json()["commands"] if entry["allowed"]}
