"""Tokens, sessions and the header token of a real API server with the simple auth manager."""

from __future__ import annotations

import configparser
import time
from collections.abc import Iterator

import httpx
import jwt
import pytest

from tests.security.real import (
    HEADER_TOKEN,
    LEGACY,
    LOGIN,
    NAME,
    REFRESH,
    RUN,
    bearer,
    claims,
    logged,
    sign_in,
)
from tests.security.real import client as client_of
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

ENV = {
    "AIRFLOW__REST_API_PLUGIN__REST_API_PLUGIN_EXPECTED_HTTP_TOKEN": HEADER_TOKEN,
    "AIRFLOW__REST_API_PLUGIN__HTTP_TOKEN_USERNAME": "viewer",
    "AIRFLOW__REST_API_PLUGIN__SPARE_CHILDREN": "1",
}
WITH = {NAME: HEADER_TOKEN}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("simple")
    (folder / "dags").mkdir()
    with Stack(
        folder / "home", components=("api-server",), dags=folder / "dags", env=ENV, prefix="/airflow"
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with client_of(stack) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(stack: Stack, client: httpx.Client) -> dict[str, str]:
    answer = sign_in(client, stack)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_an_access_token_of_the_login_is_good_for_airflow_and_for_us(
    client: httpx.Client, tokens: dict[str, str]
):
    headers = bearer(tokens["access_token"], **WITH)

    assert client.get("/api/v2/variables", headers=headers).status_code == 200
    assert client.post(RUN, headers=headers).json()["user"] == "admin"
    assert client.get(LEGACY, headers=headers).json()["status"] == "OK"


def test_a_refresh_token_is_good_for_nothing_but_a_new_access_token(
    client: httpx.Client, tokens: dict[str, str]
):
    headers = bearer(tokens["refresh_token"], **WITH)
    session = {"Cookie": f"_token={tokens['refresh_token']}"}

    for path in ("/api/v2/variables", "/api/v2/dags", "/ui/auth/menus", "/admin/rest_api/v2/commands"):
        assert client.get(path, headers=headers).status_code in (401, 403)
        assert client.get(path, headers={**session, **WITH}).status_code in (401, 403)
    assert client.get(LEGACY, headers=headers).json() == {"msg": "Only access tokens are allowed"}
    renewed = client.post(REFRESH, headers=bearer(tokens["refresh_token"])).json()
    assert renewed["access_token"] == renewed["refresh_token"]
    assert client.get("/api/v2/variables", headers=bearer(renewed["access_token"])).status_code == 200


def test_a_refresh_token_under_airflows_own_key_is_no_refresh_token(
    stack: Stack, client: httpx.Client, tokens: dict[str, str]
):
    config = configparser.RawConfigParser()
    config.read(stack.home / "airflow.cfg")
    key = config.get("api_auth", "jwt_secret")
    forged = jwt.encode(claims(tokens["refresh_token"]), key, "HS512")

    answer = client.post(REFRESH, headers=bearer(forged))
    assert (answer.status_code, answer.json()) == (422, {"msg": "Signature verification failed"})
    assert client.get("/api/v2/variables", headers=bearer(forged)).status_code in (401, 403)


def test_airflows_own_tokens_are_accepted_as_they_are(stack: Stack, client: httpx.Client):
    headers = bearer(stack.token("viewer"), **WITH)

    assert client.post(RUN, headers=headers).json()["user"] == "viewer"
    assert client.post(REFRESH, headers=headers).json() == {"msg": "Only refresh tokens are allowed"}


def test_a_token_taken_back_by_signing_out_is_refused(stack: Stack, client: httpx.Client):
    token = stack.token("op")
    assert client.post(RUN, headers=bearer(token, **WITH)).status_code == 200
    with client_of(stack) as browser:
        browser.get("/api/v2/auth/logout", headers={"Cookie": f"_token={token}"})

    assert client.post(RUN, headers=bearer(token, **WITH)).status_code == 401
    legacy = client.get(LEGACY, headers=bearer(token, **WITH))
    assert (legacy.status_code, legacy.json()) == (401, {"msg": "Token has been revoked"})


def test_the_header_token_alone_acts_as_the_configured_user(client: httpx.Client):
    assert client.post(RUN, headers=WITH).json()["user"] == "viewer"
    assert client.get(LEGACY, headers=WITH).json()["status"] == "OK"
    assert client.post(RUN, headers={NAME.replace("_", "-"): HEADER_TOKEN}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(NAME, "wrong")],
        [(NAME, HEADER_TOKEN), (NAME, "wrong")],
        [(NAME, "wrong"), (NAME.upper(), HEADER_TOKEN)],
        [(NAME, HEADER_TOKEN), (NAME.replace("_", "-"), "wrong")],
        [(NAME, f"{HEADER_TOKEN},{HEADER_TOKEN}")],
    ],
)
def test_the_header_token_cannot_be_smuggled(
    client: httpx.Client, tokens: dict[str, str], headers: list[tuple[str, str]]
):
    for credentials in ({}, bearer(tokens["access_token"])):
        sent = [*headers, *credentials.items()]
        new, old = client.post(RUN, headers=sent), client.get(LEGACY, headers=sent)
        assert (new.status_code, old.status_code) == (403, 403)
        assert old.json()["output"] == new.json()["detail"]["message"] == "Token Authentication Failed"


def test_a_session_of_a_browser_runs_commands_for_its_own_site_alone(stack: Stack, client: httpx.Client):
    cookie = {"Cookie": f"_token={stack.token()}", **WITH}
    script = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    link = {"Sec-Fetch-Mode": "navigate"}

    assert client.post(RUN, headers={**cookie, **script}).json()["user"] == "admin"
    assert client.get(LEGACY, headers={**cookie, **script}).json()["status"] == "OK"
    for site in ("cross-site", "same-site", "none", "same-origin"):
        answer = client.get(LEGACY, headers={**cookie, **link, "Sec-Fetch-Site": site})
        assert answer.status_code in (401, 403), site
    pages = {**link, "Sec-Fetch-Site": "none", "Cookie": cookie["Cookie"]}
    assert client.get("/admin/rest_api/docs", headers=pages).status_code == 200


def test_wrong_passwords_are_slowed_down_counted_and_never_logged(stack: Stack, client: httpx.Client):
    begun = time.monotonic()
    for user in ("user", "nobody-of-this-name"):
        answer = client.post(LOGIN, json={"username": user, "password": "hunter2-hunter2", "provider": "db"})
        assert (answer.status_code, answer.json()) == (401, {"message": "Not authorized"})

    assert time.monotonic() - begun >= 1.0
    assert sign_in(client, stack, "user").status_code == 200
    assert "A wrong user name or password from 127.0.0.1" in logged(stack)
    for secret in ("hunter2", HEADER_TOKEN, *stack.passwords.values()):
        assert secret not in logged(stack)
