"""The tokens of the simple auth manager, as the contract has them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.testclient import TestClient

from airflow_rest_api.airflow import tokens, users
from airflow_rest_api.airflow.auth import Accounts
from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow_rest_api.asgi import LOGIN_MOUNT
from airflow_rest_api.legacy.login.app import create_login_app
from airflow_rest_api.legacy.login.throttle import Throttle
from airflow_rest_api.security.routes import decision, leaves
from airflow_rest_api.settings import Settings
from tests.standin import auth_manager, bearer, serving, token

GOOD = {"username": "admin", "password": "adminpw", "provider": "db"}
KEY = "s" * 64


@contextmanager
def client(**settings: Any) -> Iterator[TestClient]:
    auth_manager()
    made = Settings(**settings)
    throttle = Throttle(made.login_attempts, made.login_lockout, first_delay=0)
    yield TestClient(create_login_app(made, throttle=throttle), raise_server_exceptions=False)


@pytest.fixture(autouse=True)
def passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "passwords.json"
    path.write_text(json.dumps({"admin": "adminpw", "viewer": "viewerpw"}))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(path))
    return path


def sign_in(one: TestClient, **more: Any) -> dict[str, str]:
    tokens: dict[str, str] = one.post("/login", json={**GOOD, "refresh": True, **more}).json()
    return tokens


def refresh(one: TestClient, text: str) -> Any:
    return one.post("/refresh", headers={"Authorization": f"Bearer {text}"})


def claims(text: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    return found


def test_every_route_has_a_decision_who_may_use_it():
    with client() as one:
        routes = list(leaves(one.app.routes))  # type: ignore[attr-defined]

    assert {route.path for route in routes} == {"/login", "/refresh"}
    assert None not in {decision(route) for route in routes}


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({"refresh": True}, {"access_token", "refresh_token"}),
        ({"refresh": "true"}, {"access_token", "refresh_token"}),
        ({"refresh": 1}, {"access_token", "refresh_token"}),
        ({"refresh": False}, {"access_token"}),
        ({"refresh": "false"}, {"access_token"}),
        ({"refresh": " No "}, {"access_token"}),
        ({"refresh": ""}, {"access_token"}),
        ({"refresh": None}, {"access_token"}),
        ({}, {"access_token"}),
        ({"something": "else"}, {"access_token"}),
    ],
)
def test_a_right_password_gets_the_tokens_that_were_asked_for(given: dict[str, Any], keys: set[str]):
    with client() as one:
        answer = one.post("/login", json={**GOOD, **given})

    assert (answer.status_code, set(answer.json())) == (200, keys)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({"password": "wrong"}, 401, "Not authorized"),
        ({"password": "ADMINPW"}, 401, "Not authorized"),
        ({"username": "nobody"}, 401, "Not authorized"),
        ({"username": "op"}, 401, "Not authorized"),
        ({"username": "admin\0"}, 401, "Not authorized"),
        ({"username": ""}, 400, "Missing required parameter"),
        ({"password": None}, 400, "Missing required parameter"),
        ({"provider": ""}, 400, "Missing required parameter"),
        ({"provider": "bogus", "password": ""}, 400, "Missing required parameter"),
        ({"provider": "bogus", "password": "wrong"}, 400, "Provider bogus not supported"),
        ({"provider": "ldap"}, 400, "Provider ldap not supported"),
        ({"password": 123}, 400, "A parameter has the wrong type"),
        ({"username": ["admin"]}, 400, "A parameter has the wrong type"),
    ],
)
def test_other_logins_are_refused_as_in_the_contract(given: dict[str, Any], status: int, message: str):
    with client() as one:
        answer = one.post("/login", json={**GOOD, **given})

    assert (answer.status_code, answer.json()) == (status, {"message": message})


def test_what_is_no_text_is_a_wrong_password():
    content = json.dumps({**GOOD, "password": "\ud800"}).encode()
    with client() as one:
        answer = one.post("/login", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()) == (401, {"message": "Not authorized"})


def test_what_is_no_text_is_no_provider():
    content = json.dumps({**GOOD, "provider": "\ud800"}).encode()
    with client() as one:
        answer = one.post("/login", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()) == (400, {"message": r"Provider \ud800 not supported"})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_00])
def test_what_is_no_json_is_called_so(content: bytes):
    with client() as one:
        answer = one.post("/login", content=content, headers={"Content-Type": "application/json"})
        form = one.post("/login", data=GOOD)

    for one_of_them in (answer, form):
        assert one_of_them.status_code == 400
        assert one_of_them.json() == {"message": "Request payload is not JSON"}


@pytest.mark.parametrize("content", [b"[]", b"null", b'"admin"', b"1"])
def test_json_of_the_wrong_type_is_a_bad_request(content: bytes):
    with client() as one:
        assert (
            one.post("/login", content=content, headers={"Content-Type": "application/json"}).status_code
            == 400
        )


def test_a_login_is_small():
    with client() as one:
        assert one.post("/login", json={**GOOD, "password": "x" * 70_000}).status_code == 413


@pytest.mark.slow
def test_a_login_that_does_not_arrive_is_given_up():
    import asyncio

    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(10)
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    with client(body_timeout=1) as one:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/login",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }
        asyncio.run(one.app(scope, receive, send))  # type: ignore[arg-type]

    assert sent[0]["status"] == 408
    assert set(json.loads(sent[1]["body"])) == {"message"}


def test_other_methods_and_paths_are_answered_in_the_same_shape():
    with client() as one:
        assert (one.get("/login").status_code, one.get("/refresh").status_code) == (405, 405)
        assert one.get("/login").json() == {"message": "Method Not Allowed"}
        assert one.post("/login/", json=GOOD).status_code == 404
        assert one.post("/nothing", json=GOOD).json() == {"message": "Not Found"}


def test_an_access_token_lives_15_minutes_and_a_refresh_token_30_days():
    with client() as one:
        tokens = sign_in(one)
    lives = {name: claims(text)["exp"] - claims(text)["iat"] for name, text in tokens.items()}

    assert lives == {"access_token": 15 * 60, "refresh_token": 30 * 24 * 3600}


def test_the_lifetimes_are_options():
    with client(access_token_lifetime=60, refresh_token_lifetime=120) as one:
        tokens = sign_in(one)
        renewed = refresh(one, tokens["refresh_token"]).json()
    lives = [claims(text)["exp"] - claims(text)["iat"] for text in (*tokens.values(), *renewed.values())]

    assert lives == [60, 120, 60, 60]


def test_the_access_token_is_one_of_airflows():
    with client() as one:
        text = sign_in(one, username="viewer", password="viewerpw")["access_token"]
    with serving(user=None) as (api, _):
        answer = api.get("/v2/commands", headers={"Authorization": f"Bearer {text}"})

    assert answer.status_code == 200
    assert (claims(text)["sub"], claims(text)["role"]) == ("viewer", "viewer")


def test_a_refresh_token_is_worth_a_new_access_token_under_both_names():
    with client() as one:
        tokens = sign_in(one)
        answer = refresh(one, tokens["refresh_token"])

    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "refresh_token"}
    assert answer.json()["access_token"] == answer.json()["refresh_token"]
    assert answer.json()["access_token"] not in tokens.values()
    with serving(user=None) as (api, _):
        headers = {"Authorization": f"Bearer {answer.json()['refresh_token']}"}
        assert api.get("/v2/commands", headers=headers).status_code == 200


def test_a_refresh_token_is_no_access_token():
    with client() as one:
        text = sign_in(one)["refresh_token"]
    headers = {"Authorization": f"Bearer {text}"}
    with serving(user=None) as (api, engine):
        new, old = api.get("/v2/commands", headers=headers), api.get("/api?api=version", headers=headers)
        cookie = {"Cookie": f"_token={text}", "Sec-Fetch-Site": "none"}
        page = api.get("/docs", headers=cookie)

    assert (new.status_code, "refresh token" in new.json()["detail"]["message"]) == (401, True)
    assert (old.status_code, old.json()) == (422, {"msg": "Only access tokens are allowed"})
    assert page.status_code == 401
    assert engine.jobs == []


def test_airflow_itself_does_not_take_a_refresh_token():
    import asyncio

    with client() as one:
        text = sign_in(one)["refresh_token"]

    with pytest.raises(jwt.InvalidTokenError):
        asyncio.run(auth_manager().get_user_from_token(text))


def signed(key: Any = None, algorithm: str = "HS512", without: str = "", **more: Any) -> str:
    """Return a refresh token with something else in it."""
    now = int(time.time())
    made = {
        "sub": "admin",
        "aud": tokens.AUDIENCE,
        "type": "refresh",
        "jti": "a" * 32,
        "iat": now,
        "nbf": now,
        "exp": now + 86_400,
        "user": {},
        "credential": tokens.fingerprint("admin", "adminpw"),
        **more,
    }
    made.pop(without, None)
    return jwt.encode(made, tokens._key() if key is None else key, algorithm)


def test_the_token_of_these_tests_is_a_good_one():
    with client() as one:
        assert refresh(one, signed()).status_code == 200


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("garbage", 422, "Not enough segments"),
        (token("admin"), 422, "Only refresh tokens are allowed"),
        (token("admin", seconds=-100), 401, "Token has expired"),
        (signed(exp=1), 401, "Token has expired"),
        (signed(nbf=int(time.time()) + 80_000), 422, "The token is not yet valid (nbf)"),
        (signed(KEY), 422, "Signature verification failed"),
        (signed("x" * 64), 422, "Signature verification failed"),
        (signed(algorithm="HS256"), 422, "The specified alg value is not allowed"),
        (signed("", algorithm="none"), 422, "The specified alg value is not allowed"),
        (signed(aud="apache-airflow"), 422, "Audience doesn't match"),
        (signed(without="aud"), 422, 'Token is missing the "aud" claim'),
        (signed(without="exp"), 422, 'Token is missing the "exp" claim'),
        (signed(without="jti"), 422, 'Token is missing the "jti" claim'),
        (signed(sub="nobody"), 401, "Error loading the user nobody"),
    ],
)
def test_what_is_no_good_refresh_token_is_named_as_in_the_contract(text: str, status: int, message: str):
    with client() as one:
        answer = refresh(one, text)

    assert (answer.status_code, answer.json()) == (status, {"msg": message})


@pytest.mark.parametrize("text", [signed(type="access"), signed(without="type"), signed(type="REFRESH")])
def test_a_token_of_another_type_is_no_refresh_token(text: str):
    with client() as one:
        assert refresh(one, text).status_code == 422


@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (None, 401, "Missing Authorization Header"),
        ("", 401, "Missing Authorization Header"),
        ("Bearer", 422, "Bad Authorization header. Expected value 'Bearer <JWT>'"),
        ("Basic YTpi", 422, "Bad Authorization header. Expected value 'Bearer <JWT>'"),
        ("Bearer a b", 422, "Bad Authorization header. Expected value 'Bearer <JWT>'"),
    ],
)
def test_a_refresh_without_a_token_is_answered_as_in_the_contract(
    header: str | None, status: int, message: str
):
    with client() as one:
        answer = one.post("/refresh", headers={} if header is None else {"Authorization": header})

    assert (answer.status_code, answer.json()) == (status, {"msg": message})


def test_a_session_cookie_is_no_refresh_token():
    with client() as one:
        cookie = {"Cookie": f"_token={signed()}", "Sec-Fetch-Site": "same-origin"}
        assert one.post("/refresh", headers=cookie).status_code == 401


def test_a_revoked_refresh_token_is_refused():
    from datetime import datetime, timezone

    from airflow.models.revoked_token import RevokedToken

    with client() as one:
        text = sign_in(one)["refresh_token"]
        RevokedToken.revoke(claims(text)["jti"], datetime.fromtimestamp(claims(text)["exp"], timezone.utc))
        answer = refresh(one, text)

    assert (answer.status_code, answer.json()) == (401, {"msg": "Token has been revoked"})


def test_a_refresh_token_does_not_outlive_its_user(monkeypatch: pytest.MonkeyPatch):
    with client() as one:
        text = sign_in(one, username="viewer", password="viewerpw")
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin")
        renewed = refresh(one, text["refresh_token"])
    with serving(user=None) as (api, _):
        headers = {"Authorization": f"Bearer {text['access_token']}"}
        new, old = api.get("/v2/commands", headers=headers), api.get("/api?api=version", headers=headers)

    gone = (401, {"msg": "Error loading the user viewer"})
    assert (renewed.status_code, renewed.json()) == gone
    assert (old.status_code, old.json()) == gone
    assert (new.status_code, new.json()["detail"]["reason"]) == (401, "invalid_token")


def test_a_refresh_token_does_not_outlive_its_password(passwords: Path):
    with client() as one:
        text = sign_in(one)["refresh_token"]
        passwords.write_text(json.dumps({"admin": "another"}))
        answer = refresh(one, text)

    assert (answer.status_code, answer.json()) == (401, {"msg": "Error loading the user admin"})


def test_a_renewed_token_has_the_role_of_today(monkeypatch: pytest.MonkeyPatch):
    with client() as one:
        text = sign_in(one)["refresh_token"]
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:viewer")
        renewed = refresh(one, text).json()["access_token"]

    assert claims(renewed)["role"] == "viewer"


def test_too_many_wrong_passwords_are_told_when_to_come_back():
    with client(login_attempts=3, login_lockout=40) as one:
        wrong = [one.post("/login", json={**GOOD, "password": "x"}).status_code for _ in range(4)]
        answer = one.post("/login", json=GOOD)
        other = one.post("/login", json={**GOOD, "username": "viewer", "password": "viewerpw"})

    assert wrong == [401, 401, 401, 429]
    assert (answer.status_code, 1 <= int(answer.headers["Retry-After"]) <= 40) == (429, True)
    assert other.status_code == 200


def test_no_password_is_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG), client() as one:
        one.post("/login", json={**GOOD, "password": "hunter2hunter2"})
        one.post("/login", json={**GOOD, "username": "hunter2hunter2"})
        one.post("/login", json=GOOD)

    assert "A wrong user name or password from testclient" in caplog.text
    assert "hunter2" not in caplog.text
    assert "adminpw" not in caplog.text


@pytest.mark.parametrize("path", ["/login", "/refresh"])
def test_a_page_of_another_site_gets_no_token(path: str):
    with client() as one:
        headers = {"Sec-Fetch-Site": "cross-site", "Authorization": f"Bearer {signed()}"}
        assert one.post(path, json=GOOD, headers=headers).status_code == 403


def test_the_login_needs_no_header_token():
    # It was Airflow's own, not the plugin's: the 1.x plugin's clients do not send one here.
    with client(rest_api_plugin_expected_http_token="s3cret") as one:
        assert refresh(one, sign_in(one)["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"without": "exp"}, 'Token is missing the "exp" claim'),
        ({"without": "jti"}, 'Token is missing the "jti" claim'),
        ({"type": "refresh"}, "Only access tokens are allowed"),
        ({"aud": "somebody-else"}, "Audience doesn't match"),
    ],
)
def test_an_access_token_that_airflow_would_not_issue_is_refused(made: dict[str, Any], message: str):
    with client():
        pass
    issued = claims(token("admin"))
    without = made.get("without", "")
    issued.update({name: value for name, value in made.items() if name != "without"})
    issued.pop(without, None)
    text = jwt.encode(issued, KEY, "HS512")
    with serving(user=None) as (api, engine):
        headers = {"Authorization": f"Bearer {text}"}
        old = api.get("/api?api=version", headers=headers)
        new = api.post("/v2/commands/version", headers=headers)

    assert (old.status_code, old.json(), new.status_code) == (422, {"msg": message}, 401)
    assert engine.jobs == []


def test_a_revoked_access_token_is_named_as_such():
    text = token("admin")
    auth_manager().revoke_token(text)
    with serving(user=None) as (api, _):
        answer = api.get("/api?api=version", headers={"Authorization": f"Bearer {text}"})

    assert (answer.status_code, answer.json()) == (401, {"msg": "Token has been revoked"})


def test_a_good_token_of_airflows_is_accepted_as_it_is():
    with serving(user=None) as (api, _):
        assert api.get("/api?api=version", headers=bearer("viewer")).status_code == 200


@pytest.mark.parametrize(
    "spellings",
    [["ADMIN", "Admin", "aDmin"], ["admin ", " admin"], ["\uff41dmin", "\u00e1dmin", "admi\u0301n"]],
)
def test_each_spelling_of_a_name_has_no_guesses_of_its_own(spellings: list[str]):
    with client(login_attempts=3) as one:
        names = [name for name in (*spellings, "admin") for _ in range(3)]
        guesses = [{**GOOD, "username": name, "password": "wrong"} for name in names]
        tried = [one.post("/login", json=given).status_code for given in guesses]
        right = one.post("/login", json=GOOD).status_code
        other = one.post("/login", json={**GOOD, "username": "viewer", "password": "viewerpw"}).status_code

    assert tried.count(401) == 3
    assert (right, other) == (429, 200)


def test_under_another_name_of_a_user_no_further_password_is_verified(monkeypatch: pytest.MonkeyPatch):
    async def identity(self: Accounts, username: str) -> str:
        return "\0001" if username in ("admin", "admin@example.org") else username

    async def by_any_name(self: Accounts, username: str, password: str, endpoint: Any) -> Any:
        verified.append(username)
        return None

    verified: list[str] = []
    monkeypatch.setattr(Accounts, "identity", identity)
    monkeypatch.setattr(Accounts, "sign_in", by_any_name)
    with client(login_attempts=3) as one:
        names = ["admin"] * 2 + ["admin@example.org"] * 3
        answers = [one.post("/login", json={**GOOD, "username": name}) for name in names]

    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, '{"message":"Not authorized"}')
    }
    assert verified == ["admin", "admin", "admin@example.org"]


@pytest.mark.slow
def test_a_hundred_guesses_at_once_are_as_many_as_may_be_wrong():
    async def guessed(app: Any) -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as one:
            guesses = [{**GOOD, "password": f"wrong{number}"} for number in range(100)]
            answers = await asyncio.gather(*(one.post("/login", json=given) for given in guesses))
        return [answer.status_code for answer in answers]

    with client(login_attempts=10) as one:
        tried = asyncio.run(guessed(one.app))

    assert (tried.count(401), tried.count(429)) == (10, 90)


class Other:
    """Wraps the simple auth manager's tokens around users of its own."""

    def __init__(self) -> None:
        self.refreshed: list[Any] = []
        self.gone = False
        self.over: type[Exception] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(auth_manager(), name)

    def deserialize_user(self, token: dict[str, Any]) -> Any:
        if self.gone:
            raise ValueError("gone")
        return auth_manager().deserialize_user(token)

    def refresh_user(self, *, user: Any) -> Any:
        self.refreshed.append(user.username)
        if self.over:
            raise self.over


