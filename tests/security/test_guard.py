from __future__ import annotations

import pytest

from airflow_rest_api.asgi import PAGES
from tests.standin import bearer, serving, token

RUN = "/v2/commands/version"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": token("admin")},
        {"Cookie": f"_token={token('admin')}"},
        {"Cookie": f"_token={token('admin')}", "Sec-Fetch-Site": "none"},
        {"Cookie": "a=b", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_request_without_a_bearer_token_is_told_how_to_get_one(headers: dict[str, str]):
    with serving(user=None) as (client, engine):
        answer = client.post(RUN, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Airflow"'
    assert answer.json()["detail"]["reason"] == "not_authenticated"
    assert engine.jobs == []


@pytest.mark.parametrize("text", ["x", token("admin")[:-2], token("admin", seconds=-100)])
def test_a_token_that_is_not_valid_is_named_as_such(text: str):
    with serving(user=None) as (client, engine):
        answer = client.post(RUN, headers={"Authorization": f"Bearer {text}"})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert engine.jobs == []


def test_the_scheme_is_read_in_any_case():
    with serving(user=None) as (client, _):
        assert client.post(RUN, headers={"Authorization": f"bEARER {token('viewer')}"}).status_code == 200


@pytest.mark.parametrize("page", sorted(PAGES))
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 401),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 401),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({}, 401),
        ({"Referer": "http://testserver/dags"}, 200),
        ({"Referer": "http://testserver.evil.example/"}, 401),
        ({"Referer": "http://evil.example/http://testserver/"}, 401),
        ({"Sec-Fetch-Site": "none", "Authorization": "Bearer x"}, 401),
    ],
)
def test_the_session_cookie_opens_the_pages_for_this_site_alone(
    page: str, headers: dict[str, str], status: int
):
    with serving(user=None) as (client, _):
        answer = client.get(page, headers={"Cookie": f"a=b; _token={token('viewer')}", **headers})

    assert answer.status_code == status


@pytest.mark.parametrize("other", ['pref={"theme":"dark"}', "foo[bar]=1", "a b=c", "=x", "\u00e9=1"])
def test_a_cookie_of_another_app_does_not_hide_the_session(other: str):
    with serving(user=None) as (client, _):
        cookies = f"{other}; _token={token('viewer')}; last=1".encode()
        answer = client.get("/", headers={"Cookie": cookies, "Sec-Fetch-Site": "none"})  # type: ignore[dict-item]

    assert answer.status_code == 200


@pytest.mark.parametrize(("path", "reason"), [(RUN, "another_user"), ("/api?api=version", None)])
def test_who_is_to_act_as_somebody_else_does_nothing(path: str, reason: str | None):
    with serving(user=None) as (client, engine):
        for name, status in (("viewer", 401), ("vi%65wer", 401), ("", 401), ("%61dmin", 200), ("admin", 200)):
            answer = client.post(path, headers={**bearer("admin"), "X-Rest-Api-User": name})
            assert answer.status_code == status, (name, answer.text)
            if status == 401:
                assert engine.jobs == []
                if reason:
                    assert answer.json()["detail"]["reason"] == reason


SCRIPT = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
LEGACY = "/api?api=version"


def session(user: str = "admin", **headers: str) -> dict[str, str]:
    """Return the headers of a browser that is signed in."""
    return {"Cookie": f"_token={token(user)}", **headers}


def test_the_session_cookie_is_a_token_for_the_scripts_of_this_site():
    with serving(user=None) as (client, engine):
        assert client.get("/v2/commands", headers=session(**SCRIPT)).status_code == 200
        assert client.post(RUN, headers=session(**SCRIPT)).status_code == 200
        assert client.post(RUN, headers=session(Origin="http://testserver")).status_code == 200
        assert client.get("/v2/operations", headers=session(Referer="http://testserver/")).status_code == 200
        assert client.get(LEGACY, headers=session(**SCRIPT)).status_code == 200
        assert client.post(LEGACY, headers=session(Origin="http://testserver")).status_code == 200
        stale = client.post(RUN, headers={"Cookie": "_token=x.y.z", **SCRIPT})

    assert len(engine.jobs) == 2
    assert (stale.status_code, stale.json()["detail"]["reason"]) == (401, "invalid_token")


