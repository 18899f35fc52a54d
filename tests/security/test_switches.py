from __future__ import annotations

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.legacy.endpoints import ENDPOINT_COMMANDS
from airflow_rest_api.security.switches import Switches
from tests.standin import serving


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