@contextmanager
def another_manager(
    monkeypatch: pytest.MonkeyPatch, prefix: str = "", mounted: bool = True, refusal: int = 401
) -> Iterator[tuple[Any, Other, Any]]:
    manager = Other()
    monkeypatch.setattr(users, "auth_manager", lambda: manager)
    seen: list[dict[str, Any]] = []
    auth_app = FastAPI()

    @auth_app.post("/token", status_code=201)
    async def give(request: Request) -> dict[str, str]:
        body = await request.json()
        seen.append({"client": request.client.host if request.client else None, "path": request.url.path})
        if body != {"username": "ada", "password": "adapw"}:
            raise HTTPException(refusal, "Invalid credentials")
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        user = SimpleAuthManagerUser(username="ada", role="USER")
        return {"access_token": auth_manager().generate_jwt(user, expiration_time_in_seconds=9999)}

    root = FastAPI(root_path=prefix)
    throttle = Throttle(10, 60, first_delay=0)
    root.mount(LOGIN_MOUNT, create_login_app(Settings(), throttle=throttle))
    if mounted:
        root.mount("/auth", auth_app)
    yield TestClient(root, base_url=f"http://testserver{prefix}"), manager, seen


LOGIN = {"username": "ada", "password": "adapw", "provider": "db", "refresh": True}