@pytest.mark.parametrize("scheme", ["Basic dTpw", "Digest username=u", "Negotiate YII=", "x"])
def test_what_a_proxy_has_asked_a_browser_for_does_not_end_its_session(scheme: str):
    """A browser sends it with every request from then on."""
    beside = {"Authorization": scheme}
    with serving(user=None) as (client, engine):
        opened = client.get("/", headers=session(**{"Sec-Fetch-Site": "none"}, **beside))
        ran = client.post(RUN, headers=session(**SCRIPT, **beside))
        legacy = client.get(LEGACY, headers=session(**SCRIPT, **beside))
        linked = client.get(LEGACY, headers=session(**beside))
        alone = client.get(LEGACY, headers=beside)

    assert [answer.status_code for answer in (opened, ran, legacy)] == [200, 200, 200]
    assert [answer.status_code for answer in (linked, alone)] == [422, 422]
    assert len(engine.jobs) == 1


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "bearer x", "BEARER\tx", "Bearer x y"])
def test_a_bearer_token_goes_before_the_cookie_be_it_none(header: str):
    with serving(user=None) as (client, engine):
        answers = [
            client.request(method, path, headers=session(**SCRIPT, Authorization=header))
            for method, path in (("POST", RUN), ("GET", "/v2/operations"), ("GET", LEGACY))
        ]

    assert all(answer.status_code in (401, 422) for answer in answers)
    assert engine.jobs == []


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("path", [LEGACY, "/api?api=trigger_dag&dag_id=x"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", **NAVIGATION},
        {"Sec-Fetch-Site": "same-site", **NAVIGATION},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "none", **NAVIGATION},
        {"Sec-Fetch-Site": "same-origin", **NAVIGATION},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Referer": "http://evil.example/"},
        {"Referer": "http://testserver/dags/with_an_image_in_its_description"},
        {},
    ],
)
def test_no_link_and_no_image_runs_anything_with_the_session_cookie(path: str, headers: dict[str, str]):
    with serving(user=None) as (client, engine):
        answer = client.get(path, headers=session(**headers))

    assert answer.status_code in (401, 403)
    assert engine.jobs == []


def test_an_address_that_was_typed_reads_nothing_but_pages():
    with serving(user=None) as (client, _):
        paths = ["/v2/commands", "/v2/operations", "/docs/", "/docs/x", "/openapi.json/", "/nothing"]
        typed = session(**{"Sec-Fetch-Site": "none"})
        assert {client.get(path, headers=typed).status_code for path in paths} == {401}
        assert {client.post(path, headers=typed).status_code for path in PAGES} == {401}


HTTP_TOKEN = {"rest_api_plugin_expected_http_token": "s3cret"}
NAME = "rest_api_plugin_http_token"


@pytest.mark.parametrize("path", ["/v2/commands", "/v2/operations", "/openapi.json", "/nothing", "/v2/run"])
@pytest.mark.parametrize(
    "sent",
    [
        [],
        [(NAME, "wrong")],
        [(NAME, "s3cret"), (NAME, "wrong")],
        [(NAME, "s3cret"), ("REST-API-plugin-http-token", "")],
    ],
)
def test_without_the_header_token_no_other_credentials_are_looked_at(path: str, sent: list[tuple[str, str]]):
    with serving(user=None, **HTTP_TOKEN) as (client, _):
        for credentials in ({}, bearer("admin"), {"Authorization": "Bearer x"}):
            answer = client.get(path, headers=[*sent, *credentials.items()])
            assert (answer.status_code, answer.json()["detail"]) == (
                403,
                {"reason": "header_token", "message": "Token Authentication Failed"},
            )


