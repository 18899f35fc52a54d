from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from airflow_rest_api.asgi import (
    LARGEST_ADDRESS,
    LARGEST_HEADERS,
    MOST_PARAMETERS,
    BodyDeadline,
    SlashRedirect,
    acceptance,
    client_address,
    header_parameter,
    header_parts,
    media_type,
    name_and_value,
)
from airflow_rest_api.errors import ApiError
from airflow_rest_api.legacy.login.app import create_login_app
from airflow_rest_api.settings import Settings, networks
from tests.standin import auth_manager, serving


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [""]),
        ("a, b", ["a", " b"]),
        ('a="b,c", d', ['a="b,c"', " d"]),
        (r'a="b\",c", d', [r'a="b\",c"', " d"]),
        ('a="b, c', ['a="b, c']),
        (r"a\,b", ["a\\", "b"]),
    ],
)
def test_a_separator_in_a_quoted_string_separates_nothing(text: str, found: list[str]) -> None:
    assert list(header_parts(text, ",")) == found


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("", ("", "")),
        (" Wait = 5\t", ("wait", "5")),
        ('wait="5"', ("wait", "5")),
        (r'a="b\"c\\"', ("a", 'b"c\\')),
        ('a="', ("a", '"')),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_a_value_is_read_with_its_name(part: str, found: tuple[str, str]) -> None:
    assert name_and_value(part) == found


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", (0, False)),
        ("text/csv", (0, False)),
        ("*/*", (1, False)),
        ("*/*;q=0.5, Text/*; q=0.7", (0.7, False)),
        ("*/*, text/plain;q=0.25", (0.25, True)),
        ("TEXT/plain; charset=utf-8 ; Q=0.5", (0.5, True)),
        ("text/plain;q=0, */*", (0, False)),
        ("text/plain;q=0.000", (0, False)),
        ("text/plain;q=1.9", (1, True)),
        ("text/plain;q=much", (1, True)),
        ('a/b;c="d,text/plain"', (0, False)),
    ],
)
def test_a_type_is_wanted_as_much_as_the_nearest_range_says(accept: str, wanted: tuple[float, bool]) -> None:
    assert acceptance(accept, "text/plain") == wanted


def test_a_content_type_has_a_type_and_parameters() -> None:
    text = 'Multipart/Form-Data ; charset=utf-8; Boundary="a;b"; boundary=c'

    assert media_type(text) == "multipart/form-data"
    assert header_parameter(text, "boundary") == "a;b"
    assert header_parameter(text, "profile") == ""
    assert header_parameter("boundary=x", "boundary") == ""


MORE = {"type": "http.request", "body": b"x", "more_body": True}
LAST = {"type": "http.request", "body": b"x", "more_body": False}


def reads(messages: int) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(messages):
            await receive()

    return app


def every(seconds: float, *messages: dict[str, Any], first: float | None = None) -> Any:
    left, pauses = list(messages), [seconds if first is None else first]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pauses.pop() if pauses else seconds)
        return left.pop(0) if len(left) > 1 else left[0]

    return receive


def test_a_body_that_dribbles_in_is_given_up() -> None:
    with pytest.raises(ApiError) as caught:
        asyncio.run(BodyDeadline(reads(1000), 0.2)({"type": "http"}, every(0.01, MORE), None))  # type: ignore[arg-type]

    assert caught.value.status == 408
    assert "body_timeout" in str(caught.value)


def test_a_body_in_time_is_read_to_its_end() -> None:
    asyncio.run(BodyDeadline(reads(3), 5)({"type": "http"}, every(0, MORE, MORE, LAST), None))  # type: ignore[arg-type]


def test_a_body_is_waited_for_in_the_task_of_its_request() -> None:
    tasks: list[object] = []

    async def receive() -> dict[str, Any]:
        tasks.append(asyncio.current_task())
        return LAST

    async def request() -> None:
        await BodyDeadline(reads(1), 5)({"type": "http"}, receive, None)  # type: ignore[arg-type]
        assert tasks == [asyncio.current_task()]

    asyncio.run(request())


def test_who_goes_away_is_not_taken_for_one_who_is_late() -> None:
    async def request() -> None:
        coming = BodyDeadline(reads(1), 5)({"type": "http"}, every(5, LAST), None)  # type: ignore[arg-type]
        task = asyncio.ensure_future(coming)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(request())


