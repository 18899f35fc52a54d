"""The table of policy beside the parsers of all supported versions, which `tools.arguments` wrote down."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from airflow_rest_api.airflow.compat.version_compat import base_version
from airflow_rest_api.airflow.installation import version
from airflow_rest_api.commands import policy
from airflow_rest_api.commands.catalog import Catalog
from airflow_rest_api.commands.model import PLAIN, Command, Effect
from airflow_rest_api.commands.needs import ADMINISTER, Resource
from tests.airflow_commands import functions, parses
from tools.arguments import FOLDER, REVIEWED, file_name, of_all_versions

VERSIONS: Mapping[str, Mapping[str, list[str]]] = {
    path.stem.removeprefix("airflow-"): json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}

LACKING = {
    ("config list", "show_values"): "it always shows values: what they need is needed always",
    ("connections list", "show_values"): "it always shows values: what they need is needed always",
    ("variables list", "show_values"): "it shows keys alone (`hidden_before`)",
    (
        "db clean",
        "dag_ids",
    ): "it cleans what is of every DAG, and the need is of every DAG where none is named",
    ("pools set", "team_name"): "a pool is of no team, so that none can be named",
}
"""Arguments that a row of the table names and a supported version has not, and why nothing is lost by it."""


@pytest.mark.parametrize("number", VERSIONS)
def test_every_command_of_every_version_has_a_row(number: str):
    assert [name for name in VERSIONS[number] if name not in policy.COMMANDS] == []


def test_what_was_reviewed_is_what_the_versions_have():
    assert json.loads(REVIEWED.read_text()) == of_all_versions(), "python -m tools.arguments"


def test_an_argument_that_a_version_lacks_is_accounted_for():
    lacking = {
        (name, argument)
        for commands in VERSIONS.values()
        for name, arguments in commands.items()
        for argument in named_in(policy.COMMANDS[name]) - set(arguments)
    }
    assert lacking == LACKING.keys()


def test_what_parses_dag_files_executes_and_nothing_executes_for_an_argument_that_does_not():
    found = {name: parses(function) for name, function in functions()}
    assert found["tasks list"] == found["dags report"] == found["tasks render"] == {None}
    assert found["dags list"] == {"local"}

    wrong = {}
    for name, arguments in found.items():
        rule = policy.COMMANDS[name].on(base_version())
        if rule.effect in PLAIN and arguments != _raising(rule):
            wrong[name] = arguments
        if rule.parses_before is not None and (None in arguments) != (rule.effect is Effect.EXECUTE):
            wrong[name] = arguments
    assert wrong == {}


def _raising(rule: policy.Rule) -> set[str]:
    return {name for name, effect in rule.raised_by.items() if effect is Effect.EXECUTE}


def named_in(rule: policy.Rule) -> set[str]:
    """Return the arguments that a row hangs on."""
    of_needs = {
        name
        for need in rule.needs
        for name in (need.argument, need.pattern, need.when, need.unless)
        if name is not None
    }
    return of_needs | set(rule.raised_by) | ({rule.revealed_by} if rule.revealed_by else set())


def without_show_values(path: str) -> Command:
    """Return a listing as it was before Airflow 3.2, read off a parser made for it."""
    parser = argparse.ArgumentParser()
    group, name = path.split()
    below = parser.add_subparsers(dest="group").add_parser(group, help="A group")
    leaf = below.add_subparsers(dest="subcommand").add_parser(name, help="A listing")
    leaf.add_argument("--output", choices=("table", "json"))
    return Catalog(parser).get(path)


def test_what_shows_secrets_without_being_asked_needs_what_their_reader_needs():
    configuration = without_show_values("config list")
    assert configuration.reveals_secrets_of(())
    powers = {need.entity for need in policy.needs_of(configuration) if not need.when}
    assert ADMINISTER in powers

    connections = policy.needs_of(without_show_values("connections list"))
    assert {(need.resource, need.method) for need in connections if not need.when} == {
        (Resource.CONNECTION, "GET"),
        (Resource.CONNECTION, "PUT"),
    }


def test_a_listing_that_never_showed_values_needs_no_more_than_before():
    variables = without_show_values("variables list")
    assert not variables.reveals_secrets_of(())
    assert [need.method for need in policy.needs_of(variables) if not need.when] == ["GET"]


def test_the_arguments_of_the_installed_version_are_those_written_down(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tools.arguments", str(tmp_path)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name = file_name(version())
    assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), "python -m tools.arguments"
