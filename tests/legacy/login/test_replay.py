"""The recorded logins, sent to the login of today; and that no recorded exchange is sent nowhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.legacy.login.app import create_login_app
from airflow_rest_api.legacy.login.throttle import Throttle
from airflow_rest_api.settings import Settings
from tests.legacy.recording import RECORDED
from tests.standin import auth_manager, token

PREFIX = "/api/v1/security"

DIFFERENT: dict[str, tuple[int, str]] = {
    "login.ok_refresh_string_false": (200, "the text `false` is false: no refresh token"),
    "login.provider_ldap": (400, "there is no server to ask, which was a crash"),
    "login.malformed_json": (400, "the sentence is ours"),
    "login.json_list": (400, "a crash"),
    "login.json_null": (400, "a crash"),
    "login.numeric_password": (400, "a crash"),
    "login.get": (405, "JSON, which was a page"),
    "login.trailing_slash": (404, "JSON, which was a page"),
    "refresh.ok": (200, "the token under both names: see the contract"),
    "refresh.ok_json_body": (200, "the token under both names: see the contract"),
    "refresh.get": (405, "JSON, which was a page"),
}
"""Where our answer is another one: its status, and why."""

BODIES = {"login.malformed_json": b"{", "login.json_list": b"[]", "login.json_null": b"null"}
"""Bodies that are not in the recording."""

ELSEWHERE: dict[str, str] = {
    r"norbac\..*": "tests/legacy/test_replay.py",
    r"rbac\.auth\.api\..*|rbac\.token_and_jwt\..*|token\..*": "tests/legacy/test_door.py",
}
"""Which test sends the others."""

NOT_OURS: dict[str, str] = {
    r".*\.page\..*|.*\.page_no_token\.get": "the page, which is another one: tests/browser",
    r"norbac\.ok\.trailing_slash\.get|rbac\.auth\.(notfound|root_api)": "no address of ours, then and now",
    r"rbac\.auth\.(health|session\..*)": "Airflow's own addresses",
}
"""What is sent to no endpoint of ours, and what it is."""


def _every() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


LOGINS = [exchange for exchange in _every() if exchange["path"].startswith(PREFIX)]


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"admin": "adminpw", "pub": "pubpw"}))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,pub:viewer")
    auth_manager()
    throttle = Throttle(10, 300, first_delay=0)
    return TestClient(create_login_app(Settings(), throttle=throttle), raise_server_exceptions=False)


@pytest.mark.parametrize("exchange", LOGINS, ids=[exchange["id"] for exchange in LOGINS])
def test_a_recorded_login_gets_the_recorded_answer(exchange: dict[str, Any], login: TestClient) -> None:
    case = exchange["id"].removeprefix("rbac.auth.")
    tokens = login.post(
        "/login", json={"username": "admin", "password": "adminpw", "provider": "db", "refresh": True}
    ).json()
    headers = {
        name: value.replace("<REFRESH_TOKEN>", tokens["refresh_token"])
        .replace("<ACCESS_TOKEN>", tokens["access_token"])
        .replace("<JWT>", token("admin", seconds=-100))
        for name, value in (exchange.get("headers") or {}).items()
    }
    sent: dict[str, Any] = {"headers": headers}
    if exchange.get("json") is not None:
        sent["json"] = exchange["json"]
    elif exchange.get("form"):
        sent["data"] = dict(exchange["form"])
    elif case in BODIES:
        sent["content"] = BODIES[case]
    answer = login.request(exchange["method"], exchange["path"].removeprefix(PREFIX), **sent)

    recorded = exchange["status"], _shape(exchange["body"])
    got = answer.status_code, _shape(answer.json())
    if case in DIFFERENT:
        assert answer.status_code == DIFFERENT[case][0], answer.text
        assert got != recorded, "it is no longer different"
    else:
        assert got == recorded


def test_every_recorded_exchange_is_sent_somewhere() -> None:
    patterns = [re.escape(exchange["id"]) for exchange in LOGINS] + [*NOT_OURS, *ELSEWHERE]
    for exchange in _every():
        assert any(re.fullmatch(pattern, exchange["id"]) for pattern in patterns), exchange["id"]


def _shape(body: Any) -> Any:
    """Return an answer with its tokens replaced as in the recording."""
    if not isinstance(body, dict):
        return body
    return {key: "<JWT>" if key.endswith("_token") else value for key, value in body.items()}
