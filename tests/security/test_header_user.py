"""The user as whom a request acts that has the shared header token alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.standin import bearer, serving, token

NAME = "rest_api_plugin_http_token"
RIGHT = {NAME: "s3cret"}


@contextmanager
def with_user(name: str = "viewer", **settings: Any) -> Iterator[tuple[Any, Any]]:
    options = {"rest_api_plugin_expected_http_token": "s3cret", "http_token_username": name, **settings}
    with serving(user=None, **options) as both:
        yield both


def test_the_header_token_alone_is_enough():
    with with_user() as (client, engine):
        run = client.post("/v2/commands/version", headers=RIGHT)
        legacy = client.get("/api?api=version", headers=RIGHT)
        admins = client.post("/v2/commands/dags/delete", headers=RIGHT, json={"dag_id": "x"})

    assert (run.status_code, run.json()["user"]) == (200, "viewer")
    assert legacy.status_code == 200
    assert admins.status_code == 403
    assert len(engine.jobs) == 1


@pytest.mark.parametrize("headers", [{}, {NAME: ""}, {NAME: "wrong"}])
def test_without_it_nobody_is_anybody(headers: dict[str, str]):
    with with_user() as (client, _):
        assert client.get("/v2/commands", headers=headers).status_code == 403
        assert client.get("/api?api=version", headers=headers).status_code == 403
        assert client.get("/docs", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": ""},
        {"Authorization": "Basic YTpi"},
        {"Cookie": f"_token={token('admin')}"},
        {"Cookie": f"_token={token('admin')}", "Sec-Fetch-Site": "none"},
        {"Cookie": "_token=x"},
    ],
)
def test_other_credentials_are_not_made_good_by_it(headers: dict[str, str]):
    with with_user() as (client, engine):
        answers = [
            client.post("/v2/commands/version", headers={**RIGHT, **headers}),
            client.get("/api?api=version", headers={**RIGHT, **headers}),
        ]

    assert {answer.status_code for answer in answers} <= {401, 422}
    assert engine.jobs == []


def test_other_credentials_that_are_good_say_who_it_is():
    with with_user() as (client, _):
        answer = client.post("/v2/commands/version", headers={**RIGHT, **bearer("op")})

    assert answer.json()["user"] == "op"


def test_another_sites_page_is_refused_with_it_too():
    with with_user() as (client, engine):
        headers = {**RIGHT, "Sec-Fetch-Site": "cross-site"}
        assert client.post("/v2/commands/version", headers=headers).status_code == 403

    assert engine.jobs == []


def test_a_user_who_does_not_exist_turns_the_plugin_off(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR), with_user("nobody") as (client, engine):
        started = caplog.text
        answers = [
            client.get(path, headers={**RIGHT, **credentials})
            for path in ("/v2/commands", "/api?api=version", "/docs")
            for credentials in ({}, bearer("admin"))
        ]

    assert "[rest_api_plugin] http_token_username" in started
    assert {answer.status_code for answer in answers} == {503}
    assert answers[2].json()["status"] == "ERROR"
    assert engine.jobs == []


def test_a_user_who_is_gone_since_is_nobody(monkeypatch: pytest.MonkeyPatch):
    with with_user() as (client, engine):
        assert client.post("/v2/commands/version", headers=RIGHT).status_code == 200
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin")
        new = client.post("/v2/commands/version", headers=RIGHT)
        old = client.get("/api?api=version", headers=RIGHT)
        other = client.post("/v2/commands/version", headers={**RIGHT, **bearer("admin")})

    assert (new.status_code, old.status_code, other.status_code) == (401, 401, 200)
    assert len(engine.jobs) == 2


def test_an_auth_manager_that_finds_nobody_by_name_turns_the_plugin_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):

    from airflow_rest_api.airflow import users

    monkeypatch.setattr(users, "auth_manager", lambda: object())
    with caplog.at_level(logging.ERROR), with_user() as (client, _):
        assert client.get("/v2/commands", headers=RIGHT).status_code == 503

    assert "cannot find a user by name" in caplog.text


def test_a_user_who_could_not_be_looked_for_is_looked_for_again(monkeypatch: pytest.MonkeyPatch):
    from airflow_rest_api.airflow import accounts

    found = accounts.Accounts.named
    fails = [True, True]

    async def named(self: Any, name: str) -> Any:
        if fails:
            fails.pop()
            raise ConnectionError("secret inside")
        return await found(self, name)

    monkeypatch.setattr(accounts.Accounts, "named", named)
    with with_user() as (client, _):
        first, second = (client.get("/v2/commands", headers=RIGHT) for _ in range(2))

    assert (first.status_code, "secret inside" in first.text) == (500, False)
    assert second.status_code == 200
