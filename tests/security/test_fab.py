"""A real Airflow with Flask-AppBuilder, and a role that may read, edit and run one DAG."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_rest_api.airflow import permissions
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.needs import POWERS, resource_of
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.storage.database import own_engine
from tests.shared import CONF, add_accounts, airflow
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

MINE, THEIRS = "dag_of_mine", "dag_of_theirs"

ONE_DAG = [
    ("can_read", f"DAG:{MINE}"),
    ("can_edit", f"DAG:{MINE}"),
    ("can_read", "DAG Runs"),
    ("can_create", "DAG Runs"),
    ("can_edit", "DAG Runs"),
    ("can_read", "Task Instances"),
    ("can_edit", "Task Instances"),
    ("can_read", "DAG Dependencies"),
    ("can_read", "DAG Code"),
    ("can_read", "Assets"),
    ("can_create", "Assets"),
    ("can_read", "ImportError"),
    ("can_read", "Jobs"),
]
USERS = {
    "admin": "Admin",
    "op": "Op",
    "user": "User",
    "viewer": "Viewer",
    "one": "One",
    "runner": "Runner",
    "cleaner": "Cleaner",
    "reader": "Reader",
}


class Client(httpx.Client):
    """A client of the plugin, signed in as one user."""

    def __init__(self, stack: Stack, user: str) -> None:
        headers = {"Authorization": f"Bearer {stack.token(user)}"}
        super().__init__(base_url=f"{stack.url}/admin/rest_api", headers=headers, timeout=180)

    def command(self, path: str, **arguments: object) -> httpx.Response:
        return self.post(f"/v2/commands/{path}", json=arguments, headers={"Prefer": "wait=120"})

    def output(self, path: str, **arguments: object) -> str:
        answer = self.command(path, **arguments)
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "succeeded", answer.text
        return str(answer.json()["stdout"])


@pytest.fixture(scope="module")
def stack(fab: Stack) -> Stack:
    roles = {
        "One": ONE_DAG,
        "Runner": ONE_DAG,
        "Cleaner": [("can_delete", f"DAG:{MINE}")],
        "Reader": [("can_read", "Variables")],
    }
    add_accounts(fab, roles, USERS)
    airflow(fab, "dags", "reserialize")
    return fab


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Client]:
    with Client(stack, "admin") as client:
        yield client


@pytest.fixture(scope="module")
def one(stack: Stack) -> Iterator[Client]:
    with Client(stack, "one") as client:
        yield client


def test_who_may_read_all_sees_all(admin: Client):
    assert THEIRS in admin.output("dags/list")
    assert THEIRS in admin.output("assets/details", name="asset_of_mine")
    errors = admin.command("dags/list-import-errors").json()
    assert "broken.py" in errors["stdout"]


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("dags/list", {}),
        ("assets/list", {"columns": "name,scheduled_dags,producing_tasks"}),
        ("assets/details", {"name": "asset_of_mine"}),
        ("assets/details", {"name": "asset_of_mine", "output": "table"}),
    ],
)
def test_a_list_shows_the_one_dag(one: Client, path: str, arguments: dict[str, str]):
    shown = one.output(path, **arguments)

    assert MINE in shown
    assert THEIRS not in shown


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_the_one_dag_is_all_there_is_in_every_format(one: Client, output: str):
    for arguments in ({}, {"columns": "dag_id"}, {"columns": "fileloc"}):
        shown = one.output("dags/list", output=output, **arguments)
        assert "secret.py" not in shown
        assert THEIRS not in shown
        assert "mine" in shown


def test_the_errors_of_others_files_are_not_shown(one: Client):
    answer = one.command("dags/list-import-errors").json()

    assert answer["result"] == []
    assert "broken" not in answer["stdout"]


def test_the_old_list_shows_the_one_dag(stack: Stack, one: Client, admin: Client):
    for query in ("api=list_dags", f"api=list_dags&subdir={stack.dags}"):
        shown = one.get(f"/api?{query}").json()["output"]["stdout"]
        assert MINE in shown
        assert THEIRS not in shown
        assert THEIRS in admin.get(f"/api?{query}").json()["output"]["stdout"]


def example(name: str, argument: Any) -> Any:
    if argument.name in ("dag_id", "dag_ids"):
        return THEIRS
    if argument.name in ("name", "task_id"):
        return "asset_of_nobody" if "assets" in name else "theirs"
    if argument.choices:
        return argument.choices[0]
    if argument.type == "datetime":
        return "2026-01-01"
    value: Any = {"integer": 1, "json": {}}.get(argument.type, "x")
    return [value] if argument.repeatable else value


@pytest.mark.parametrize("name", sorted(load_catalog().commands))
def test_no_command_shows_or_touches_another_dag(one: Client, name: str):
    command = load_catalog().get(name)
    required = {a.name: example(name, a) for a in command.arguments if a.required and not a.file}
    files = [a.name for a in command.arguments if a.file == "in"]
    path = "/v2/commands/" + name.replace(" ", "/")
    attempts = [required]
    if optional := [
        a for a in command.arguments if a.name in ("dag_id", "dag_ids", "name") and not a.required
    ]:
        attempts += [required | {a.name: example(name, a)} for a in optional]
    for values in attempts:
        if files:
            answer = one.post(path, data=values, files={files[0]: ("x.json", b"{}")})
        else:
            answer = one.post(path, json=values, headers={"Prefer": "wait=120"})
        assert answer.status_code in (200, 403), answer.text
        said = answer.json()
        shown = json.dumps([said.get("stdout"), said.get("stderr"), said.get("result"), said.get("files")])
        assert THEIRS not in shown, name
        named = {"dag_id", "dag_ids"} & values.keys() or values.get("name") == "asset_of_nobody"
        if named and command.name != "assets details":
            assert answer.status_code == 403, name


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[endpoint.name for endpoint in ENDPOINTS])
def test_no_old_endpoint_shows_or_touches_another_dag(one: Client, endpoint: Any):
    values = {
        "task_id": "theirs",
        "execution_date": "2026-01-01",
        "start_date": "2026-01-01",
        "dag_id": THEIRS,
    }
    known = {argument.name for argument in endpoint.arguments}
    query = {"api": endpoint.name, **{name: value for name, value in values.items() if name in known}}
    if endpoint.name == "deploy_dag":
        answer = one.post("/api", params=query, files={"dag_file": ("x.py", b"x = 1")})
    else:
        answer = one.get("/api", params=query)
    assert THEIRS not in json.dumps(answer.json()["output"]) or answer.status_code == 403
    if endpoint.argument("dag_id") or endpoint.name in ("deploy_dag", "refresh_all_dags", "serve_logs"):
        assert answer.status_code == 403, answer.text


def test_the_one_dag_can_be_worked_on(one: Client):
    for path in ("dags/pause", "dags/unpause", "dags/details", "dags/list-runs", "dags/trigger"):
        answer = one.command(path, dag_id=MINE)
        assert (answer.status_code, answer.json()["state"]) == (200, "succeeded"), answer.text
    answer = one.get("/api", params={"api": "pause", "dag_id": MINE})
    assert (answer.status_code, answer.json()["http_response_code"]) == (200, 200)
    assert one.command("assets/materialize", name="asset_of_mine").status_code == 200
    assert one.command("assets/materialize", name="asset_of_nobody").status_code == 403


def test_a_regular_expression_may_only_match_the_one_dag(one: Client, admin: Client):
    regex = {"treat_dag_id_as_regex": True}
    assert one.command("dags/pause", dag_id="^dag_of_m", **regex).status_code == 200
    for wider in ("dag_of", ".*", "no_such_dag", "(a+)+$", "(\\w+)+!"):
        assert one.command("dags/pause", dag_id=wider, **regex).status_code == 403, wider
    assert one.command("dags/pause", dag_id="(", **regex).status_code == 400
    assert admin.command("dags/unpause", dag_id="^dag_of_m", **regex).status_code == 200


def test_what_the_role_needs_an_administrator_for_can_be_granted_to_it(stack: Stack, admin: Client):
    resources = [f"REST API {power}" for power in POWERS]
    granted = admin.command("roles/add-perms", role=["Runner"], resource=resources[:1], action=["can_edit"])
    assert granted.json()["state"] == "succeeded", granted.text
    for more in resources[1:]:
        assert (
            admin.command("roles/add-perms", role=["Viewer"], resource=[more], action=["can_edit"]).json()[
                "state"
            ]
            == "succeeded"
        )
    admin.command("roles/del-perms", role=["Viewer"], resource=resources[1:])

    with Client(stack, "runner") as runner:
        assert "mine" in runner.output("tasks/list", dag_id=MINE)
        assert runner.command("tasks/list", dag_id=THEIRS).status_code == 403
        assert runner.command("tasks/list", dag_id=MINE, bundle_name=["dags-folder"]).status_code == 403
        report = runner.output("dags/report")
        assert "mine.py" in report
        assert "secret.py" not in report
        assert runner.command("scheduler").status_code == 403


def test_a_permission_on_a_dag_is_not_enough_to_destroy_it(stack: Stack, admin: Client):
    with Client(stack, "cleaner") as cleaner:
        refused = cleaner.command("dags/delete", dag_id=MINE)
    assert "Destructive" in refused.json()["detail"]["message"]
    assert MINE in admin.output("dags/list")


def test_another_users_operation_is_seen_by_who_could_have_run_it(one: Client, admin: Client):
    every, single = (admin.command(path, **given).json()["id"] for path, given in SEEN)

    assert one.get(f"/v2/operations/{every}").status_code == 404
    assert one.get(f"/v2/operations/{single}").status_code == 200
    assert one.post(f"/v2/operations/{single}/cancel").status_code == 403
    listed = {entry["id"] for entry in one.get("/v2/operations?limit=500").json()["operations"]}
    assert single in listed
    assert every not in listed


SEEN: tuple[tuple[str, dict[str, str]], ...] = (("dags/list", {}), ("dags/details", {"dag_id": MINE}))


@pytest.mark.parametrize(
    ("user", "command", "arguments", "status"),
    [
        ("viewer", "dags/list", {}, 200),
        ("viewer", "dags/pause", {"dag_id": MINE}, 403),
        ("viewer", "variables/list", {}, 403),
        ("user", "dags/pause", {"dag_id": MINE}, 200),
        ("user", "connections/list", {}, 403),
        ("op", "connections/list", {}, 200),
        ("op", "config/get-value", {"section": "core", "option": "executor"}, 403),
        ("op", "users/list", {}, 403),
        ("op", "dags/delete", {"dag_id": MINE}, 403),
        ("admin", "users/list", {}, 200),
    ],
)
def test_the_roles_of_flask_appbuilder_decide(
    stack: Stack, user: str, command: str, arguments: dict[str, str], status: int
):
    with Client(stack, user) as client:
        assert client.command(command, **arguments).status_code == status


def test_who_may_read_a_variable_and_not_edit_it_sees_what_airflow_shows(stack: Stack, admin: Client):
    for key, value in (("conf", json.dumps(CONF)), ("db_password", "hunter22"), ("plain", '{"a" :1}')):
        assert admin.command("variables/set", key=key, value=value).json()["state"] == "succeeded"

    def legacy(client: Client, **more: str) -> str:
        asked = client.get("/api", params={"api": "variables", **more})
        assert asked.status_code == 200, asked.text
        return str(asked.json()["output"]["stdout"]).strip()

    with Client(stack, "reader") as reader:
        hidden = {"host": "db", "password": "***"}
        airflows = httpx.get(f"{stack.url}/api/v2/variables/conf", headers=reader.headers, timeout=60).json()
        assert json.loads(airflows["value"]) == hidden
        seen = reader.command("variables/get", key="conf").json()
        assert json.loads(seen["stdout"]) == hidden
        assert reader.command("variables/get", key="conf", json=True).json()["result"] == hidden
        line = reader.post("/v2/run", json={"argv": ["variables", "get", "conf"]}).json()
        assert json.loads(line["stdout"]) == hidden
        assert json.loads(legacy(reader, get="conf")) == hidden
        assert "hunter22" not in legacy(reader, get="conf", json="on")
        assert (
            reader.output("variables/get", key="db_password").strip()
            == legacy(reader, get="db_password")
            == "***"
        )
        assert (
            reader.output("variables/get", key="plain").strip() == legacy(reader, get="plain") == '{"a" :1}'
        )
        assert reader.command("variables/list", show_values=True).status_code == 403
        assert reader.command("variables/export", file="v.json").status_code == 403

        whole = admin.command("variables/get", key="conf").json()
        assert json.loads(whole["stdout"]) == json.loads(legacy(admin, get="conf")) == CONF
        assert reader.get(f"/v2/operations/{whole['id']}").status_code == 404
        assert admin.get(f"/v2/operations/{seen['id']}").status_code == 200
        assert "hunter22" not in reader.get("/v2/operations?limit=500").text
        again = reader.post(f"/v2/operations/{seen['id']}/run-again", headers={"Prefer": "wait=100"}).json()
        assert json.loads(again["stdout"]) == hidden


def test_a_template_is_rendered_without_the_secrets_of_variables_for_who_may_not_edit_them(
    stack: Stack, admin: Client
):
    power = {"role": ["Runner"], "resource": ["REST API Execute"], "action": ["can_edit"]}
    assert admin.command("roles/add-perms", **power).json()["state"] == "succeeded"
    named = {"dag_id": MINE, "task_id": "shown", "logical_date_or_run_id": "2026-01-01"}
    whole = admin.output("tasks/render", **named)
    assert f"echo {json.dumps(CONF)} hunter23" in whole
    with Client(stack, "runner") as runner:
        masked = runner.output("tasks/render", **named)
        render = {"api": "render", "dag_id": MINE, "task_id": "shown", "execution_date": "2026-01-01"}
        old = runner.get("/api", params=render)
        assert old.status_code == 200, old.text
    for text in (masked, old.json()["output"]["stdout"]):
        assert "hunter" not in text
        assert '"host": "db"' in text
        assert "***" in text


def test_uninstalling_takes_our_powers_from_every_role_and_leaves_all_others(stack: Stack, admin: Client):
    airflow(stack, "roles", "add-perms", "Runner", "-r", "REST API Execute", "-a", "can_edit")
    listed = subprocess.run(
        [sys.executable, "-m", "airflow_rest_api", "uninstall", "--dry-run"],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    [line] = [line for line in listed.splitlines() if "Flask-AppBuilder" in line]
    assert all(resource_of(power) in line for power in POWERS)

    before = admin.output("roles/list", permission=True)
    engine = own_engine(stack.database_address)
    permissions.remove_resources(engine, permissions.existing_resources(engine, POWERS, ["Deploy"]))
    assert permissions.existing_resources(engine, POWERS, ["Deploy"]) == []
    engine.dispose()
    after = admin.output("roles/list", permission=True)
    assert "REST API" in before
    assert "REST API" not in after
    assert f"DAG:{MINE}" in after
