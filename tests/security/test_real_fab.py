"""Tokens and users of a real API server with Flask-AppBuilder's auth manager."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from werkzeug.security import generate_password_hash

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
from tests.shared import add_accounts, airflow
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

ENV = {
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__REST_API_PLUGIN__REST_API_PLUGIN_EXPECTED_HTTP_TOKEN": HEADER_TOKEN,
    "AIRFLOW__REST_API_PLUGIN__HTTP_TOKEN_USERNAME": "viewer",
    "AIRFLOW__REST_API_PLUGIN__SPARE_CHILDREN": "1",
}
WITH = {NAME: HEADER_TOKEN}


def change_user(stack: Stack, name: str, column: str, value: object) -> None:
    """Change a row of the users, as an administrator does on Airflow's page."""
    assert stack.execute(f"UPDATE ab_user SET {column} = :v WHERE username = :name", v=value, name=name) == 1


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fab")
    (folder / "dags").mkdir()
    with Stack(folder / "home", components=("api-server",), dags=folder / "dags", env=ENV) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with client_of(stack) as client:
        # The user of the header token is not there yet: the plugin is off, and the log says why.
        assert client.post(RUN, headers=WITH).status_code == 503
        assert "http_token_username names no user" in logged(stack)
        add_accounts(
            stack,
            {},
            {
                "admin": "Admin",
                "viewer": "Viewer",
                "leaver": "Op",
                "changer": "Op",
                "gone": "Op",
                "guessed": "Op",
            },
        )
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

    assert claims(tokens["access_token"])["exp"] - claims(tokens["access_token"])["iat"] == 900
    assert client.get("/api/v2/variables", headers=headers).status_code == 200
    assert client.post(RUN, headers=headers).json()["user"] == "admin"
    assert client.get(LEGACY, headers=headers).json()["status"] == "OK"


def test_a_refresh_token_is_good_for_nothing_but_a_new_access_token(
    client: httpx.Client, tokens: dict[str, str]
):
    headers = bearer(tokens["refresh_token"], **WITH)
    session = {"Cookie": f"_token={tokens['refresh_token']}", **WITH}

    for path in ("/api/v2/variables", "/auth/fab/v1/users", "/ui/auth/menus", "/admin/rest_api/v2/commands"):
        assert client.get(path, headers=headers).status_code in (401, 403)
        assert client.get(path, headers=session).status_code in (401, 403)
    assert client.get(LEGACY, headers=headers).json() == {"msg": "Only access tokens are allowed"}
    renewed = client.post(REFRESH, headers=bearer(tokens["refresh_token"])).json()
    assert renewed["access_token"] == renewed["refresh_token"]
    assert client.get("/api/v2/variables", headers=bearer(renewed["access_token"])).status_code == 200


@pytest.mark.parametrize(
    ("user", "password"),
    [("admin", "wrong"), ("nobody", "wrong"), ("viewer", "admin-password"), ("viewer' OR '1'='1", "x")],
)
def test_a_wrong_password_is_refused(client: httpx.Client, user: str, password: str):
    answer = client.post(LOGIN, json={"username": user, "password": password, "provider": "db"})

    assert (answer.status_code, answer.json()) == (401, {"message": "Not authorized"})


def test_ldap_is_a_provider_where_it_is_configured(stack: Stack, client: httpx.Client):
    assert sign_in(client, stack, provider="ldap").json() == {"message": "Provider ldap not supported"}


def test_a_user_who_is_deactivated_is_out_at_once(stack: Stack, client: httpx.Client):
    tokens = sign_in(client, stack, "leaver").json()
    headers = bearer(tokens["access_token"], **WITH)
    assert client.post(RUN, headers=headers).json()["user"] == "leaver"
    change_user(stack, "leaver", "active", False)

    gone = {"msg": f"Error loading the user {claims(tokens['access_token'])['sub']}"}
    legacy, renewed = (
        client.get(LEGACY, headers=headers),
        client.post(REFRESH, headers=bearer(tokens["refresh_token"])),
    )
    assert (client.post(RUN, headers=headers).status_code, legacy.status_code) == (401, 401)
    assert renewed.status_code == 401
    assert legacy.json() == renewed.json() == gone
    assert sign_in(client, stack, "leaver").status_code == 401


def test_a_user_who_is_deleted_is_out_at_once(stack: Stack, client: httpx.Client):
    tokens = sign_in(client, stack, "gone").json()
    headers = bearer(tokens["access_token"], **WITH)
    assert client.get(LEGACY, headers=headers).status_code == 200
    airflow(stack, "users", "delete", "--username", "gone")

    answer = client.get(LEGACY, headers=headers)
    assert (answer.status_code, answer.json()) == (
        401,
        {"msg": f"Error loading the user {claims(tokens['access_token'])['sub']}"},
    )
    assert client.post(REFRESH, headers=bearer(tokens["refresh_token"])).status_code == 401


def test_a_refresh_token_does_not_outlive_its_password(stack: Stack, client: httpx.Client):
    token = sign_in(client, stack, "changer").json()["refresh_token"]
    assert client.post(REFRESH, headers=bearer(token)).status_code == 200
    change_user(stack, "changer", "password", generate_password_hash("another"))

    assert client.post(REFRESH, headers=bearer(token)).status_code == 401


def test_the_header_token_alone_acts_as_its_user_until_they_are_deactivated(
    stack: Stack, client: httpx.Client
):
    assert client.post(RUN, headers=WITH).json()["user"] == "viewer"
    assert client.post(RUN).status_code == 403
    change_user(stack, "viewer", "active", False)
    try:
        assert client.post(RUN, headers=WITH).status_code == 401
        assert client.get(LEGACY, headers=WITH).status_code == 401
    finally:
        change_user(stack, "viewer", "active", True)


def test_many_logins_leave_no_database_connection_behind(stack: Stack, client: httpx.Client):
    # Flask-AppBuilder works with sessions of a thread; the pool has 5 and 10 more.
    for _ in range(40):
        assert sign_in(client, stack).status_code == 200
    assert client.get("/api/v2/variables", headers=bearer(stack.token())).status_code == 200


def test_no_secret_is_in_the_log(stack: Stack, client: httpx.Client):
    for secret in (HEADER_TOKEN, stack.passwords["admin"], "viewer-password"):
        assert secret not in logged(stack)


def test_all_spellings_of_a_user_have_the_guesses_of_one(
    stack: Stack, client: httpx.Client, tokens: dict[str, str]
):
    names = ["guessed", "GUESSED", "Guessed", "guessed@example.org"]
    with ThreadPoolExecutor(20) as threads:
        tried = list(
            threads.map(
                lambda number: (
                    sign_in(
                        client, stack, "guessed", username=names[number % 4], password=f"wrong{number}"
                    ).status_code
                ),
                range(40),
            )
        )

    # Ten for each of the two that look different, as if they led to two users or to none; verified are ten.
    assert (tried.count(401), tried.count(429)) == (20, 20)
    counted = "UPDATE ab_user SET fail_login_count = 0 WHERE username = 'guessed' AND fail_login_count"
    # Flask-AppBuilder may lose some of those that come at the same time.
    assert stack.execute(f"{counted} BETWEEN 1 AND 10") == 1
    assert sign_in(client, stack, "guessed").status_code == 429
    assert sign_in(client, stack).status_code == 200