def test_the_header_token_comes_beside_a_token_of_airflows():
    with serving(user=None, **HTTP_TOKEN) as (client, engine):
        assert client.post(RUN, headers={NAME: "s3cret"}).status_code == 401
        assert client.post(RUN, headers={NAME: "s3cret", **bearer("viewer")}).status_code == 200
        assert client.get(LEGACY, headers={NAME: "s3cret", **bearer("viewer")}).status_code == 200
        refused = client.get(LEGACY, headers=bearer("viewer"))

    assert len(engine.jobs) == 1
    assert (refused.status_code, refused.json()["output"]) == (403, "Token Authentication Failed")
    assert refused.json()["status"] == "ERROR"


def test_the_pages_open_without_the_header_token():
    pages = ("/", "/docs", "/redoc")
    with serving(user=None, **HTTP_TOKEN) as (client, _):
        typed = session("viewer", **{"Sec-Fetch-Site": "none"})
        assert [client.get(path, headers=typed).status_code for path in pages] == [200, 200, 200]
        assert [client.get(path).status_code for path in pages] == [401, 401, 401]
        assert client.post("/docs", headers=typed).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "null"},
        {"Sec-Fetch-Site": "something-new"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_what_another_sites_page_sends_runs_nothing_even_with_a_token(headers: dict[str, str]):
    # With [core] simple_auth_manager_all_admins, Airflow adds an administrator's token to every request.
    with serving(user="admin") as (client, engine):
        answer = client.post(RUN, headers=headers, files={"a": b"b"})

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (403, "cross_site")
    assert engine.jobs == []


@pytest.mark.parametrize(
    "path", ["/v2/commands", "/v2/operations", LEGACY, "/api?api=pause&dag_id=x", "/nothing"]
)
@pytest.mark.parametrize(
    "referer",
    ["http://evil.example/page", "http://testserver.evil.example/", "https://[", "http://u@testserver/"],
)
def test_on_plain_http_no_link_and_no_image_on_another_sites_page_does_anything(path: str, referer: str):
    with serving(user="admin") as (client, engine):
        answer = client.get(path, headers={"Referer": referer})

    assert answer.status_code == 403
    assert engine.jobs == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_on_plain_http_a_link_on_another_sites_page_opens_pages(page: str):
    with serving(user="admin") as (client, _):
        assert client.get(page, headers={"Referer": "http://wiki.example/"}).status_code == 200
        scripted = {"Referer": "http://wiki.example/", "Origin": "http://wiki.example"}
        assert client.get(page, headers=scripted).status_code == 403


@pytest.mark.parametrize("referer", ["http://testserver/dags", "about:blank", "", "/dags", "dags"])
def test_a_referer_that_names_no_other_site_keeps_nobody_out(referer: str):
    with serving(user="admin") as (client, _):
        assert client.get("/v2/operations", headers={"Referer": referer}).status_code == 200
        assert client.post(RUN, headers={"Referer": referer}).status_code == 200


def test_this_site_and_the_origins_that_airflow_allows_are_let_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__API__ACCESS_CONTROL_ALLOW_ORIGINS", "https://portal.example")
    with serving(user="viewer") as (client, _):
        for headers in (
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"},
            {"Origin": "http://testserver"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://portal.example"},
        ):
            assert client.post(RUN, headers=headers).status_code == 200


def test_what_airflows_middlewares_found_out_does_not_count():
    from starlette.testclient import TestClient

    from tests.standin import make_app, prints

    app, _ = make_app(prints())

    async def signed_in(scope, receive, send):
        scope["state"] = {"user": object(), "rest_api_caller": object()}
        await app(scope, receive, send)

    assert TestClient(signed_in).get("/v2/commands").status_code == 401
    assert TestClient(signed_in).get("/v2/operations", headers=bearer("viewer")).json()["operations"] == []
