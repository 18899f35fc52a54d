from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable

import pytest

from airflow_rest_api.commands import policy
from airflow_rest_api.commands.catalog import Catalog
from airflow_rest_api.commands.model import Command, Effect
from airflow_rest_api.commands.needs import ADMINISTER, Resource
from airflow_rest_api.security.access import Switches
from tests.airflow_commands import functions

# What the code of a command says that starts an API server (`airflow.cli.commands.api_server_command`,
# `standalone_command`), or that changes users, roles or the tables that they are in (Flask-AppBuilder's
# security manager, and the managers of the databases that others bring).
STARTS_A_SERVER = re.compile(r"uvicorn|gunicorn|StandaloneCommand|create_app\(")
CHANGES_USERS = re.compile(
    r"(add|del|delete|update|create|reset|import)_(user|role|perm)|(add|remove|sync|bulk_sync|delete)_(role|perm)"
    r"|_import_(users|roles)|__roles_(add|del)|_change_role|reset_user_password|roles\.(append|remove)"
    r"|cleanup_dag_permissions|(resetdb|downgrade)\(|_get_db_manager|dbshell|execute_interactive"
)


def test_every_installed_command_has_a_row(catalog):
    assert [name for name in catalog.commands if name not in policy.COMMANDS] == []
    assert [name for name, command in catalog.commands.items() if not command.known] == []


def test_every_row_of_the_current_version_is_an_installed_command(catalog):
    assert [name for name in policy.CURRENT if name not in catalog.commands] == []


def test_rows_of_other_versions_are_kept_apart(catalog):
    assert [name for name in policy.KUBERNETES if name in catalog.commands] == []
    assert len(policy.RULES) == sum(map(len, (policy.CURRENT, policy.KUBERNETES, policy.OWN)))


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("cleanup-pods", ["namespace", "min-pending-minutes", "min-completed-minutes", "verbose"]),
        (
            "generate-dag-yaml",
            [
                "dag-id",
                "logical-date",
                "execution-date",
                "bundle-name",
                "subdir",
                "output-path",
                "team",
                "verbose",
            ],
        ),
    ],
)
def test_the_arguments_of_the_kubernetes_provider_are_reviewed(name: str, flags: list[str]):
    parser = argparse.ArgumentParser()
    group = parser.add_subparsers(dest="subcommand").add_parser("kubernetes", help="Kubernetes")
    leaf = group.add_subparsers(dest="subcommand").add_parser(name, help="Do it")
    for flag in flags:
        leaf.add_argument(f"--{flag}")
    command = Catalog(parser).get(f"kubernetes {name}")
    assert [one.name for one in command.arguments if not one.reviewed] == []


def test_a_command_without_a_row_is_not_harmless():
    parser = argparse.ArgumentParser()
    parser.add_subparsers(dest="subcommand").add_parser("brand-new", help="Do something")
    command = Catalog(parser).get("brand-new")
    assert (command.known, command.effect, command.reveals_secrets) == (False, Effect.EXECUTE, True)
    # It may as well start a server, or make somebody an administrator.
    assert command.grants_access
    assert Switches().option(command) == "enabled_commands"


def dags_list(*more: str, func: Callable[..., None] | None = None) -> Command:
    """Return what a parser has as `dags list`, with more arguments than Airflow's."""
    parser = argparse.ArgumentParser()
    dags = parser.add_subparsers(dest="subcommand").add_parser("dags", help="DAGs")
    leaf = dags.add_subparsers(dest="subcommand").add_parser("list", help="List them")
    for flag in ("--output", *more):
        leaf.add_argument(flag)
    leaf.set_defaults(func=func)
    return Catalog(parser).get("dags list")


def test_an_argument_that_nobody_has_looked_at_is_for_administrators_and_for_no_resident_child():
    command = dags_list("--from-file")
    assert command.may_share({"output"})
    assert policy.of_effect(command, frozenset({"output"})) == ()
    assert not command.may_share({"from_file"})
    assert policy.of_effect(command, frozenset({"from_file"})) == policy.ADMINISTRATOR


