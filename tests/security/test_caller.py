from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_rest_api.airflow.auth import AirflowAuth
from airflow_rest_api.airflow.tokens import expires_at, unverified
from airflow_rest_api.errors import InvalidToken, Revoked, Unavailable
from airflow_rest_api.security.caller import MOST, SECONDS, Caller, Remembered, needs_no_database
from tests.standin import auth_manager, bearer, prints, serving, token


def caller(text: str) -> Caller:
    auth_manager()
    host = AirflowAuth()
    return Caller(host, asyncio.run(host.user(text)), text)


def test_a_caller_is_known_until_the_token_ends():
    text = token("admin", seconds=100)

    assert caller(text).expires_at() == unverified(text)["exp"]


def test_a_caller_without_a_token_is_known_without_end():
    known = caller(token("viewer"))

    assert Caller(known._host, known._user).expires_at() is None


def test_a_caller_can_be_looked_up_again_with_what_they_may_by_then():
    known = caller(token("viewer"))
    known.address = "192.0.2.1"
    again = asyncio.run(known.again())

    assert again is not known
    assert (again.name, again.address) == (known.name, known.address)


def test_a_caller_whose_token_has_ended_is_not_found_again():
    known = caller(token("viewer"))
    late = Caller(known._host, known._user, token("viewer", seconds=-100))

    with pytest.raises(InvalidToken):
        asyncio.run(late.again())


def test_a_user_is_remembered_for_a_while():
    now = 100.0
    remembered = Remembered(lambda: now)
    remembered.put("token", "ada")
    assert remembered.get("token") == "ada"
    assert remembered.get("another") is None
    now += SECONDS
    assert remembered.get("token") is None


def test_no_more_than_so_many_are_remembered():
    remembered = Remembered()
    for number in range(MOST + 10):
        remembered.put(f"token {number}", number)
    assert len(remembered) == MOST
    assert remembered.get("token 0") is None
    assert remembered.get(f"token {MOST + 9}") == MOST + 9


def test_who_is_refused_is_forgotten():
    remembered = Remembered()
    remembered.put("token", "ada")
    remembered.forget("token")
    remembered.forget("token")
    assert remembered.get("token") is None


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/redoc", "/openapi.json", "/static/x.js", "/v2/commands", "/v2/commands/version"]
)
def test_what_lies_in_memory_needs_no_database(path: str):
    assert needs_no_database("GET", path)
    assert not needs_no_database("POST", path)


@pytest.mark.parametrize(
    "path", ["/v2/operations", "/v2/run", "/api", "/v2/services", "/v2/commandsx", "/static"]
)
def test_everything_else_needs_one(path: str):
    assert not needs_no_database("GET", path)


def test_while_nobody_can_be_asked_the_commands_are_still_listed(monkeypatch: pytest.MonkeyPatch):
    user = AirflowAuth.user
    silent = False

    async def asked(self: AirflowAuth, token: str, session: Any = None) -> Any:
        if silent:
            await asyncio.sleep(0)
            raise Unavailable
        return await user(self, token)

    monkeypatch.setattr(AirflowAuth, "user", asked)
    with serving(prints()) as (client, _):
        headers = bearer("admin")
        assert client.get("/v2/commands", headers=headers).status_code == 200
        silent = True
        assert client.get("/v2/commands", headers=headers).status_code == 200
        assert client.get("/docs", headers=headers).status_code == 200
        # Fails closed: for what is more than that, and for whom nobody knows.
        for answer in (
            client.post("/v2/run", json={"argv": ["version"]}, headers=headers),
            client.get("/v2/operations", headers=headers),
            client.get("/v2/commands", headers=bearer("viewer")),
        ):
            assert answer.status_code == 503
            assert answer.json()["detail"]["reason"] == "database_unavailable"


def test_a_token_that_was_taken_back_is_forgotten_at_once(monkeypatch: pytest.MonkeyPatch):
    user = AirflowAuth.user
    how: list[type[Exception]] = []

    async def asked(self: AirflowAuth, token: str, session: Any = None) -> Any:
        if how:
            raise how[0]("no")
        return await user(self, token)

    monkeypatch.setattr(AirflowAuth, "user", asked)
    with serving(prints()) as (client, _):
        headers = bearer("admin")
        assert client.get("/v2/commands", headers=headers).status_code == 200
        how[:] = [Revoked]
        assert client.get("/v2/commands", headers=headers).status_code == 401
        how[:] = [Unavailable]
        assert client.get("/v2/commands", headers=headers).status_code == 503


def test_of_a_token_that_is_no_json_web_token_no_end_is_known():
    assert expires_at("of an auth manager that verifies its own") is None
