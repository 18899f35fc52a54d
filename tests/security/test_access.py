from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_rest_api.airflow.auth import AirflowAuth
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Argument, Command, Effect
from airflow_rest_api.commands.needs import Ask, Resource
from airflow_rest_api.commands.policy import RULES, needs_of, of_effect
from airflow_rest_api.errors import Forbidden
from airflow_rest_api.legacy.endpoints import ENDPOINT_COMMANDS
from airflow_rest_api.security.access import Gate, Switches
from airflow_rest_api.security.caller import Caller
from airflow_rest_api.security.decision import Attempt, Decision, asks_of, decide, granted, possible
from tests.standin import auth_manager, serving


class Granted:
    """A user who may do some things: `(resource, method, entity, name)`; `None` as a name is all of them."""

    blocking = False

    def __init__(self, *granted: tuple[str, str, str | None, str | None], dags: tuple[str, ...] = ()) -> None:
        self.granted = set(granted)
        self.dags = dags

    def may(self, resource: str, method: str, entity: str | None, name: str | None) -> bool:
        everything = (resource, method, entity, None) in self.granted
        return everything or (name is not None and (resource, method, entity, name) in self.granted)

    def names(self, resource: str, method: str) -> frozenset[str]:
        return frozenset(n for r, m, e, n in self.granted if (r, m, e) == (resource, method, None) and n)

    def matching_dags(self, pattern: str) -> list[str] | None:
        return None if pattern == "[" else [dag for dag in self.dags if pattern in dag]

    def dags_with_outlet(self, name: str | None, uri: str | None) -> list[str] | None:
        return list(self.dags)

    def readable_files(self) -> list[str]:
        return ["bundle:file.py"]


def attempt(command: str, /, **values: Any) -> Attempt:
    catalog = load_catalog()
    invocation = catalog.bind(catalog.get(command), values)
    return Attempt(invocation.command, invocation.values, invocation.given)


def decided(command: str, /, *granted: tuple[str, str, str | None, str | None], **values: Any) -> Decision:
    return decide(Granted(*granted, dags=("a", "ab", "b")), attempt(command, **values))


def test_a_command_needs_its_permission_on_the_very_object():
    a = ("DAG", "PUT", None, "a")
    assert decided("dags pause", a, dag_id="a").missing is None
    assert str(decided("dags pause", a, dag_id="b").missing) == "permission to edit the DAG 'b'"
    assert decided("dags trigger", a, dag_id="a").missing is not None
    assert decided("dags trigger", ("DAG", "POST", "RUN", "a"), dag_id="a").missing is None


def test_a_regular_expression_needs_the_permission_on_each_match():
    a, ab, every = (("DAG", "PUT", None, name) for name in ("a", "ab", None))

    def pause(pattern: str, *granted: tuple[str, str, str | None, str | None]) -> str | None:
        missing = decided("dags pause", *granted, dag_id=pattern, treat_dag_id_as_regex=True).missing
        return missing and str(missing)

    assert pause("a", a, ab) is None
    assert pause("a", a) == "permission to edit every DAG"
    readable = [("DAG", "GET", None, name) for name in ("a", "ab", "b")]
    assert pause("a", *readable) == "permission to edit the DAGs 'a', 'ab'"
    assert pause("a", a, *readable) == "permission to edit the DAG 'ab'"
    # Which DAGs there are that one may not see is not told.
    assert pause("a", a, readable[0]) == "permission to edit every DAG"
    assert pause("nothing", a, ab) == "permission to edit every DAG"
    assert pause("nothing", every) is None


def test_an_expression_that_cannot_be_asked_needs_the_permission_on_every_dag():
    a, every = (("DAG", "PUT", None, name) for name in ("a", None))
    bound = attempt("dags pause", dag_id="a", treat_dag_id_as_regex=True)
    broken = replace(bound, values={**bound.values, "dag_id": "["})

    assert str(decide(Granted(a, dags=("a",)), broken).missing) == "permission to edit every DAG"
    assert decide(Granted(every, dags=("a",)), broken).missing is None


def test_a_list_of_dags_needs_the_permission_on_each():
    power, a, b = (
        ("power", "PUT", "Destructive", None),
        ("DAG", "DELETE", None, "a"),
        ("DAG", "DELETE", None, "b"),
    )
    when = {"clean_before_timestamp": "2026-01-01"}

    assert decided("db clean", power, a, b, dag_ids="a,b", **when).missing is None
    assert decided("db clean", power, a, dag_ids="a,b", **when).missing is not None
    assert str(decided("db clean", power, a, b, **when).missing) == "permission to delete every DAG"
    assert "Destructive" in str(decided("db clean", a, b, dag_ids="a,b", **when).missing)


