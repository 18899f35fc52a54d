from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from airflow_rest_api.legacy.login.app import create_login_app
from airflow_rest_api.security.request_size import LARGEST_ADDRESS, LARGEST_HEADERS, MOST_PARAMETERS
from airflow_rest_api.settings import Settings
from tests.standin import auth_manager, serving

MANY = {f"X-{number}": "a" * 50 for number in range(LARGEST_HEADERS // 50)}
LARGE: list[Mapping[str, str]] = [{"X-Large": "a" * LARGEST_HEADERS}, MANY]


@pytest.mark.parametrize("headers", LARGE)
@pytest.mark.parametrize("user", ["admin", None])
@pytest.mark.parametrize("path", ["/v2/commands/version", "/", "/openapi.json", "/nothing", "/static/x"])
def test_headers_that_are_too_large_are_refused_before_anything_looks_at_them(
    path: str, user: str | None, headers: Mapping[str, str]
) -> None:
    with serving(user=user) as (client, engine):
        answer = client.post(path, headers=headers)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (431, "headers_too_large")
    assert str(LARGEST_HEADERS) in answer.json()["detail"]["message"]
    assert engine.jobs == []


@pytest.mark.parametrize("headers", LARGE)
def test_the_1x_endpoints_say_so_in_their_envelope(headers: Mapping[str, str]) -> None:
    with serving(http_token_username="admin", rest_api_plugin_expected_http_token="x") as (client, engine):
        answer = client.get("/api?api=version&a=b", headers=headers)

    assert (answer.status_code, answer.json()["http_response_code"]) == (431, 431)
    assert answer.json()["output"] == f"The headers have more than {LARGEST_HEADERS} bytes."
    assert answer.json()["arguments"] == {"api": "version", "a": "b"}
    assert engine.jobs == []


def test_an_address_that_is_too_long_is_refused_unread() -> None:
    long = "a" * LARGEST_ADDRESS
    with serving() as (client, _):
        v2 = client.get("/v2/operations", params={"cursor": long})
        path = client.get(f"/v2/dag-files/{long}")
        legacy = client.get("/api", params={"api": "version", "a": long})
        many = client.get("/v2/operations?" + "a=1&" * MOST_PARAMETERS)
        old_many = client.get("/api?api=version&" + "a=1&" * MOST_PARAMETERS)

    for answer in (v2, path):
        assert (answer.status_code, answer.json()["detail"]["reason"]) == (414, "address_too_long")
    assert (legacy.status_code, legacy.json()["arguments"]) == (414, {})
    assert (many.status_code, many.json()["detail"]["reason"]) == (400, "too_many_parameters")
    assert (old_many.status_code, old_many.json()["status"]) == (400, "ERROR")


def test_what_is_within_the_bounds_is_served() -> None:
    room = {"X-Large": "a" * (LARGEST_HEADERS - 2000)}
    with serving() as (client, _):
        assert client.post("/v2/commands/version", headers=room).status_code == 200
        assert client.get("/api", params={"api": "version", "a": "b" * 30_000}).status_code == 200


def test_a_login_with_large_headers_or_a_long_address_is_refused_in_its_own_words() -> None:
    auth_manager()
    app = Starlette(routes=[Mount("/api/v1/security", create_login_app(Settings()))])
    client = TestClient(app)
    for path in ("login", "refresh"):
        large = client.post(f"/api/v1/security/{path}", headers={"X-Large": "a" * LARGEST_HEADERS})
        long = client.post(f"/api/v1/security/{path}?{'a' * LARGEST_ADDRESS}")

        assert (large.status_code, list(large.json())) == (431, ["message"])
        assert (long.status_code, list(long.json())) == (414, ["message"])