@pytest.mark.parametrize("prefix", ["", "/airflow"])
def test_another_auth_manager_is_asked_where_it_is_mounted(monkeypatch: pytest.MonkeyPatch, prefix: str):
    with another_manager(monkeypatch, prefix) as (client, manager, seen):
        answer = client.post(LOGIN_MOUNT + "/login", json=LOGIN)
        wrong = client.post(LOGIN_MOUNT + "/login", json={**LOGIN, "password": "x"})
        token = answer.json()["refresh_token"]
        renewed = client.post(LOGIN_MOUNT + "/refresh", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, wrong.status_code, renewed.status_code) == (200, 401, 200)
    assert seen == [{"client": "testclient", "path": f"{prefix}/auth/token"}] * 2
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ada", 900)
    assert manager.refreshed == ["ada"]


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_wrong_password_is_called_so_however_another_auth_manager_refuses_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refusal: int
):
    with another_manager(monkeypatch, refusal=refusal) as (client, _, _):
        wrong = client.post(LOGIN_MOUNT + "/login", json={**LOGIN, "password": "x"})

    assert (wrong.status_code, wrong.json()) == (401, {"message": "Not authorized"})
    assert "A wrong user name or password" in caplog.text
    assert "not possible" not in caplog.text


def test_an_auth_manager_with_tokens_for_clients_without_cookies_gives_out_these(
    monkeypatch: pytest.MonkeyPatch,
):
    def for_a_client(user: Any, *, expiration_time_in_seconds: int) -> str:
        claims = {**auth_manager().serialize_user(user), "elsewhere": "a-session"}
        signer = auth_manager()._get_token_signer(expiration_time_in_seconds=expiration_time_in_seconds)
        return str(signer.generate(claims))

    with another_manager(monkeypatch) as (client, manager, _):
        manager.generate_api_jwt = for_a_client
        seen: list[Any] = []
        manager.deserialize_user = lambda token: seen.append(token) or auth_manager().deserialize_user(token)
        given = client.post(LOGIN_MOUNT + "/login", json=LOGIN).json()
        seen.clear()
        headers = {"Authorization": f"Bearer {given['refresh_token']}"}
        renewed = client.post(LOGIN_MOUNT + "/refresh", headers=headers).json()

    for issued in (given, renewed):
        found = claims(issued["access_token"])
        assert (found["sub"], found["exp"] - found["iat"]) == ("ada", 900)
        assert found["elsewhere"] == "a-session"
    assert [made_of["elsewhere"] for made_of in seen] == ["a-session"]
    assert not {"jti", "exp", "aud"} & set(seen[0])