def test_a_listing_shows_what_the_user_may_see():
    one = ("connection", "GET", None, "one")
    assert decided("connections list", one).visible == {"conn_id": ("one",)}
    assert decided("connections list", ("connection", "GET", None, None)).visible is None
    assert str(decided("connections list").missing) == "permission to read every connection"
    values = decided("connections list", one, ("connection", "PUT", None, "two"), show_values=True)
    assert values.visible == {"conn_id": ()}
    assert decided("connections list", one, show_values=True).missing is not None


def test_what_a_row_mentions_is_no_reason_to_refuse_it():
    assert decided("assets list", ("asset", "GET", None, None)).visible == {"*.dag_id": ()}
    assert decided("assets list", ("asset", "GET", None, None), ("DAG", "GET", None, None)).visible is None
    assert decided("assets list", ("asset", "GET", None, None), alias=True).missing is not None


def test_jobs_of_one_dag_need_that_dag_and_of_all_are_filtered():
    jobs, a = ("view", "GET", "JOBS", None), ("DAG", "GET", None, "a")
    assert decided("dags list-jobs", jobs, a, dag_id="a").visible is None
    assert decided("dags list-jobs", jobs, a, dag_id="b").missing is not None
    assert decided("dags list-jobs", jobs, a).visible == {"dag_id": ("a",)}


def test_import_errors_are_shown_by_file():
    view, a = ("view", "GET", "IMPORT_ERRORS", None), ("DAG", "GET", None, "a")
    assert decided("dags list-import-errors", view, a).visible == {"filepath": ("bundle:file.py",)}


def test_an_asset_is_materialized_by_who_may_run_the_dag_that_makes_it():
    asset = ("asset", "POST", None, None)
    a, b = (("DAG", "GET", None, name) for name in ("a", "b"))
    runs = [("DAG", "POST", "RUN", name) for name in ("a", "ab", "b")]
    assert decided("assets materialize", asset, *runs, name="x").missing is None
    for seen, whose in (([b], "every DAG"), ([a, b], "the DAG 'a'")):
        missing = decided("assets materialize", asset, *runs[1:], *seen, name="x").missing
        assert str(missing) == f"permission to create runs of {whose}"


@pytest.mark.parametrize("key", ["plain", "db_password"])
def test_a_variable_is_shown_as_airflow_shows_it_to_who_may_not_edit_it(key: str):
    get, put = (("variable", method, None, key) for method in ("GET", "PUT"))
    assert decided("variables get", put, key=key).missing is not None
    reader, editor = decided("variables get", get, key=key), decided("variables get", get, put, key=key)
    assert (reader.missing, reader.redacted) == (None, True)
    assert (editor.missing, editor.redacted) == (None, False)
    # What an editor, or an administrator, was shown is not for readers.
    asked = {(ask.method, ask.names) for ask in reader.asks}
    assert asked == {("GET", (key,))}
    for asks in (editor.asks, asks_of(attempt("variables get", key=key))):
        assert {(ask.method, ask.names) for ask in asks} == {*asked, ("PUT", (key,))}


def test_a_template_is_shown_whole_to_who_may_edit_all_that_can_be_in_it():
    power, dag = ("power", "PUT", "Execute", None), ("DAG", "PUT", "TASK_INSTANCE", "a")
    every = [(kind, "PUT", None, None) for kind in ("variable", "connection")]
    render = {"dag_id": "a", "task_id": "t", "logical_date_or_run_id": "r"}
    for allowed, redacted in ((every, False), (every[:1], True), (every[1:], True), ([], True)):
        decision = decided("tasks render", power, dag, *allowed, **render)
        assert (decision.missing, decision.redacted) == (None, redacted)


def test_of_several_commands_one_that_is_masked_masks_all():
    get, put = (("variable", method, None, "a") for method in ("GET", "PUT"))
    attempts = [attempt("variables get", key="a"), attempt("version")]
    for allowed, redacted in (((get, put), False), ((get,), True)):
        caller: Any = Someone(Granted(*allowed))
        assert asyncio.run(Gate().check(caller, attempts)).redacted is redacted


