from __future__ import annotations

import base64
import json
import time

import pytest

from airflow_rest_client import ApiError, Busy, Client, NotSignedIn
from airflow_rest_client.credentials import Credentials, expires_at
from airflow_rest_client.http import Request, Upload

from .conftest import Reply, Server, operation

LOGIN, REFRESH = "/api/v1/security/login", "/api/v1/security/refresh"
RUN = "/admin/rest_api/v2/commands/version"
REFUSED = Reply(401, {"detail": {"reason": "invalid_token", "message": "The token has expired."}})


def token(seconds: float) -> str:
    payload = (
        base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds}).encode()).decode().rstrip("=")
    )
    return f"head.{payload}.signature"


def test_a_token_says_itself_when_it_ends():
    assert expires_at(token(100)) == pytest.approx(time.time() + 100, abs=5)
    assert [expires_at(text) for text in ("", "a.b", "a.e30.c")] == [float("inf")] * 3


def test_with_a_name_and_a_password_there_is_a_token_before_the_first_request(server: Server):
    server.on("POST", LOGIN, Reply(201, {"access_token": "new", "refresh_token": "r"}))
    server.on("POST", RUN, Reply(body=operation()))
    Client(server.url, username="ada", password="p").run("version")

    assert server.sent(LOGIN)[0].json == {
        "username": "ada",
        "password": "p",
        "provider": "db",
        "refresh": True,
    }
    assert server.sent(RUN)[0].headers["authorization"] == "Bearer new"


def test_a_token_is_renewed_before_it_ends(server: Server):
    server.on("POST", REFRESH, Reply(200, {"access_token": token(900)}))
    server.on("POST", RUN, Reply(body=operation()))
    changed: list[Credentials] = []
    credentials = Credentials(token(10), "refresh", changed=changed.append)
    Client(server.url, credentials=credentials).run("version")

    assert server.sent(REFRESH)[0].headers["authorization"] == "Bearer refresh"
    assert server.sent(RUN)[0].headers["authorization"] == f"Bearer {credentials.token}"
    assert changed == [credentials]


def test_a_token_that_was_taken_back_is_renewed_once(server: Server):
    server.on("POST", REFRESH, Reply(200, {"access_token": "second"}))
    server.on("POST", RUN, REFUSED)
    client = Client(server.url, "first", refresh_token="refresh")
    with pytest.raises(NotSignedIn, match="expired"):
        client.run("version")

    assert [asked.headers["authorization"] for asked in server.sent(RUN)] == ["Bearer first", "Bearer second"]


def test_a_wrong_password_is_said_as_such(server: Server):
    server.on("POST", LOGIN, Reply(401, {"message": "Not authorized"}))
    with pytest.raises(NotSignedIn, match="does not take this password for ada"):
        Client(server.url, username="ada", password="no").run("version")


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (429, Busy, "Too many wrong passwords: try again in 60 seconds."),
        (400, ApiError, "Provider ldap not supported"),
    ],
)
def test_why_nobody_can_sign_in_is_said_in_the_words_of_the_server(
    server: Server, status: int, kind: type[ApiError], message: str
):
    server.on("POST", LOGIN, Reply(status, {"message": message}))
    with pytest.raises(kind, match=f"^{message}$"):
        Client(server.url, username="ada", password="p", provider="ldap").run("version")


def test_an_airflow_without_the_login_of_old_is_asked_by_its_own(server: Server):
    server.on("POST", "/auth/token", Reply(201, {"access_token": "own"}))
    server.on("POST", RUN, Reply(body=operation()))
    Client(server.url, username="ada", password="p").run("version")

    assert server.sent(RUN)[0].headers["authorization"] == "Bearer own"


def test_the_token_of_the_site_goes_along_everywhere(server: Server):
    server.on("POST", LOGIN, Reply(201, {"access_token": "new"}))
    server.on("POST", RUN, Reply(body=operation()))
    Client(server.url, username="ada", password="p", header_token="shared").run("version")

    assert {asked.headers.get("rest-api-plugin-http-token") for asked in server.asked} == {"shared"}


def test_no_secret_is_in_what_is_shown_of_an_object(server: Server):
    credentials = Credentials("hush-t", "hush-r", "ada", "hush-p", header_token="hush-h")
    client = Client(server.url, credentials=credentials)
    signed = client.server.signed(Request("POST", "/x", json={"argv": ["hush-a"]}, fields={"argv": "hush-f"}))

    assert "hush" not in "".join(
        map(repr, (credentials, client, client.server, signed, Upload("a", b"hush")))
    )
    assert signed.headers["Authorization"] == "Bearer hush-t"


@pytest.mark.parametrize("token", ["hush\nhush", "hush hush", "hüsh", "hush\x07"])
def test_a_token_that_cannot_be_sent_is_refused_at_once_and_not_shown(server: Server, token: str):
    with pytest.raises(NotSignedIn) as refused:
        Client(server.url, token).run("version")
    assert "hush" not in str(refused.value)
    assert server.asked == []


def test_what_stands_around_a_token_is_left_away(server: Server):
    server.on("POST", RUN, Reply(body=operation()))
    Client(server.url, " token\r\n").run("version")
    assert server.sent(RUN)[0].headers["authorization"] == "Bearer token"


def test_a_place_without_a_login_is_said_to_be_none(server: Server):
    server.on("POST", LOGIN, Reply(405))
    with pytest.raises(ApiError, match="no place to sign in"):
        Client(server.url, username="ada", password="p").run("version")
