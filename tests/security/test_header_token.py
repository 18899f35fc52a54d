"""The shared header token, and the user as whom a request acts that has it alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_rest_api.api import sse
from airflow_rest_api.errors import HeaderUserGone
from airflow_rest_api.security.header_token import HeaderToken, HeaderUser
from tests.standin import bearer, serving, token, until_cancelled

NAME = "rest_api_plugin_http_token"
RIGHT = {NAME: "s3cret"}


def carried(*headers: tuple[str, str], name: str = NAME, expected: str = "s3cret") -> bool:
    token = HeaderToken(name, expected)
    return token.is_carried([(name.encode(), value.encode()) for name, value in headers])


def test_without_a_configured_token_none_is_asked_for_and_none_is_right():
    assert not HeaderToken(NAME, "").asked_for
    assert not carried((NAME, ""), expected="")
    assert not carried(expected="")


def test_the_token_must_be_right_to_the_letter():
    assert carried((NAME, "s3cret"))
    for wrong in ("S3CRET", "", "s3cre", "s3crets", "s3cret,s3cret"):
        assert not carried((NAME, wrong))
    assert not carried()


@pytest.mark.parametrize(
    "name", ["rest-api-plugin-http-token", "REST_API_PLUGIN_HTTP_TOKEN", "Rest-Api_Plugin-Http_Token"]
)
def test_case_hyphens_and_underscores_are_the_same_in_the_name_of_the_header(name: str):
    assert carried((name, "s3cret"))
    assert carried((NAME, "s3cret"), name=name)


def test_another_header_is_not_asked():
    assert not carried((NAME, "s3cret"), name="X-My-Token")
    assert not carried(("x" + NAME, "s3cret"), ("authorization", "s3cret"))


@pytest.mark.parametrize("other", [NAME, NAME.upper(), NAME.replace("_", "-")])
def test_a_header_that_comes_twice_must_be_right_twice(other: str):
    assert carried((NAME, "s3cret"), (other, "s3cret"))
    for wrong in ("wrong", ""):
        assert not carried((NAME, "s3cret"), (other, wrong))
        assert not carried((other, wrong), (NAME, "s3cret"))


def test_a_token_with_any_characters_is_compared():
    for given in ("ü".encode(), "ü".encode("latin-1")):
        assert HeaderToken(NAME, "ü").is_carried([(NAME.encode(), given)])
    assert not carried((NAME, "u"), expected="ü")
    assert carried((NAME, "€"), expected="€")


def test_a_token_of_the_environment_that_is_no_utf_8_is_these_bytes():
    token = HeaderToken(NAME, os.fsdecode(b"p\xe4ss"))
    assert token.is_carried([(NAME.encode(), b"p\xe4ss")])
    assert not token.is_carried([(NAME.encode(), "päss".encode())])


def test_the_token_is_not_in_a_log():
    assert "s3cret" not in repr(HeaderToken(NAME, "s3cret"))


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


def test_a_stream_of_the_header_token_ends_with_its_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "CHECK", 0.0)
    looks = []
    load = HeaderUser.load

    async def gone(self: HeaderUser) -> Any:
        looks.append(1)
        if len(looks) > 2:
            raise HeaderUserGone()
        return await load(self)

    with with_user(script=until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={**RIGHT, "Prefer": "respond-async"}).json()
        monkeypatch.setattr(HeaderUser, "load", gone)
        text = client.get(f"/v2/operations/{made['id']}/events", headers=RIGHT).text

    assert len(looks) == 3
    assert "event: end" not in text


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
    from airflow_rest_api.airflow.auth import Accounts

    found = Accounts.named
    fails = [True, True]

    async def named(self: Any, name: str) -> Any:
        if fails:
            fails.pop()
            raise ConnectionError("secret inside")
        return await found(self, name)

    monkeypatch.setattr(Accounts, "named", named)
    with with_user() as (client, _):
        first, second = (client.get("/v2/commands", headers=RIGHT) for _ in range(2))

    assert (first.status_code, "secret inside" in first.text) == (500, False)
    assert second.status_code == 200