def test_whatever_prints_secrets_prints_them_to_who_may_change_them_alone():
    for command in load_catalog().commands.values():
        if not command.reveals_secrets:
            continue
        needs = (*of_effect(command), *needs_of(command))
        changes = [
            need
            for need in needs
            if (need.method == "PUT" and need.resource is not Resource.POWER)
            or need.entity in ("Administration", "Destructive")
        ]
        assert any(need.when in (None, command.revealed_by) for need in changes), command.name


class Someone:
    """A caller who is no administrator."""

    name = "someone"

    def __init__(self, permissions: Granted) -> None:
        self._permissions = permissions

    async def is_admin(self) -> bool:
        return False

    async def ask(self, question: Any) -> Any:
        return question(self._permissions)


def test_code_of_the_callers_choice_and_places_on_the_server_need_an_administrator():
    execute, a = ("power", "PUT", "Execute", None), ("DAG", "GET", "TASK", "a")
    assert decided("tasks list", execute, a, dag_id="a").missing is None
    assert "Administration" in str(decided("tasks list", execute, a, dag_id="a", bundle_name=["x"]).missing)
    service = ("power", "PUT", "Service", None)
    assert decided("scheduler", service).missing is None
    assert "Administration" in str(decided("scheduler", service, log_file="/tmp/x").missing)
    assert decided("dags list", ("DAG", "GET", None, "a"), bundle_name=["x"]).missing is None


def test_an_argument_that_makes_a_command_graver_makes_it_need_more():
    a = ("DAG", "GET", None, "a")
    assert "Execute" in str(decided("dags list", a, local=True).missing)
    assert "Administration" in str(
        decided("info", ("configuration", "PUT", None, None), file_io=True).missing
    )


def test_an_unknown_command_needs_an_administrator():
    unknown = Command(("a", "b"), "", None, (Argument("x", ("--x",), "string"),), Effect.EXECUTE, known=False)
    execute = ("power", "PUT", "Execute", None)
    assert "Administration" in str(possible(Granted(execute), unknown))
    assert "Administration" in str(decide(Granted(execute), Attempt(unknown)).missing)


def test_a_question_without_names_is_never_answered_with_yes():
    assert not granted(Granted(("DAG", "PUT", None, "a")), Ask(Resource.DAG, "PUT", None, ()))


def test_some_object_is_enough_to_be_allowed():
    catalog = load_catalog()
    one = Granted(("DAG", "PUT", None, "a"), ("DAG", "POST", "RUN", "a"), ("connection", "GET", None, "c"))
    for name in ("dags pause", "dags trigger", "connections list"):
        assert possible(one, catalog.get(name)) is None
    for name in ("dags list", "connections export", "connections get", "dags reserialize", "tasks render"):
        assert possible(one, catalog.get(name)) is not None


def test_an_administrators_operation_asks_for_all_that_it_may_have_shown():
    assert {ask.names for ask in asks_of(attempt("dags list"))} == {None}
    assert {ask.names for ask in asks_of(attempt("dags pause", dag_id="a"))} == {("a",)}
    assert {ask.names for ask in asks_of(attempt("dags pause", dag_id="a", treat_dag_id_as_regex=True))} == {
        None
    }


def test_what_reveals_secrets_is_not_for_readers():
    for command in load_catalog().commands.values():
        if not command.reveals_secrets_of([command.revealed_by or ""]):
            continue
        beyond_reading = [need for need in (*of_effect(command), *needs_of(command)) if need.method != "GET"]
        assert beyond_reading, command.name


def test_what_changes_something_is_not_for_readers():
    for command in load_catalog().commands.values():
        if command.effect is not Effect.READ:
            assert any(need.method != "GET" for need in (*of_effect(command), *needs_of(command))), (
                command.name
            )


def test_every_entity_is_one_of_airflows():
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity

    for rule in RULES.values():
        for need in rule.needs:
            known = {Resource.DAG: DagAccessEntity, Resource.VIEW: AccessView}.get(need.resource)
            assert known is None or need.entity is None or need.entity in known.__members__


def test_a_refusal_names_what_is_missing_and_nothing_runs():
    with serving(user="viewer") as (client, engine):
        by_name = client.post("/v2/commands/dags/pause", json={"dag_id": "a"})
        by_line = client.post("/v2/run", json={"argv": ["variables", "get", "x"]})
        old = client.get("/api?api=pause&dag_id=a")

    assert (by_name.status_code, by_name.json()["detail"]["reason"]) == (403, "forbidden")
    # Any DAG would have let them in.
    assert "permission to edit any DAG" in by_name.json()["detail"]["message"]
    assert by_line.status_code == old.status_code == 403
    assert engine.jobs == []


