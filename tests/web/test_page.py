from __future__ import annotations

import html
import json
import re

import pytest

from airflow_rest_api import __version__
from airflow_rest_api.web.assets import load
from airflow_rest_api.web.page import page
from tests.standin import bearer, serving, token

ROOT = "/airflow/admin/rest_api"


def facts_of(text: str) -> dict[str, object]:
    found = re.search(r'data-facts="([^"]*)"', text)
    assert found
    made: dict[str, object] = json.loads(html.unescape(found[1]))
    return made


def test_the_page_says_where_it_is_and_who_is_signed_in():
    with serving(user="viewer", root_path=ROOT) as (client, _):
        answer = client.get("/")
    facts = facts_of(answer.text)

    assert answer.status_code == 200
    assert (facts["root"], facts["airflow"]) == (ROOT, "/airflow")
    assert facts["login"] == "/airflow/api/v2/auth/login"
    assert (facts["user"], facts["version"], facts["header_token"]) == ("viewer", __version__, None)


def test_the_page_runs_and_loads_what_is_its_own_and_nothing_else():
    with serving(user="viewer", root_path=ROOT) as (client, _):
        answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)
    assert re.findall(r"<script(?![^>]* src=)", answer.text) == []
    for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert address.startswith(f"{ROOT}/static/") or address == "openapi.json", address


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_reference_runs_and_loads_what_is_its_own_and_nothing_else(path: str):
    with serving(user="viewer", root_path=ROOT) as (client, _):
        answer, page = client.get(path), client.get("/")
        addresses = re.findall(rf'(?:src|href)="{ROOT}(/static/[^"]+)"', answer.text)
        files = [client.get(address) for address in addresses]
    policy = answer.headers["Content-Security-Policy"]
    of_page = page.headers["Content-Security-Policy"]

    # Hashes of style sheets are all that ReDoc needs more.
    assert re.sub(r" 'sha256-[^']+'", "", policy) == of_page
    assert (policy == of_page) == (path == "/docs")
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)
    assert re.findall(r"<script(?![^>]* src=)", answer.text) == []
    for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert address.startswith(f"{ROOT}/static/") or address in ("./", "docs", "redoc", "openapi.json")
    assert len(files) > 4
    assert {file.status_code for file in files} == {200}
    assert all("immutable" in file.headers["Cache-Control"] for file in files)


def test_a_host_header_cannot_write_into_the_reference():
    with serving(user="viewer") as (client, _):
        for path in ("/docs", "/redoc"):
            text = client.get(path, headers={"Host": "x<script>alert(1)</script>"}).text
            assert "alert(1)" not in text


def test_large_files_and_the_document_are_packed_for_who_takes_that():
    with serving(user="viewer") as (client, _):
        for path in ("/static/vendor/swagger-ui.js", "/openapi.json"):
            packed = client.get(path, headers={"Accept-Encoding": "gzip, br"})
            plain = client.get(path, headers={"Accept-Encoding": "identity"})
            assert packed.headers["Content-Encoding"] == "gzip"
            assert "Content-Encoding" not in plain.headers
            assert packed.content == plain.content
            assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
            assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


def test_every_file_that_the_page_names_is_served():
    with serving(user="viewer", root_path=ROOT) as (client, _):
        text = client.get("/?view=commands&command=dags/list").text
        addresses = re.findall(rf'(?:src|href)="{ROOT}(/static/[^"]+)"', text)
        answers = {address: client.get(address) for address in addresses}

    assert len(answers) > 20
    assert {answer.status_code for answer in answers.values()} == {200}
    assert all("immutable" in answer.headers["Cache-Control"] for answer in answers.values())
    assert all(answer.headers["X-Content-Type-Options"] == "nosniff" for answer in answers.values())


def test_the_page_names_the_modules_of_what_it_will_show():
    def named(query: str) -> set[str]:
        return set(re.findall(r'"modulepreload" href="[^"]*/(views/[^"]+)"', client.get(f"/{query}").text))

    with serving(user="viewer", root_path=ROOT) as (client, _):
        assert named("") == named("?view=none") == {"views/commands.js"}
        assert {"views/commands.js", "views/command.js"} <= named("?view=commands&command=dags/list")
        assert {"views/services.js", "views/services/list.js"} <= named("?view=services")


def test_what_is_told_to_the_page_cannot_leave_its_attribute():
    facts = {"root": "/x", "user": '"><script>alert(1)</script>'}
    text = page(load(), facts)

    assert "<script>alert" not in text
    assert facts_of(text) == facts


def test_a_file_that_the_browser_has_is_not_sent_again():
    with serving(user="viewer") as (client, _):
        first = client.get("/static/icon.svg")
        again = client.get("/static/icon.svg", headers={"If-None-Match": first.headers["ETag"]})
        other = client.get("/static/icon.svg", headers={"If-None-Match": '"other"'})

    assert (first.status_code, first.headers["Content-Type"]) == (200, "image/svg+xml")
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path", ["x.js", "..%2fassets.py", "%2e%2e/assets.py", "vendor/README.md", "lib", ""]
)
def test_no_other_file_is_served(path: str):
    with serving(user="viewer") as (client, _):
        assert client.get(f"/static/{path}").status_code == 404


@pytest.mark.slow
def test_the_page_and_its_files_need_no_header_token_and_the_endpoints_do():
    cookie = {"Cookie": f"_token={token('viewer')}", "Sec-Fetch-Site": "same-origin"}
    option = {
        "rest_api_plugin_expected_http_token": "secret",
        "rest_api_plugin_http_token_header_name": "x_token",
    }
    with serving(user=None, **option) as (client, _):
        answer = client.get("/", headers=cookie)
        icon = client.get("/static/icon.svg", headers=cookie)
        nobody = client.get("/static/icon.svg")
        endpoints = client.get("/endpoints.json", headers=cookie)
        with_token = client.get("/endpoints.json", headers={**cookie, "x-token": "secret"})

    assert (answer.status_code, icon.status_code, nobody.status_code) == (200, 200, 401)
    assert (endpoints.status_code, with_token.status_code) == (403, 200)
    assert facts_of(answer.text)["header_token"] == "x-token"
    assert "secret" not in answer.text


def test_a_static_file_is_no_way_around_the_session():
    with serving(user=None) as (client, _):
        stranger = client.get("/static/icon.svg", headers={"Sec-Fetch-Site": "same-origin"})
        elsewhere = client.get(
            "/static/icon.svg",
            headers={"Cookie": f"_token={token('viewer')}", "Sec-Fetch-Site": "cross-site"},
        )
        known = client.get("/static/icon.svg", headers=bearer("viewer"))

    assert (stranger.status_code, elsewhere.status_code, known.status_code) == (401, 403, 200)
