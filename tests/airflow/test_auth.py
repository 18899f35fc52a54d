from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import Response

from airflow_rest_api.airflow import auth, users
from airflow_rest_api.airflow.auth import Accounts, AirflowAuth
from airflow_rest_api.errors import InvalidToken
from airflow_rest_api.legacy.credentials import token_of
from tests.standin import auth_manager, token


@pytest.fixture(autouse=True)
def _simple_auth_manager():
    auth_manager()


def user_of(text: str) -> Any:
    return asyncio.run(AirflowAuth().user(text))


def test_a_token_stands_for_its_user():
    assert AirflowAuth().user_name(user_of(token("viewer"))) == "viewer"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", token("admin") + "x", "ü" * 10])
def test_what_is_no_token_is_refused(text: str):
    with pytest.raises(InvalidToken, match="not valid"):
        user_of(text)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


HEADER, DEEP = encoded('{"alg":"HS512","typ":"JWT"}'), encoded("[" * 9000)
TOO_DEEP = [f"{DEEP}.{encoded('{}')}.AA", f"{HEADER}.{DEEP}.AA"]


@pytest.mark.parametrize("text", TOO_DEEP)
@pytest.mark.parametrize("older", [False, True])
def test_a_token_that_is_nested_too_deeply_is_refused(
    text: str, older: bool, monkeypatch: pytest.MonkeyPatch
):
    if older:

        def decode_complete(*_: Any, **__: Any) -> Any:
            raise RecursionError

        monkeypatch.setattr("jwt.PyJWT.decode_complete", decode_complete)

    with pytest.raises(InvalidToken, match="not valid"):
        user_of(text)
    answer = token_of(Headers({"Authorization": f"Bearer {text}"}))
    assert isinstance(answer, Response)
    assert answer.status_code == 422


def test_what_fails_for_another_reason_is_no_fault_of_the_token(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(users, "still_there", fail)

    with pytest.raises(RecursionError):
        user_of(token("admin"))


def test_an_expired_token_is_refused():
    with pytest.raises(InvalidToken, match="expired"):
        user_of(token("admin", seconds=-100))


def test_a_token_without_a_signature_is_refused():
    import jwt

    claims = jwt.decode(token("admin"), options={"verify_signature": False})

    with pytest.raises(InvalidToken):
        user_of(jwt.encode(claims, "", algorithm="none"))


def test_a_revoked_token_is_refused():
    text = token("admin")
    auth_manager().revoke_token(text)

    with pytest.raises(InvalidToken):
        user_of(text)


@pytest.mark.parametrize(
    ("role", "admin"), [("admin", True), ("op", False), ("user", False), ("viewer", False)]
)
def test_only_admin_administers_the_simple_auth_manager(role: str, admin: bool):
    assert asyncio.run(AirflowAuth().is_admin(user_of(token(role)))) is admin


def with_manager(monkeypatch: pytest.MonkeyPatch, manager: object) -> AirflowAuth:
    monkeypatch.setattr(users, "auth_manager", lambda: manager)
    return AirflowAuth()


def fab(config: dict[str, str] | None = None) -> Any:
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    class Custom(FabAuthManager):
        pass

    manager = Custom.__new__(Custom)
    manager.flask_app = SimpleNamespace(config=config or {})  # type: ignore[assignment]
    return manager


def with_roles(*names: str) -> Any:
    from airflow.providers.fab.auth_manager.models import Role, User

    return User(username="someone", roles=[Role(name=name) for name in names])


def test_the_admin_role_administers_flask_appbuilder(monkeypatch: pytest.MonkeyPatch):
    host = with_manager(monkeypatch, fab())

    assert asyncio.run(host.is_admin(with_roles("Viewer", "Admin")))
    assert not asyncio.run(host.is_admin(with_roles("Viewer", "Op", "admin")))
    assert not asyncio.run(host.is_admin(with_roles()))


def test_the_admin_role_of_flask_appbuilder_may_have_another_name(monkeypatch: pytest.MonkeyPatch):
    host = with_manager(monkeypatch, fab({"AUTH_ROLE_ADMIN": "Chiefs"}))

    assert asyncio.run(host.is_admin(with_roles("Chiefs")))
    assert not asyncio.run(host.is_admin(with_roles("Admin")))


def test_an_application_of_flask_appbuilder_is_made_once_to_read_its_configuration_and_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
):
    manager = fab()
    manager.flask_app = None
    monkeypatch.setattr(users, "auth_manager", lambda: manager)
    made: list[int] = []

    @contextmanager
    def application(_: object) -> Iterator[Any]:
        made.append(threading.get_ident())
        yield SimpleNamespace(config={"AUTH_TYPE": auth.AUTH_LDAP})

    monkeypatch.setattr(auth.accounts, "fab_application", application)

    for _ in range(2):
        assert asyncio.run(Accounts().providers()) == ("db", "ldap")
    assert len(made) == 1
    assert threading.get_ident() not in made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Return what is asked about a token, each with whether that is on the event loop's thread."""
    from airflow.models.revoked_token import RevokedToken

    found: list[tuple[str, bool]] = []

    def note(owner: Any, name: str) -> None:
        question = getattr(owner, name)

        def noted(*arguments: Any, **more: Any) -> Any:
            found.append((name, threading.current_thread() is threading.main_thread()))
            return question(*arguments, **more)

        monkeypatch.setattr(owner, name, noted)

    note(users, "ask")
    note(users, "still_there")
    note(RevokedToken, "is_revoked")
    return found


