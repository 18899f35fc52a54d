"""An auth manager that we know nothing of, and its own `/auth/token`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.testclient import TestClient

from airflow_rest_api.airflow import users
from airflow_rest_api.legacy.login.app import PREFIX, create_login_app
from airflow_rest_api.legacy.login.throttle import Throttle
from airflow_rest_api.settings import Settings
from tests.standin import auth_manager


class Other:
    """Wraps the simple auth manager's tokens around users of its own."""

    def __init__(self) -> None:
        self.refreshed: list[Any] = []
        self.gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(auth_manager(), name)

    def deserialize_user(self, token: dict[str, Any]) -> Any:
        if self.gone:
            raise ValueError("gone")
        return auth_manager().deserialize_user(token)

    def refresh_user(self, *, user: Any) -> Any:
        self.refreshed.append(user.username)


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, prefix: str = "", mounted: bool = True
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
            raise HTTPException(401, "Invalid credentials")
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        user = SimpleAuthManagerUser(username="ada", role="USER")
        return {"access_token": auth_manager().generate_jwt(user, expiration_time_in_seconds=9999)}

    root = FastAPI(root_path=prefix)
    throttle = Throttle(10, 60, first_delay=0)
    root.mount(PREFIX, create_login_app(Settings(), throttle=throttle))
    if mounted:
        root.mount("/auth", auth_app)
    yield TestClient(root, base_url=f"http://testserver{prefix}"), manager, seen


LOGIN = {"username": "ada", "password": "adapw", "provider": "db", "refresh": True}


@pytest.mark.parametrize("prefix", ["", "/airflow"])
def test_another_auth_manager_is_asked_where_it_is_mounted(monkeypatch: pytest.MonkeyPatch, prefix: str):
    with serving(monkeypatch, prefix) as (client, manager, seen):
        answer = client.post(PREFIX + "/login", json=LOGIN)
        wrong = client.post(PREFIX + "/login", json={**LOGIN, "password": "x"})
        token = answer.json()["refresh_token"]
        renewed = client.post(PREFIX + "/refresh", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, wrong.status_code, renewed.status_code) == (200, 401, 200)
    assert seen == [{"client": "testclient", "path": f"{prefix}/auth/token"}] * 2
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ada", 900)
    assert manager.refreshed == ["ada"]


def test_another_auth_managers_user_who_is_gone_gets_no_new_token(monkeypatch: pytest.MonkeyPatch):
    with serving(monkeypatch) as (client, manager, _):
        token = client.post(PREFIX + "/login", json=LOGIN).json()["refresh_token"]
        manager.gone = True
        answer = client.post(PREFIX + "/refresh", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()) == (401, {"msg": "Error loading the user ada"})


def test_an_auth_manager_without_the_endpoint_lets_nobody_log_in(monkeypatch: pytest.MonkeyPatch):
    with serving(monkeypatch, mounted=False) as (client, _, _):
        assert client.post(PREFIX + "/login", json=LOGIN).status_code == 401