def test_the_decision_costs_well_below_a_millisecond():
    auth_manager()
    host, gate = AirflowAuth(), Gate()
    user = _user("user")
    pause = attempt("dags pause", dag_id="a")

    async def once() -> None:
        caller = Caller(host, user)
        await gate.precheck(caller, pause.command)
        await gate.check(caller, [pause])

    async def measure() -> float:
        await once()
        times = []
        for _ in range(50):
            started = time.thread_time()
            await once()
            times.append(time.thread_time() - started)
        return sorted(times)[25]

    assert asyncio.run(measure()) < 0.002


def _user(role: str) -> Any:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return SimpleAuthManagerUser(username=role, role=role.upper())


@pytest.mark.parametrize("role", ["viewer", "nobody", ""])
def test_who_may_nothing_is_refused_by_the_gate(role: str):
    auth_manager()
    with pytest.raises(Forbidden):
        asyncio.run(Gate().check(Caller(AirflowAuth(), _user(role)), [attempt("dags pause", dag_id="a")]))


def off(name: str, given: tuple[str, ...] = (), **options: object) -> str | None:
    switches = Switches(aliases=ENDPOINT_COMMANDS, **options)  # type: ignore[arg-type]
    return switches.option(load_catalog().get(name), given)


def test_by_default_all_is_on_but_what_destroys_or_grants_access():
    catalog = load_catalog().commands
    by_default = {name for name in catalog if off(name)}

    destroys = {name for name, one in catalog.items() if one.effect is Effect.DESTRUCTIVE}
    grants = {name for name, one in catalog.items() if one.grants_access}
    assert by_default == destroys | grants
    assert {"standalone", "api-server", "users create", "roles add-perms", "sync-perm"} <= grants - destroys
    assert {off(name) for name in by_default} == {"enabled_commands"}


@pytest.mark.parametrize("enabled", ["*", "", "**", "* *", " *, * ,??*", "dags list"])
def test_a_glob_that_names_nothing_enables_nothing_that_destroys(enabled: str):
    assert off("dags delete", enabled=enabled) == "enabled_commands"


@pytest.mark.parametrize("enabled", ["dags delete", "*,dags delete", "dags *", "dags\t  delete", "*delete"])
def test_what_destroys_is_enabled_by_its_name(enabled: str):
    assert off("dags delete", enabled=enabled) is None


@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        ("dags list", {"enabled": "pools *"}, "enabled_commands"),
        ("pools list", {"enabled": "pools *"}, None),
        ("pools list", {"enabled": "pools *", "disabled": "*list"}, "disabled_commands"),
        ("pools list", {"disabled": "\ndags delete\npools list\nvariables *"}, "disabled_commands"),
        ("pools list", {"enabled": "dags *\n  pools\tlist"}, None),
        ("Dags list", {"disabled": "nothing"}, None),
        ("dags trigger", {"disabled": "trigger_dag"}, "disabled_commands"),
        ("variables export", {"disabled": "variables"}, "disabled_commands"),
        ("dags trigger", {"enabled": "trigger_dag"}, None),
        ("dags list", {"read_only": True}, None),
        ("dags pause", {"read_only": True}, "read_only"),
        ("tasks render", {"read_only": True}, "read_only"),
        ("tasks render", {"run_dag_code": False}, "run_dag_code"),
        ("scheduler", {"run_dag_code": False}, "run_dag_code"),
        ("api-server", {"run_dag_code": False, "enabled": "*, api-server"}, None),
        ("api-server", {"enabled": "*, api*"}, None),
        ("standalone", {"enabled": "*, stand*"}, None),
        ("standalone", {"enabled": "*, standalone", "run_dag_code": False}, "run_dag_code"),
        ("users create", {"enabled": "*, users *"}, None),
        ("users create", {"enabled": "*, users *", "read_only": True}, "read_only"),
        ("users list", {}, None),
        ("dags trigger", {"run_dag_code": False}, None),
    ],
)
def test_the_options(name: str, options: dict[str, object], option: str | None):
    assert off(name.lower(), **options) == option


