from __future__ import annotations

import gzip
import html
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_rest_api import __version__
from airflow_rest_api.web.page import ASK_AGAIN, FOLDER, FOREVER, load, page, read
from tests.standin import bearer, serving, token

ROOT = "/airflow/admin/rest_api"
BROWSER = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
PLACE = "/?view=commands&command=dags/trigger&a.dag_id=a%20b"


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


def test_what_airflow_would_pack_anew_each_time_is_packed_for_who_takes_that():
    with serving(user="viewer") as (client, _):
        for path in ("/static/vendor/swagger-ui.js", "/static/lib/api.js", "/openapi.json"):
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
        anonymous = client.get("/static/icon.svg")
        endpoints = client.get("/endpoints.json", headers=cookie)
        with_token = client.get("/endpoints.json", headers={**cookie, "x-token": "secret"})

    assert (answer.status_code, icon.status_code, anonymous.status_code) == (200, 200, 401)
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


ASSETS = load()
OURS = {name: asset.content.decode() for name, asset in ASSETS.files.items() if "vendor/" not in name}
SCRIPTS = {name: text for name, text in OURS.items() if name.endswith(".js")}
VIEWS = [
    name.removeprefix("views/").removesuffix(".js")
    for name in OURS
    if re.fullmatch(r"views/[a-z-]+\.js", name)
]


def test_a_file_at_the_address_of_this_version_is_kept_for_ever():
    asset, keep = ASSETS.find(f"{ASSETS.version}/main.js") or pytest.fail("not found")

    assert (asset.name, keep) == ("main.js", FOREVER)
    assert asset.content == (FOLDER / "main.js").read_bytes()


@pytest.mark.parametrize("path", ["main.js", "v0123456789ab/main.js"])
def test_a_file_at_any_other_address_is_asked_for_again(path: str):
    asset, keep = ASSETS.find(path) or pytest.fail("not found")

    assert (asset.name, keep) == ("main.js", ASK_AGAIN)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "lib",
        "nothing.js",
        "../assets.py",
        "vendor/../main.js",
        "/etc/passwd",
        "vx/main.js",
        "vendor/README.md",
    ],
)
def test_nothing_else_is_found(path: str):
    assert ASSETS.find(path) is None


def test_the_version_changes_with_any_file(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "b.css").write_text("2")
    (tmp_path / "c.txt").write_text("3")
    first = read(tmp_path)
    assert list(first.files) == ["a.js", "style.css"]

    (tmp_path / "b.css").write_text("22")
    second = read(tmp_path)

    assert second.version != first.version
    assert second.files["a.js"].etag == first.files["a.js"].etag
    assert second.files["style.css"].etag != first.files["style.css"].etag


REFERENCE = ("docs/", "vendor/swagger-ui", "vendor/redoc")
"""What is for the pages of the reference alone."""


def test_the_page_is_no_more_than_250_kilobytes_compressed_and_the_reference_one_megabyte():
    sizes = {name: len(gzip.compress(asset.content, 5)) for name, asset in ASSETS.files.items()}
    reference = {name: size for name, size in sizes.items() if name.startswith(REFERENCE)}
    assert sum(sizes.values()) - sum(reference.values()) < 250_000
    assert sum(reference.values()) < 1_000_000


def test_what_others_have_made_is_named_with_its_version_and_its_licence():
    vendor = FOLDER / "vendor"
    words = (vendor / "README.md").read_text()
    for name in ("preact", "htm", "swagger-ui", "redoc"):
        assert (vendor / f"LICENSE-{name}.txt").read_text().strip()
    for said in ("preact@", "htm@", "swagger-ui-dist@", "redoc@"):
        assert re.search(rf"{said}\d+\.\d+\.\d+", words), said
    for path in vendor.iterdir():
        assert f"`{path.name}`" in words or path.suffix == ".txt" or path.name == "README.md", path.name


def test_what_others_have_made_asks_nobody_else_and_starts_no_worker_from_a_blob():
    for name in ("vendor/redoc.js", "vendor/swagger-ui.js", "vendor/swagger-ui.css"):
        text = ASSETS.files[name].content.decode()
        assert not re.search(r"sourceMappingURL=(?!data:)", text)
        assert "cdn.redoc.ly" not in text
        assert not re.search(r"@import|url\(['\"]?https?:", text) or name.endswith(".js")
    redoc = ASSETS.files["vendor/redoc.js"].content.decode()
    assert "new Worker(document.body.dataset.worker" in redoc
    assert "new Worker(URL" not in redoc


def test_the_style_sheets_of_others_are_no_part_of_the_page():
    assert "swagger-ui" not in ASSETS.files["style.css"].content.decode()
    assert {"vendor/swagger-ui.css", "docs/docs.css"} <= set(ASSETS.files)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_import_leads_to_a_file(name: str):
    for target in re.findall(r"""(?:from|import)\s*\(?["']([^"']+)["']""", SCRIPTS[name]):
        assert target.startswith("."), target
        path = (FOLDER / name).parent.joinpath(target).resolve()
        assert path.relative_to(FOLDER).as_posix() in ASSETS.files, target


def test_the_modules_of_a_view_are_those_that_it_imports():
    services = ASSETS.modules("services")
    assert {"main.js", "views/services.js", "views/services/list.js", "parts/basic.js"} <= set(services)
    assert {"views/commands.js", "theme.js"}.isdisjoint(services)
    assert len(services) == len(set(services))
    assert ASSETS.modules("../none") == ASSETS.modules("commands")
    assert "views/command.js" not in ASSETS.modules("commands")
    assert {"views/command.js", "lib/arguments.js"} <= set(ASSETS.modules("commands", chosen=True))
    everything = set().union(*(ASSETS.modules(view, chosen=True) for view in VIEWS))
    others = {name for name in ASSETS.files if name.startswith(REFERENCE)} | {"theme.js"}
    assert everything == {name for name in ASSETS.files if name.endswith(".js")} - others


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_text_becomes_markup_and_nothing_comes_from_elsewhere(name: str):
    text = OURS[name]

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML", text
    )
    assert not re.search(r"\beval\(|new Function|javascript:", text)
    # Addresses: those of specifications in comments, and the name of SVG's elements.
    addresses = re.findall(
        r"https?://[\w.-]+", re.sub(r"/\*.*?\*/|^\s*(?://|\*).*$", "", text, flags=re.S | re.M)
    )
    assert set(addresses) <= {"http://www.w3.org"}
    assert not (name.endswith(".css") and re.search(r"@import|url\(", text))


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_module_can_be_read_in_one_sitting(name: str):
    assert OURS[name].count("\n") <= 260


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