@pytest.mark.slow
def test_waiting_for_the_client_to_hang_up_has_no_limit() -> None:
    gone = {"type": "http.disconnect"}
    asyncio.run(BodyDeadline(reads(3), 1)({"type": "http"}, every(0.6, LAST, gone, first=0), None))  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("more", "large", "status"),
    [
        ("", 0, 401),
        ("", LARGEST_HEADERS, 431),
        ("a" * LARGEST_ADDRESS, 0, 414),
        ("a=1&" * MOST_PARAMETERS, 0, 400),
    ],
)
def test_a_password_in_the_query_of_a_login_stays_out_of_the_access_log(
    more: str, large: int, status: int
) -> None:
    auth_manager()
    app = Starlette(routes=[Mount("/api/v1/security", create_login_app(Settings()))])
    logged: list[bytes] = []

    async def logging(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        # As a server does, which has this very scope.
        logged.append(scope["query_string"])

    client = TestClient(logging)
    address = f"/api/v1/security/login?username=admin&password=hunter22&{more}"
    body = {"username": "admin", "password": "wrong", "provider": "db"}
    assert client.post(address, json=body, headers={"X-Large": "a" * large}).status_code == status
    [query] = logged
    assert b"hunter22" not in query


def test_an_answer_before_any_middleware_leaves_no_secret_of_the_query_in_the_access_log() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("it is passed on")

    async def send(message: Any) -> None:
        sent.append(message)

    auth_manager()
    redirect = SlashRedirect(never, "/admin/rest_api")
    login = create_login_app(Settings())
    for app, kind in ((redirect, "http"), (login, "websocket")):
        sent: list[Any] = []
        query = b"api=connections&conn_password=hunter22"
        scope: Any = {"type": kind, "path": "/admin/rest_api", "query_string": query, "headers": []}
        asyncio.run(app(scope, never, send))
        assert b"hunter22" not in scope["query_string"]
        if kind == "http":
            assert dict(sent[0]["headers"])[b"location"] == b"/admin/rest_api/?" + query


PROXIES = "10.0.0.0/8, ::1, 192.0.2.7"


def seen(peer: str | None, *forwarded: str, proxies: str = PROXIES) -> str | None:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    scope: Any = {"client": (peer, 1234) if peer else None, "headers": headers}
    return client_address(scope, networks(proxies))


@pytest.mark.parametrize("peer", ["203.0.113.9", "192.0.2.8", "testclient", "11.0.0.1", None])
def test_nobody_but_a_trusted_proxy_says_who_a_request_comes_from(peer: str | None) -> None:
    assert seen(peer, "198.51.100.1") == peer
    assert seen("10.0.0.1", "198.51.100.1", proxies="") == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ((), "10.0.0.1"),
        (("198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1", "198.51.100.1"), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1, 10.3.3.3, ::1",), "198.51.100.1"),
        (("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
        (("198.51.100.1:5678",), "198.51.100.1"),
        (("[2001:db8::1]:5678",), "2001:db8::1"),
        (("2001:db8::1",), "2001:db8::1"),
        (("1.1.1.1, unknown",), "10.0.0.1"),
        (("1.1.1.1, unknown, 10.0.0.3",), "10.0.0.3"),
        (("1.1.1.1, ",), "10.0.0.1"),
        (("\xff" * 1000,), "10.0.0.1"),
    ],
)
def test_what_a_trusted_proxy_has_added_counts_and_nothing_before_it(
    forwarded: tuple[str, ...], address: str
) -> None:
    assert seen("10.0.0.1", *forwarded) == address
    assert seen("::ffff:10.0.0.1", *forwarded) in (address, "::ffff:10.0.0.1")


def test_a_chain_that_is_longer_than_any_ends_at_a_proxy() -> None:
    assert seen("10.0.0.1", ", ".join(["1.1.1.1", *["10.0.0.2"] * 10_000])) == "10.0.0.2"


def test_the_callers_address_is_of_the_proxys_word() -> None:
    from airflow_rest_api.security.audit import Audit

    found = []
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(user="viewer", trusted_proxies="127.0.0.0/8") as (client, _),
    ):
        patch.setattr(Audit, "refused", lambda self, caller, *_: found.append(caller.address))
        client._transport.client = ("127.0.0.1", 5000)  # type: ignore[attr-defined]
        client.post("/v2/commands/db/reset", headers={"X-Forwarded-For": "1.1.1.1, 198.51.100.1"})

    assert found == ["198.51.100.1"]
