from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.standin import serving, token

BROWSER = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
ROOT = "/airflow/admin/rest_api"
PLACE = "/?view=commands&command=dags/trigger&a.dag_id=a%20b"


@pytest.mark.parametrize("cookie", ["", "_token=x.y.z", f"_token={token('viewer', seconds=-100)}"])
def test_who_is_not_signed_in_is_led_to_airflows_login_and_back_to_the_same_place(cookie: str):
    with serving(user=None, root_path=ROOT) as (client, _):
        answer = client.get(PLACE, headers={**BROWSER, "Sec-Fetch-Site": "none", "Cookie": cookie})
    login = urlsplit(answer.headers["Location"])

    assert (answer.status_code, login.netloc, login.path) == (307, "", "/airflow/api/v2/auth/login")
    assert parse_qs(login.query)["next"] == [ROOT + PLACE]
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_prefix_the_login_is_at_the_root():
    with serving(user=None, root_path="/admin/rest_api") as (client, _):
        answer = client.get("/docs", headers=BROWSER)

    assert answer.headers["Location"] == "/api/v2/auth/login?next=%2Fadmin%2Frest_api%2Fdocs"


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/", "*/*"),
        ("GET", "/", "application/json"),
        ("GET", "/openapi.json", BROWSER["Accept"]),
        ("GET", "/v2/commands", BROWSER["Accept"]),
        ("GET", "/static/main.js", BROWSER["Accept"]),
        ("POST", "/", BROWSER["Accept"]),
    ],
)
def test_a_program_is_told_what_is_missing(method: str, path: str, accept: str):
    with serving(user=None) as (client, _):
        answer = client.request(method, path, headers={"Accept": accept})

    assert answer.status_code == 401
    assert answer.json()["detail"]["reason"] == "not_authenticated"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_leads_to_the_page_over_one_of_our_own(site: str):
    headers = {**BROWSER, "Cookie": f"_token={token('viewer')}", "Sec-Fetch-Site": site}
    with serving(user=None, root_path=ROOT) as (client, _):
        hop = client.get(PLACE, headers=headers)
        headers["Cookie"] += "; rest_api_hop=1"
        tried = client.get(PLACE, headers=headers)

    assert hop.status_code == 401
    assert f'content="0;url={ROOT}/?view=commands&amp;command=dags/trigger&amp;a.dag_id=a%20b"' in hop.text
    assert "default-src 'none'" in hop.headers["Content-Security-Policy"]
    assert "HttpOnly" in hop.headers["Set-Cookie"]
    # Once only: a browser that still says the same would go round for ever.
    assert tried.status_code == 307


def test_an_address_typed_on_plain_http_leads_there_as_well():
    headers = {"Accept": "text/html", "Cookie": f"_token={token('viewer')}"}
    with serving(user=None, root_path=ROOT) as (client, _):
        hop = client.get(PLACE, headers=headers)
        headers["Referer"] = f"http://testserver{ROOT}{PLACE}"
        page = client.get(PLACE, headers=headers)

    assert (hop.status_code, page.status_code) == (401, 200)
    assert "refresh" in hop.text


def test_a_frame_on_another_site_is_led_nowhere():
    headers = {
        **BROWSER,
        "Sec-Fetch-Dest": "iframe",
        "Cookie": f"_token={token('viewer')}",
        "Sec-Fetch-Site": "cross-site",
    }
    with serving(user=None, root_path=ROOT) as (client, _):
        answer = client.get("/", headers=headers)

    assert "refresh" not in answer.text
    assert answer.status_code == 307


def test_an_address_cannot_write_into_the_hop():
    headers = {**BROWSER, "Cookie": f"_token={token('viewer')}", "Sec-Fetch-Site": "cross-site"}
    with serving(user=None, root_path=ROOT) as (client, _):
        answer = client.get('/?x="><script>alert(1)</script>', headers=headers)

    assert "<script>" not in answer.text