def test_all_that_a_token_needs_of_the_database_is_asked_in_one_go(asked: list[tuple[str, bool]]):
    assert user_of(token("viewer")).get_name() == "viewer"

    assert asked == [("ask", True), ("is_revoked", False), ("still_there", False)]


def test_an_auth_manager_with_a_way_of_its_own_is_asked_for_no_more_than_that_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, bool]]
):
    class Own:
        async def get_user_from_token(self, text: str) -> str:
            return text

    text = token("viewer")
    assert asyncio.run(with_manager(monkeypatch, Own()).user(text)) == text

    assert asked == [("ask", True), ("still_there", False)]


def test_what_an_auth_manager_takes_out_of_the_claims_is_not_missed(monkeypatch: pytest.MonkeyPatch):
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    class Greedy(SimpleAuthManager):
        def deserialize_user(self, token: dict[str, Any]) -> Any:
            user = super().deserialize_user(token)
            token.clear()
            return user

    host = with_manager(monkeypatch, Greedy())

    assert asyncio.run(host.user(token("viewer"))).get_name() == "viewer"


class Other:
    """An auth manager that we know nothing of."""

    def __init__(self, refuses: str = "", raises: str = "") -> None:
        self.refuses, self.raises = refuses, raises

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("is_authorized_"):
            raise AttributeError(name)
        return lambda **asked: self._answer(f"{name} {asked['method']}")

    def _answer(self, question: str) -> bool:
        if question == self.raises:
            raise ConnectionError
        return question != self.refuses


def test_who_may_everything_administers_an_unknown_auth_manager(monkeypatch: pytest.MonkeyPatch):
    assert asyncio.run(with_manager(monkeypatch, Other()).is_admin(object()))


@pytest.mark.parametrize(
    "question", [f"{name} {method}" for name, methods, _ in auth.ADMINISTERS for method in methods]
)
def test_one_no_or_one_failure_of_an_unknown_auth_manager_is_a_no(
    monkeypatch: pytest.MonkeyPatch, question: str
):
    assert not asyncio.run(with_manager(monkeypatch, Other(refuses=question)).is_admin(object()))
    assert not asyncio.run(with_manager(monkeypatch, Other(raises=question)).is_admin(object()))


def test_an_unknown_auth_manager_without_the_questions_has_no_administrators(monkeypatch: pytest.MonkeyPatch):
    assert not asyncio.run(with_manager(monkeypatch, object()).is_admin(object()))


def test_the_session_cookie_is_airflows():
    from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN

    assert AirflowAuth.session_cookie == COOKIE_NAME_JWT_TOKEN


def test_trusted_origins_are_airflows(monkeypatch: pytest.MonkeyPatch):
    assert AirflowAuth().trusted_origins() == frozenset()
    monkeypatch.setenv("AIRFLOW__API__ACCESS_CONTROL_ALLOW_ORIGINS", "https://a.example,https://b.example")
    assert AirflowAuth().trusted_origins() == {"https://a.example", "https://b.example"}
