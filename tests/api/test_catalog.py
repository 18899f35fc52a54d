from __future__ import annotations

import argparse

from airflow_rest_api import __version__
from airflow_rest_api.airflow import installation
from airflow_rest_api.api.catalog import etag
from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.policy import ASKS
from tests.standin import bearer, prints, serving


def test_the_catalog_has_every_command_as_the_command_line_has_it():
    with serving(user="viewer") as (client, _):
        body = client.get("/v2/catalog").json()

    assert (body["airflow_version"], body["plugin_version"]) == (installation.version(), __version__)
    assert body["groups"] == load_catalog().groups
    commands = {command["name"]: command for command in body["commands"]}
    assert list(commands) == list(load_catalog().commands)
    arguments = {argument["name"]: argument for argument in commands["dags show"]["arguments"]}
    assert arguments["dag_id"]["flags"] == []
    assert (arguments["save"]["flags"], arguments["save"]["file"]) == (["-s", "--save"], "out")


def test_what_a_command_would_ask_a_person_for_is_said():
    with serving() as (client, _):
        asked = {command["name"]: command["asks"] for command in client.get("/v2/catalog").json()["commands"]}

    assert {name: tuple(asks) for name, asks in asked.items() if asks} == ASKS


def test_the_catalog_is_the_same_for_every_caller_and_needs_to_be_fetched_once():
    with serving() as (client, _):
        answers = [client.get("/v2/catalog", headers=bearer(user)) for user in ("admin", "viewer")]
        etag = answers[0].headers["ETag"]
        known = [
            client.get("/v2/catalog", headers={"If-None-Match": value}).status_code
            for value in (etag, f'W/{etag}, "other"', "*", '"other"')
        ]

    assert answers[0].content == answers[1].content
    assert known == [304, 304, 304, 200]


def test_nobody_has_the_catalog_without_a_token():
    with serving() as (client, _):
        client.headers.pop("Authorization")
        assert client.get("/v2/catalog").status_code == 401


def test_the_answer_to_a_command_names_the_catalog_by_which_it_was_read():
    with serving(prints("x")) as (client, _):
        etag = client.get("/v2/catalog").headers["ETag"]
        named = client.post("/v2/commands/version")
        line = client.post("/v2/run", json={"argv": ["version"]})

    assert [named.headers["Airflow-Catalog"], line.headers["Airflow-Catalog"]] == [etag, etag]


def test_another_airflow_has_another_catalog():
    parser = argparse.ArgumentParser()
    parser.add_subparsers().add_parser("version", help="Show the version")

    assert etag(Catalog(parser)) != etag(load_catalog())


def test_the_commands_that_ask_whether_one_is_sure_are_those_with_yes():
    with serving() as (client, _):
        commands = client.get("/v2/catalog").json()["commands"]

    for command in commands:
        names = {argument["name"] for argument in command["arguments"]}
        assert command["confirms"] is ("yes" in names), command["name"]
        assert command["confirms_with"] is None or command["confirms_with"] in names
    assert {one["name"] for one in commands if one["confirms_with"]} == {"dags pause", "dags unpause"}
