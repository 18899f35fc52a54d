"""Who a token stands for, while nobody may hold up the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from airflow_rest_api.airflow.users import known_user
from tests.standin import auth_manager, token


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the threads in which it is asked whether a token was revoked."""
    from airflow.models.revoked_token import RevokedToken

    asked: list[str] = []
    ask = RevokedToken.is_revoked

    def noted(jti: str, **more: Any) -> bool:
        asked.append(threading.current_thread().name)
        return bool(ask(jti, **more))

    monkeypatch.setattr(RevokedToken, "is_revoked", noted)
    return asked


def test_the_database_is_asked_in_a_thread(threads: list[str]):
    user = asyncio.run(known_user(auth_manager(), token("viewer")))

    assert user.get_name() == "viewer"
    assert [name.startswith("rest-api-question") for name in threads] == [True]


def test_a_token_that_is_none_is_refused_before_the_database_is_asked(threads: list[str]):
    from jwt import InvalidTokenError

    for text in ("", "a.b.c", token("admin") + "x", token("admin", seconds=-100)):
        with pytest.raises(InvalidTokenError):
            asyncio.run(known_user(auth_manager(), text))
    assert threads == []


def test_an_auth_manager_with_a_way_of_its_own_is_asked_in_that():
    class Own:
        async def get_user_from_token(self, text: str) -> str:
            return f"user of {text}"

    assert asyncio.run(known_user(Own(), "x")) == "user of x"