@pytest.mark.parametrize(("option", "value"), [("read_only", True), ("run_dag_code", False)])
def test_an_argument_that_makes_a_command_graver_counts(option: str, value: bool):
    assert off("dags list", **{option: value}) is None
    assert off("dags list", ("local",), **{option: value}) == option


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"enabled_commands": ""},
        {"enabled_commands": "pools *, dags list"},
        {"disabled_commands": "*"},
        {"disabled_commands": "dags *, variables, trigger_dag, *delete*, pools list"},
        {"read_only": True, "run_dag_code": False, "disabled_commands": "* *", "enabled_commands": "nothing"},
    ],
    ids=repr,
)
def test_what_a_refusal_tells_to_write_switches_the_command_on(options: dict[str, object]):
    """Each refusal names one option: with what it says of each in turn, the command is on."""
    for name, command in load_catalog().commands.items():
        told = dict(options)
        for _ in range(4):
            switches = _switches(told)
            option = switches.option(command)
            if option is None:
                break
            written, _, value = switches.setting(option, command).partition(" =")
            assert written == option
            told[option] = {"True": True, "False": False}.get(value.strip(), value.strip())
        assert _switches(told).option(command) is None, name


def _switches(options: dict[str, object]) -> Switches:
    names = {name.removesuffix("_commands"): value for name, value in options.items()}
    return Switches(aliases=ENDPOINT_COMMANDS, **names)  # type: ignore[arg-type]


def test_entries_that_fit_no_command_are_named_in_the_log(caplog: pytest.LogCaptureFixture):
    rules = "dag-files = local, execute = local, exceute = local, trigger_dag = local"
    options = {
        "enabled_commands": "*, db clean, celery *, dgas *",
        # Of our own, of the 1.x plugin, and of all three that are none.
        "disabled_commands": "legacy_usage, deploy_dag, variables, schedular, dag-files, services *",
    }
    with serving(**options, placement=rules) as (client, _):
        assert client.get("/v2/commands").status_code == 200

    assert [record.getMessage() for record in caplog.records if "no command" in record.getMessage()] == [
        f"[rest_api_plugin] {entry} fits no command, and has no effect"
        for entry in (
            "enabled_commands: 'dgas *'",
            "disabled_commands: 'schedular'",
            "disabled_commands: 'dag-files'",
            "disabled_commands: 'services *'",
            "placement: 'exceute'",
        )
    ]


@pytest.mark.parametrize("user", ["viewer", "admin"])
def test_what_is_off_says_so_with_its_option_to_everybody(user: str):
    with serving(user=user, disabled_commands="version") as (client, engine):
        by_name = client.post("/v2/commands/version")
        by_line = client.post("/v2/run", json={"argv": ["version"]})
        told = client.get("/v2/commands/version").json()

    for answer in (by_name, by_line):
        assert answer.status_code == 403
        assert answer.json()["detail"]["option"] == "disabled_commands"
        assert answer.json()["detail"]["reason"] == "switched_off"
        assert answer.json()["detail"]["setting"] == "disabled_commands ="
        assert "[rest_api_plugin] disabled_commands =" in answer.json()["detail"]["message"]
    assert told["allowed"] is False
    assert told["refusal"] == by_name.json()["detail"]
    assert engine.jobs == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/commands/standalone", {}),
        ("/v2/commands/api-server", {"port": 8081}),
        ("/v2/run", {"argv": ["standalone"]}),
        ("/v2/run", {"argv": ["users", "reset-password", "-u", "admin", "-p", "x"]}),
        ("/v2/services", {"kind": "api-server", "arguments": {"port": 8081}}),
    ],
)
def test_nobody_gets_at_the_users_by_a_command_that_was_not_named(path: str, body: dict[str, object]):
    with serving() as (client, engine):
        answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["detail"]["option"]) == (403, "enabled_commands")
    assert engine.jobs == []


def test_an_endpoint_of_1_x_is_off_with_its_command_and_by_its_own_name():
    path = "/api?api=pause&dag_id=a"
    for disabled in ("dags pause", "pause", "*"):
        with serving(disabled_commands=disabled) as (client, engine):
            answer = client.get(path)
        assert answer.status_code == 403
        assert "disabled_commands" in answer.json()["output"]
        assert engine.jobs == []
    with serving(disabled_commands="*version") as (client, _):
        for name in ("version", "rest_api_plugin_version"):
            assert client.get(f"/api?api={name}").status_code == 403
    with serving(disabled_commands="deploy_dag") as (client, engine):
        refused = client.post("/api?api=deploy_dag", files={"dag_file": ("a.py", b"x")})
        assert (refused.status_code, engine.jobs) == (403, [])
