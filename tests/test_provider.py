from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from airflow_rest_api.provider import get_provider_info
from airflow_rest_api.settings import OPTIONS, SECTION, Settings


def test_it_is_what_the_installed_distribution_announces():
    [found] = [
        one
        for one in entry_points(group="apache_airflow_provider")
        if one.module == "airflow_rest_api.provider"
    ]

    assert found.load() is get_provider_info


def test_it_has_the_form_that_airflow_asks_for():
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_airflow_finds_the_module_that_it_derives_from_the_name(caplog: pytest.LogCaptureFixture):
    from airflow.dag_processing.bundles import manager

    found: list[Any] = []
    manager._add_provider_example_dags_to_bundle(found)

    assert "airflow-rest-api-plugin" in manager.ProvidersManager().providers
    assert [record.message for record in caplog.records if "rest_api" in record.message] == []
    # There is no example in it.
    assert not [bundle for bundle in found if bundle.name.startswith("airflow-rest-api-plugin")]


def test_every_option_is_in_it_with_its_description():
    described = get_provider_info()["config"][SECTION]["options"]

    assert list(described) == [option.name for option in OPTIONS]
    assert all(described[option.name]["description"] == option.description for option in OPTIONS)


def test_a_secret_may_come_from_a_command(monkeypatch: pytest.MonkeyPatch):
    name = f"AIRFLOW__{SECTION.upper()}__REST_API_PLUGIN_EXPECTED_HTTP_TOKEN_CMD"
    monkeypatch.setenv(name, "echo from-the-command")

    assert Settings.load().rest_api_plugin_expected_http_token == "from-the-command"


def test_what_is_shown_of_the_settings_has_no_secret():
    settings = Settings(rest_api_plugin_expected_http_token="hush")

    assert settings.shown()["rest_api_plugin_expected_http_token"] == "***"
    assert settings.shown()["parallelism"] == 8


def test_our_commands_are_airflows_where_it_asks_its_providers_for_them():
    [path] = get_provider_info()["cli"]
    module, _, name = path.rpartition(".")
    [group] = getattr(import_module(module), name)()
    [runner] = group.subcommands

    assert (group.name, runner.name) == ("rest-api", "runner")
    assert [flag for argument in runner.args for flag in argument.flags if flag.startswith("--")] == [
        "--queues",
        "--name",
        "--concurrency",
        "--loglevel",
    ]