def test_every_argument_of_the_installed_version_was_looked_at(catalog):
    for command in catalog.commands.values():
        assert [one.name for one in command.arguments if not one.reviewed] == [], command.name


def test_a_command_of_a_plugin_with_the_name_of_one_of_airflows_is_not_known(catalog):
    from airflow.cli.cli_config import lazy_load_command

    def own(args: argparse.Namespace) -> None:
        raise AssertionError

    for func in (own, lazy_load_command("site.commands.list_dags"), lazy_load_command("airflow_of_ours.x")):
        assert not dags_list(func=func).known
    assert dags_list(func=lazy_load_command("airflow.cli.commands.dag_command.dag_list_dags")).known
    assert all(catalog.get(name).known for name in policy.CURRENT)


def test_what_a_test_has_in_its_environment_is_for_administrators(catalog):
    needs = policy.needs_of(catalog.get("tasks test"))
    assert [need.when for need in needs if need.entity == ADMINISTER] == ["env_vars"]


def test_what_starts_an_api_server_or_changes_users_is_for_administrators_and_off_until_named(catalog):
    sources = {name: inspect.getsource(function) for name, function in functions()}
    servers = {name for name, source in sources.items() if STARTS_A_SERVER.search(source)}
    users = {name for name, source in sources.items() if CHANGES_USERS.search(source)}
    # Whatever brings users and roles calls them that.
    users |= {name for name in sources if name.split()[0] in {"users", "roles"} and not _reads(name)}

    assert {"api-server", "standalone"} <= servers
    assert {"users create", "users import", "roles add-perms", "sync-perm", "fab-db reset"} <= users
    for name in servers | users:
        command = catalog.get(name)
        assert command.grants_access, name
        assert ADMINISTER in {
            need.entity for need in policy.of_effect(command) if need.resource is Resource.POWER
        }
        for enabled in ("*", "", "**"):
            assert Switches(enabled=enabled).option(command) == "enabled_commands", name
        assert Switches(enabled=f"*, {name}").option(command) is None, name


def _reads(name: str) -> bool:
    return name.rsplit(maxsplit=1)[-1] in {"list", "export"}


def test_no_command_grants_access_that_only_reads(catalog):
    assert [c.name for c in catalog.commands.values() if c.grants_access and c.effect is Effect.READ] == []


def test_what_asks_for_confirmation_or_drops_data_is_not_a_read(catalog):
    reads = [command for command in catalog.commands.values() if command.effect is Effect.READ]
    assert [command.name for command in reads if command.argument("yes")] == []
    changing = {
        "add",
        "clean",
        "clear",
        "create",
        "delete",
        "import",
        "migrate",
        "reset",
        "set",
        "test",
        "trigger",
    }
    assert [command.name for command in reads if command.path[-1] in changing] == []


def test_what_can_run_as_a_daemon_is_a_service(catalog):
    daemons = [command for command in catalog.commands.values() if command.argument("daemon")]
    assert {command.effect for command in daemons} == {Effect.SERVICE}


@pytest.mark.parametrize(
    "command", ["connections get", "variables get", "config get-value", "connections export"]
)
def test_what_prints_secrets_is_marked(catalog, command):
    assert catalog.get(command).reveals_secrets


@pytest.mark.parametrize("command", ["config list", "connections list", "variables list"])
def test_a_listing_shows_values_only_when_asked_to(catalog, command):
    found = catalog.get(command)
    assert not catalog.bind(found, {}).reveals_secrets
    assert not catalog.bind(found, {"show_values": False}).reveals_secrets
    assert catalog.bind(found, {"show_values": True}).reveals_secrets
    assert catalog.parse([*found.path, "--show-val"]).reveals_secrets


