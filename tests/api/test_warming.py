"""The plugin while its engine warms up."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_rest_api.engine.engine import WARMING_UP
from tests.standin import prints, serving, until_cancelled

ASYNC = {"Prefer": "respond-async"}


def test_a_command_that_waits_for_the_engine_says_so_until_it_begins():
    with serving(prints("3.3.2\n")) as (client, engine):
        engine.warming = asyncio.Event()
        begun = client.post("/v2/commands/version", json={}, headers=ASYNC).json()
        listed = client.get("/v2/operations").json()["operations"][0]
        client.portal.call(engine.warming.set)
        ended = client.get(f"/v2/operations/{begun['id']}", headers={"Prefer": "wait=10"}).json()

    assert (begun["state"], begun["message"]) == ("queued", WARMING_UP)
    assert (listed["state"], listed["message"]) == ("queued", WARMING_UP)
    assert (ended["state"], ended["message"]) == ("succeeded", None)


def test_a_running_command_no_longer_says_what_it_waited_for():
    with serving(until_cancelled) as (client, engine):
        engine.warming = asyncio.Event()
        begun = client.post("/v2/commands/version", json={}, headers=ASYNC).json()
        client.portal.call(engine.warming.set)
        running: dict[str, Any] = {}
        for _ in range(100):
            running = client.get(f"/v2/operations/{begun['id']}").json()
            if running["state"] == "running":
                break
        client.post(f"/v2/operations/{begun['id']}/cancel")

    assert (running["state"], running["message"]) == ("running", None)


def test_what_needs_no_child_answers_meanwhile():
    with serving(prints()) as (client, engine):
        engine.warming = asyncio.Event()
        paths = ("/", "/v2/commands", "/v2/commands/dags/list", "/openapi.json", "/v2/operations", "/docs")
        answers = [client.get(path).status_code for path in paths]
        versions = [client.get(f"/api?api={name}").json() for name in ("version", "rest_api_plugin_version")]

    assert answers == [200] * len(paths)
    assert [version["status"] for version in versions] == ["OK", "OK"]
    assert engine.jobs == []
