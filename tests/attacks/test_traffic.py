"""Requests that no proper client sends."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.attacks.conftest import BODY_TIMEOUT, raw, received
from tests.server.conftest import API, Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

INSIDE = ("Traceback", "site-packages", "airflow_rest_api/", "sqlalchemy", '.py"')


def head(client: Client, path: str, *more: str) -> bytes:
    lines = [
        f"POST {API}{path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {client.headers['Authorization']}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_body_that_does_not_arrive_is_given_up(attacked: Stack, admin: Client):
    began = time.monotonic()
    with raw(attacked) as connection:
        kind = ("Content-Type: application/json", "Content-Length: 1000")
        connection.sendall(head(admin, "/run", *kind))
        for _ in range(BODY_TIMEOUT * 10):
            try:
                connection.sendall(b" ")
            except OSError:
                break
            time.sleep(0.2)
            if time.monotonic() - began > BODY_TIMEOUT + 1:
                break
        said = received(connection)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert BODY_TIMEOUT - 1 < time.monotonic() - began < BODY_TIMEOUT + 60
    assert admin.get("/operations").status_code == 200


def test_a_slow_form_of_a_1x_client_is_given_up_too(attacked: Stack, admin: Client):
    with raw(attacked) as connection:
        request = head(
            admin, "/run", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 1000"
        )
        connection.sendall(request.replace(f"{API}/run".encode(), b"/admin/rest_api/api") + b"api=version")
        said = received(connection)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_ten_thousand_arguments_are_refused_at_once(admin: Client):
    began = time.monotonic()
    for count in (1001, 10_000, 10_001):
        answer = admin.line("dags", "list", *(["-v"] * count))
        assert answer.status_code == 400, answer.text
    many = {f"argument_{number}": "x" for number in range(10_000)}
    assert admin.command("dags/list", **many).status_code == 400
    assert time.monotonic() - began < 60


def test_deep_nesting_is_refused(admin: Client):
    deep = "[" * 100_000 + "]" * 100_000
    bodies = [
        deep,
        '{"conf": ' + deep + ', "dag_id": "attacked"}',
        '{"argv": ' + deep + "}",
        '{"a":' * 100_000,
    ]
    for body in bodies:
        for path in ("/run", "/commands/dags/trigger"):
            answer = admin.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400, answer.text[:200]


def test_a_form_of_a_hundred_thousand_fields_is_refused(admin: Client):
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(50_000)
    )
    began = time.monotonic()
    answer = admin.post(
        "/commands/dags/list",
        content=parts + b"--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )

    assert answer.status_code == 400
    assert time.monotonic() - began < 60


def test_two_files_for_one_argument_are_refused(admin: Client):
    files = [("file", ("a.json", "{}")), ("file", ("b.json", "{}"))]
    answer = admin.post("/commands/variables/import", files=files)

    assert answer.status_code == 400
    assert answer.json()["detail"]["argument"] == "file"


def test_an_argument_as_a_file_and_as_a_field_does_not_name_a_place(admin: Client):
    answer = admin.post(
        "/commands/variables/import", files={"file": ("a.json", "{}")}, data={"file": "/etc/passwd"}
    )

    assert answer.status_code in (200, 400)
    assert "/etc" not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        b"no boundary at all",
        b"--b\r\n\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n\xff\r\n--b--\r\n',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="argv"\r\n\r\n[',
        b"--b\r\n" + b"A" * 100_000,
    ],
)
def test_a_broken_form_is_the_clients_fault(admin: Client, content: bytes):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for path in ("/run", "/commands/variables/import"):
        answer = admin.post(path, content=content, headers=headers)
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\xff"]
)
def test_a_form_without_a_boundary_is_the_clients_fault(admin: Client, kind: str):
    headers = [(b"Content-Type", kind.encode("latin-1"))]
    answer = admin.post("/run", content=b"x", headers=httpx.Headers(headers))
    assert answer.status_code == 400, answer.text


def test_huge_headers_do_no_harm(attacked: Stack, admin: Client):
    for size in (70_000, 2_000_000):
        with raw(attacked) as connection:
            try:
                connection.sendall(head(admin, "/run", "X-Large: " + "a" * size, "Content-Length: 0"))
                said = received(connection)
            except OSError:
                said = b""
        assert not said.startswith(b"HTTP/1.1 5"), said[:100]
    assert admin.command("version").json()["state"] == "succeeded"


def test_no_answer_shows_the_inside(admin: Client, viewer: Client, legacy: httpx.Client):
    answers = [
        admin.get("/nothing"),
        admin.get("/commands/no/such"),
        admin.get("/operations/" + "0" * 32),
        admin.get("/operations", params={"limit": "many"}),
        admin.put("/run"),
        admin.post("/run", content=b"\xff\xfe", headers={"Content-Type": "application/json"}),
        admin.post("/run", content=b'{"argv": ["\\ud800"]}', headers={"Content-Type": "application/json"}),
        admin.command(
            "variables/set", key="\ud800".encode("utf-16", "surrogatepass").decode("latin-1"), value=1
        ),
        viewer.command("db/reset"),
        legacy.get("api", params={"api": "dag_state", "dag_id": "no_such_dag", "execution_date": "x" * 5000}),
        legacy.get("api", params={"api": "trigger_dag", "dag_id": "a\x00b"}),
        legacy.post("api", content=b"\xff{", headers={"Content-Type": "application/json"}),
        httpx.get(f"{legacy.base_url}api", headers={"Authorization": "Bearer a.b.c"}, timeout=120),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, (answer.request.url, answer.text)
        assert not any(word in answer.text for word in INSIDE), answer.text


def test_a_cookie_runs_nothing_for_a_page_of_another_site(attacked: Stack, admin: Client):
    cookie = {"Cookie": f"_token={attacked.token('admin')}"}
    base = f"{attacked.url}/admin/rest_api"
    sites = [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ]
    for site in sites:
        set_one = "api?api=variables&cmd=set&key=by_another_site&value=1"
        answer = httpx.get(f"{base}/{set_one}", headers={**cookie, **site}, timeout=120)
        assert answer.status_code in (401, 403), (site, answer.text)
        run = json.dumps({"argv": ["variables", "set", "by_another_site", "1"]})
        answer = httpx.post(f"{base}/v2/run", content=run, headers={**cookie, **site}, timeout=120)
        assert answer.status_code in (401, 403), (site, answer.text)
    assert admin.command("variables/get", key="by_another_site").json()["state"] == "failed"