def test_an_argument_can_raise_the_effect(catalog):
    command = catalog.get("dags list")
    assert command.effect is Effect.READ
    assert catalog.bind(command, {}).effect is Effect.READ
    assert catalog.bind(command, {"local": True}).effect is Effect.EXECUTE
    assert catalog.parse(["dags", "list", "-l"]).effect is Effect.EXECUTE
    clear = catalog.get("tasks clear")
    assert catalog.bind(clear, {"dag_id": "a", "dag_regex": True}).effect is Effect.EXECUTE
    # These are looked up in the database.
    assert (
        catalog.bind(clear, {"dag_id": "a", "task_regex": "b", "bundle_name": ["c"]}).effect is Effect.WRITE
    )


def test_what_parses_dag_files_on_an_older_airflow_executes_there_and_in_no_resident_child():
    rule = policy.COMMANDS["tasks clear"]
    assert (rule.on((3, 1, 8)).effect, rule.on((3, 1, 8)).resident) == (Effect.EXECUTE, False)
    assert (rule.on((3, 2, 0)).effect, rule.on((3, 2, 0)).resident) == (Effect.WRITE, True)


@pytest.mark.parametrize(("version", "asked"), [((3, 0, 6), True), ((3, 1, 0), False), ((3, 3, 2), False)])
def test_backfills_are_asked_about_by_themselves_where_airflow_does(version, asked, catalog, monkeypatch):
    monkeypatch.setattr(policy, "base_version", lambda: version)
    needs = policy.needs_of(catalog.get("backfill create"))
    assert any(need.resource is Resource.BACKFILL for need in needs) is asked


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("connections add", ("conn_json", None)),
        ("connections import", (None, None)),
        ("pools import", (None, None)),
        ("pools set", (None, "team_name")),
    ],
)
def test_what_may_name_a_team_in_a_file_or_in_json_is_for_administrators_where_there_are_teams(
    name: str, asked: tuple[str | None, str | None], catalog, monkeypatch
):
    def administrators() -> list[tuple[str | None, str | None]]:
        needs = policy.needs_of(catalog.get(name))
        return [(need.when, need.unless) for need in needs if need.resource is Resource.POWER]

    assert administrators() == []
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    assert administrators() == [asked]


@pytest.mark.parametrize(("version", "asked"), [((3, 2, 2), True), ((3, 3, 0), False)])
@pytest.mark.parametrize("name", ["variables import", "variables set"])
def test_what_takes_a_variable_from_its_team_is_for_administrators_where_airflow_does_that(
    name: str, version: tuple[int, int, int], asked: bool, catalog, monkeypatch
):
    def administrators() -> bool:
        return any(need.resource is Resource.POWER for need in policy.needs_of(catalog.get(name)))

    monkeypatch.setattr(policy, "base_version", lambda: version)
    assert not administrators()
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    assert administrators() is asked


def test_every_argument_named_in_a_row_exists(catalog):
    for name, row in policy.CURRENT.items():
        arguments = {argument.name for argument in catalog.get(name).arguments}
        assert row.raised_by.keys() <= arguments, name
        assert row.revealed_by is None or row.revealed_by in arguments, name
        for need in row.needs:
            assert {need.argument, need.pattern, need.when, need.unless} <= {*arguments, None}, name


def test_what_is_no_command_of_airflows_is_told_as_what_it_does():
    assert [name for name, rule in policy.OWN.items() if not rule.deed or "_" in rule.deed] == []
    assert policy.refusal("deploy_dag", "x") == "You may not deploy DAG files: that takes x."
    assert policy.refusal("dags list", "x") == "You may not run 'dags list': that takes x."


def test_a_command_needs_the_power_of_its_effect_but_where_its_needs_have_one():
    powers = {
        name: [need.entity for need in policy.of_effect(policy.own_command(name))] for name in policy.OWN
    }
    assert powers["run"] == ["Execute"]
    assert powers["serve_logs"] == ["Service"]
    assert powers["deploy_dag"] == powers["list_dags"] == []


def test_what_has_no_row_is_for_administrators():
    brand_new = Command(("brand-new",), "", None, (), Effect.READ)
    assert policy.needs_of(brand_new) == policy.ADMINISTRATOR
