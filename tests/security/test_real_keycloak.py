"""A real API server with Keycloak's auth manager; its decisions come from `tests.security.keycloak`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import jwt
import pytest

from tests.security.keycloak import REALM, Keycloak
from tests.security.real import LOGIN, REFRESH, bearer, logged
from tests.servers import require_keycloak
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

MANAGER = "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"
API = "/admin/rest_api/v2"
PAGE = "/admin/rest_api/"
SET = f"{API}/commands/variables/set"
LIST = f"{API}/commands/pools/list"
MINT = """
import sys
from airflow.providers.keycloak.auth_manager.keycloak_auth_manager import KeycloakAuthManager
from airflow.providers.keycloak.auth_manager.user import KeycloakAuthManagerUser
kind, name, access = sys.argv[1:]
user = KeycloakAuthManagerUser(user_id=name, name=name, access_token=access, refresh_token=None)
manager = KeycloakAuthManager()
print("token", manager.generate_api_jwt(user) if kind == "api" else manager.generate_jwt(user))
"""
"""As the provider's own `/auth/token` and its login make one, which ask Keycloak for the password."""


@pytest.fixture(scope="module")
def keycloak() -> Iterator[Keycloak]:
    with Keycloak() as server:
        yield server


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, keycloak: Keycloak) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("keycloak")
    (folder / "dags").mkdir()
    env = {
        "PYTHONPATH": str(require_keycloak()),
        "AIRFLOW__CORE__AUTH_MANAGER": MANAGER,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_ID": "airflow",
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_SECRET": "of-the-client",
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__REALM": REALM,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__SERVER_URL": keycloak.url,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__REQUESTS_RETRIES": "0",
    }
    with Stack(folder / "home", components=("api-server",), dags=folder / "dags", env=env) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=120, trust_env=False) as client:
        yield client


def access_token(name: str) -> str:
    """Return a token as Keycloak gives one, of which its auth manager reads the subject and the end."""
    return jwt.encode({"sub": name, "exp": int(time.time()) + 3600}, "of-keycloak" * 4)


def mint(stack: Stack, kind: str, name: str, access: str) -> str:
    """Return Airflow's token for a user of Keycloak's."""
    command = [sys.executable, "-c", MINT, kind, name, access]
    done = subprocess.run(command, env=stack.environment, capture_output=True, text=True, check=True)
    [token] = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("token ")]
    return token


@pytest.fixture(scope="module")
def admin(stack: Stack, keycloak: Keycloak) -> dict[str, str]:
    access = access_token("ada")
    keycloak.granted[access] = {"*"}
    return bearer(mint(stack, "api", "ada", access))


@pytest.fixture(scope="module")
def reader(stack: Stack, keycloak: Keycloak) -> dict[str, str]:
    access = access_token("rita")
    keycloak.granted[access] = {"Pool#LIST", "Pool#GET"}
    return bearer(mint(stack, "api", "rita", access))


def test_nobody_is_let_in_without_a_token(client: httpx.Client):
    for path in (f"{API}/commands", f"{API}/operations", "/admin/rest_api/openapi.json"):
        assert client.get(path).status_code == 401
    assert client.post(SET, json={"key": "k", "value": "v"}).status_code == 401
    opened = client.get(PAGE, headers={"Accept": "text/html"})
    assert (opened.status_code, opened.headers["Location"].partition("?")[0]) == (307, "/api/v2/auth/login")


def test_a_token_of_keycloaks_user_runs_what_keycloak_grants(
    client: httpx.Client, admin: dict[str, str], keycloak: Keycloak
):
    answer = client.post(SET, json={"key": "granted", "value": "v"}, headers=admin)

    assert (answer.status_code, answer.json()["user"]) == (200, "ada"), answer.text
    assert any(permission.startswith("Variable#") for permission in keycloak.asked)


def test_what_keycloak_does_not_grant_is_refused(client: httpx.Client, reader: dict[str, str]):
    assert client.post(LIST, json={}, headers=reader).json()["user"] == "rita"
    answer = client.post(SET, json={"key": "refused", "value": "v"}, headers=reader)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (403, "forbidden"), answer.text


def test_a_token_that_keycloak_does_not_know_any_more_may_nothing(stack: Stack, client: httpx.Client):
    unknown = bearer(mint(stack, "api", "ada", access_token("ada")[:-3] + "xyz"))

    assert client.post(SET, json={"key": "unknown", "value": "v"}, headers=unknown).status_code == 403


def test_a_browser_with_keycloaks_cookies_is_in_the_session_of_its_user(
    stack: Stack, client: httpx.Client, keycloak: Keycloak
):
    """From Airflow 3.3 on, the token of a session lacks Keycloak's, which are cookies of their own."""
    access = access_token("bob")
    keycloak.granted[access] = {"Pool#LIST", "Pool#GET"}
    session = mint(stack, "session", "bob", access)
    headers = {"Cookie": f"_token={session}; _access_token={access}", "Sec-Fetch-Site": "same-origin"}

    assert client.get(PAGE, headers={**headers, "Accept": "text/html"}).status_code == 200
    answer = client.post(LIST, json={}, headers=headers)
    assert (answer.status_code, answer.json()["user"]) == (200, "bob"), answer.text
    # Somebody else's token of Keycloak is none for this session.
    other = {**headers, "Cookie": f"_token={session}; _access_token={access_token('ada')}"}
    assert client.post(LIST, json={}, headers=other).status_code in (401, 403)
    # Nor does a token of a session do without Keycloak's.
    assert client.post(LIST, json={}, headers=bearer(session)).status_code == 401


def test_the_tokens_of_the_old_login_are_good_for_airflow_and_for_us(
    stack: Stack, client: httpx.Client, keycloak: Keycloak
):
    access = access_token("lena")
    keycloak.granted[access] = {"Pool#LIST", "Pool#GET"}
    keycloak.logins["lena", "lena-password"] = access
    body = {"username": "lena", "password": "lena-password", "provider": "db", "refresh": True}

    given = client.post(LOGIN, json=body).json()
    renewed = client.post(REFRESH, headers=bearer(given["refresh_token"])).json()
    for token in (given["access_token"], renewed["access_token"]):
        answer = client.post(LIST, json={}, headers=bearer(token))
        assert answer.status_code == 200, answer.text
        assert answer.json()["user"] == "lena"
        assert client.get("/api/v2/pools", headers=bearer(token)).status_code == 200
    assert client.get("/api/v2/pools", headers=bearer(given["refresh_token"])).status_code in (401, 403)

    wrong = client.post(LOGIN, json={**body, "password": "x"})
    assert (wrong.status_code, wrong.json()) == (401, {"message": "Not authorized"})
    assert "A wrong user name or password" in logged(stack)
    assert "Logins by name and password are not possible" not in logged(stack)


def test_while_keycloak_is_away_nothing_is_allowed(
    client: httpx.Client, reader: dict[str, str], keycloak: Keycloak
):
    keycloak.shutdown()
    keycloak.server_close()

    answer = client.post(LIST, json={}, headers=reader)
    assert answer.status_code in (403, 503), answer.text