def refreshed_after(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    """Return the answer to a refresh token whose user another auth manager has otherwise since the login."""
    with another_manager(monkeypatch) as (client, manager, _):
        token = client.post(LOGIN_MOUNT + "/login", json=LOGIN).json()["refresh_token"]
        vars(manager).update(changes)
        return client.post(LOGIN_MOUNT + "/refresh", headers={"Authorization": f"Bearer {token}"})


def test_another_auth_managers_user_who_is_gone_gets_no_new_token(monkeypatch: pytest.MonkeyPatch):
    answer = refreshed_after(monkeypatch, gone=True)

    assert (answer.status_code, answer.json()) == (401, {"msg": "Error loading the user ada"})


@pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow has no such exception there")
def test_whose_session_with_another_auth_manager_is_over_gets_no_new_token(monkeypatch: pytest.MonkeyPatch):
    from airflow.api_fastapi.auth.managers.exceptions import AuthManagerRefreshTokenExpiredException

    answer = refreshed_after(monkeypatch, over=AuthManagerRefreshTokenExpiredException)

    assert (answer.status_code, answer.json()) == (401, {"msg": "Error loading the user ada"})


def test_an_auth_manager_without_the_endpoint_lets_nobody_log_in(monkeypatch: pytest.MonkeyPatch):
    with another_manager(monkeypatch, mounted=False) as (client, _, _):
        assert client.post(LOGIN_MOUNT + "/login", json=LOGIN).status_code == 401
