from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.discovery import SEARCH_WORDS, search_words
from airflow_rest_api.commands.model import Argument
from tests.standin import serving

SECRETS = {
    "AIRFLOW__CELERY__FLOWER_BASIC_AUTH": "planted-user:planted-password",
    "AIRFLOW__CELERY__BROKER_URL": "redis://:planted-broker@planted-host:6379/0",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////tmp/planted-database.db",
    "AIRFLOW__API__HOST": "planted-host.internal",
    "AIRFLOW__API__SSL_CERT": "/planted/certificate.pem",
    "AIRFLOW__API__SSL_KEY": "planted-relative.key",
    "AIRFLOW__API__LOG_CONFIG": "planted-logging.yaml",
    "AIRFLOW__KERBEROS__KEYTAB": "planted.keytab",
    "AIRFLOW__CELERY__FLOWER_HOST": "10.11.12.13",
}

DUMP = """
import dataclasses, json
from airflow_rest_api.commands.catalog import load_catalog
print(json.dumps([dataclasses.asdict(command) for command in load_catalog().commands.values()]))
"""


def leaf_names(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> list[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        return [" ".join(path)]
    return [
        leaf
        for group in groups
        for name, below in group.choices.items()
        for leaf in leaf_names(below, (*path, name))
    ]


def argument(catalog: Catalog, command: str, name: str) -> Argument:
    found = catalog.get(command).argument(name)
    assert found is not None
    return found


def test_every_leaf_of_airflows_parser_is_a_command(catalog, airflows_parser):
    names = leaf_names(airflows_parser)
    assert list(catalog.commands) == sorted(names, key=lambda name: name.split())
    assert len(names) > 90


def test_every_argument_of_airflows_parser_is_an_argument_once(catalog, airflows_parser):
    def leaf(path):
        parser = airflows_parser
        for word in path:
            parser = next(
                action.choices[word]
                for action in parser._actions
                if isinstance(action, argparse._SubParsersAction)
            )
        return parser

    for command in catalog.commands.values():
        names = [action.dest for action in leaf(command.path)._actions if action.dest != "help"]
        assert [found.name for found in command.arguments] == names
        assert len(set(names)) == len(names), command.name


@pytest.mark.slow
def test_the_catalog_tells_nothing_about_the_server(tmp_path):
    home = tmp_path / "planted-home"
    home.mkdir()
    environment = {
        **os.environ,
        **SECRETS,
        "AIRFLOW_HOME": str(tmp_path / "planted-airflow"),
        "HOME": str(home),
    }
    answer = subprocess.run(
        [sys.executable, "-c", DUMP],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    text = answer.stdout.splitlines()[-1]
    assert len(json.loads(text)) > 90
    folders = [str(tmp_path), sys.prefix, str(Path.home()), str(Path(sys.modules["airflow"].__file__).parent)]
    leaked = [word for word in ["planted", "10.11.12.13", *folders] if word in text]
    assert leaked == []


@pytest.mark.parametrize(
    ("command", "name", "expected"),
    [
        ("dags state", "dag_id", {"flags": (), "type": "string", "required": True, "repeatable": False}),
        ("dags trigger", "logical_date", {"flags": ("-l", "--logical-date"), "type": "datetime"}),
        ("dags trigger", "replace_microseconds", {"type": "boolean", "flag": True, "default": True}),
        ("dags trigger", "replace_microseconds", {"negative": "--no-replace-microseconds"}),
        ("dags list", "columns", {"type": "list", "repeatable": False}),
        ("dags list", "bundle_name", {"type": "string", "repeatable": True, "default": None}),
        ("dags list", "output", {"choices": ("table", "json", "yaml", "plain"), "default": "table"}),
        ("config list", "color", {"choices": ("auto", "off", "on"), "default": "auto"}),
        ("tasks test", "env_vars", {"type": "json"}),
        ("tasks test", "map_index", {"type": "integer", "default": -1}),
        ("tasks test", "logical_date_or_run_id", {"required": False}),
        ("db check", "retry", {"type": "integer", "default": 0}),
        (
            "backfill create",
            "run_on_latest_version",
            {"flag": True, "negative": "--no-run-on-latest-version"},
        ),
        ("backfill create", "dag_id", {"required": True, "flags": ("--dag-id",)}),
        ("roles create", "role", {"repeatable": True, "required": False}),
        ("roles add-perms", "action", {"repeatable": True, "required": True}),
        ("api-server", "port", {"type": "integer", "default": 8080}),
        ("api-server", "host", {"default": "0.0.0.0"}),
        ("api-server", "ssl_key", {"server_path": True, "default": None}),
        ("kerberos", "keytab", {"server_path": True, "default": None, "file": None}),
        ("dags test", "dagfile_path", {"server_path": True, "file": None}),
        ("variables import", "file", {"file": "in", "type": "string"}),
        ("variables export", "file", {"file": "out", "type": "string"}),
        ("connections import", "file", {"file": "in"}),
        ("connections export", "file", {"file": "out"}),
        ("connections export", "serialization_format", {"choices": ("json", "uri"), "type": "string"}),
        ("pools import", "file", {"file": "in"}),
        ("roles export", "file", {"file": "out"}),
        ("users import", "import", {"file": "in"}),
        ("users export", "export", {"file": "out"}),
        ("dags show", "save", {"file": "out"}),
        ("dags test", "save_dagrun", {"file": "out"}),
        ("connections add", "conn_password", {"secret": True}),
        ("connections add", "conn_uri", {"secret": True}),
        ("connections add", "conn_host", {"secret": False}),
        ("users create", "password", {"secret": True}),
        ("users create", "use_random_password", {"secret": False, "flag": True}),
        ("celery flower", "basic_auth", {"secret": True, "default": None}),
        ("celery flower", "broker_api", {"secret": True}),
    ],
)
def test_an_argument_is_described_as_the_parser_takes_it(catalog, command, name, expected):
    found = dataclasses.asdict(argument(catalog, command, name))
    assert {key: found[key] for key in expected} == expected


def test_every_file_argument_is_one_that_the_client_can_send_or_fetch(catalog):
    found = {
        f"{command.name}: {argument.name} {argument.file}"
        for command in catalog.commands.values()
        for argument in command.arguments
        if argument.file
    }
    assert {line for line in found if " import: " in line} == {
        "connections import: file in",
        "pools import: file in",
        "roles import: file in",
        "users import: import in",
        "variables import: file in",
    }


def test_the_help_is_plain_text(catalog):
    for command in catalog.commands.values():
        assert command.help, command.name
        texts = [command.help, command.description or "", *(found.help or "" for found in command.arguments)]
        assert not [
            text
            for text in texts
            if "\x1b" in text or "%(" in text or "[bold" in text or "==SUPPRESS==" in text
        ]


def some_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow")
    commands = parser.add_subparsers(dest="subcommand")
    listed = commands.add_parser(
        "current", help="The [bold red]one[/bold red] to use", aliases=["second-name"]
    )
    listed.add_argument("--port", type=int, default=8080, help="The port (%(default)s), 100%% safe")
    listed.add_argument("--token", default="abc", help="Default: %(default)s")
    listed.add_argument("--lib", help=f"Below {sys.prefix}/lib, not {sys.prefix}-other")
    listed.add_argument("--odd", type=lambda text: pytest.fail("called"), choices=["a"])
    commands.add_parser("of-old")
    return parser


def test_hidden_commands_and_second_names_are_left_out():
    assert list(Catalog(some_parser()).commands) == ["current"]


def test_placeholders_in_help_are_filled_in_but_not_with_secrets():
    command = Catalog(some_parser()).get("current")
    assert command.help == "The one to use"
    assert argument(Catalog(some_parser()), "current", "port").help == "The port (8080), 100% safe"
    assert argument(Catalog(some_parser()), "current", "token").help == "Default: set by the server"


def test_folders_of_the_server_are_taken_out_of_help():
    text = argument(Catalog(some_parser()), "current", "lib").help
    assert text is not None
    assert text.startswith("Below [PREFIX]/lib, not ")
    assert text.endswith("-other")
    assert "[PREFIX]-other" not in text


def test_a_type_function_that_is_not_known_is_not_called():
    catalog = Catalog(some_parser())
    assert catalog.bind(catalog.get("current"), {"odd": "x"}).argv == ["current", "--odd=x"]
    assert argument(catalog, "current", "odd").type == "string"


def meant(word: str) -> set[str]:
    return {name for name, one in load_catalog().commands.items() if word in search_words(one)}


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("rerun", {"dags clear", "tasks clear"}),
        ("retry", {"tasks clear"}),
        ("kill", {"celery stop", "celery shutdown-worker"}),
        ("clean", {"tasks clear", "permissions-cleanup", "db drop-archived"}),
        ("purge", {"db clean", "db drop-archived"}),
        ("resume", {"dags unpause"}),
        ("disable", {"dags pause"}),
        ("backup", {"connections export", "variables export", "pools export"}),
        ("restore", {"connections import", "variables import"}),
        ("status", {"jobs check", "db check", "dags state", "celery list-workers"}),
        ("upgrade", {"db migrate"}),
        ("failed", {"dags list-import-errors"}),
    ],
)
def test_an_everyday_word_leads_to_what_airflow_calls_otherwise(word: str, names: set[str]):
    assert names <= meant(word)
    with serving() as (client, _):
        found = client.get("/v2/commands", params={"q": word.upper()}).json()["commands"]
    assert names <= {one["name"] for one in found}


def test_every_word_leads_to_some_command_and_means_words_of_names():
    parts = {
        part for one in load_catalog().commands.values() for word in one.path for part in word.split("-")
    }
    for word, targets in SEARCH_WORDS.items():
        assert word == word.lower()
        # Those of providers that are not installed here are known as well.
        assert set(targets) - parts <= {"kubernetes"}, word


def test_what_is_in_the_name_already_is_not_told_twice():
    catalog = load_catalog()
    assert "clean" not in search_words(catalog.get("db clean"))
    assert search_words(catalog.get("version")) == []
