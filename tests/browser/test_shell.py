from __future__ import annotations

import http.server
import re
import statistics
import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, PLUGIN, violations
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

VIEWS = [
    "commands",
    "commands&command=dags/trigger",
    "operations",
    "services",
    "dag-files",
    "endpoints",
    "endpoints&api=connections",
]
FORM = "?view=commands&command=variables/get&a.key=my%20key"
SESSION_ENDED = "401 (Unauthorized)"

expect.set_options(timeout=PATIENCE)


def test_the_menu_entry_leads_to_a_command_whose_run_airflow_knows(visit: Visit, stack: Stack):
    visitor = visit(None)
    page = visitor.page
    page.goto(stack.url)
    visitor.sign_in("admin")
    page.get_by_role("button", name="Admin").click()
    page.get_by_role("menuitem", name="REST API").click()
    frame = page.frame_locator("iframe[title='REST API']")
    frame.get_by_role("searchbox").fill("trigger")
    frame.locator("a.entry", has_text="dags trigger").click()
    frame.get_by_label("dag_id").fill("example_template")
    frame.get_by_label("run_id").fill("by_browser")
    frame.get_by_role("button", name="Run", exact=True).click()
    expect(frame.locator("section.operation")).to_contain_text("succeeded")

    assert stack.get("dags/example_template/dagRuns/by_browser")["run_type"] == "manual"
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Open in Airflow").click()
    assert opened.value.url == f"{stack.url}/dags/example_template/runs/by_browser"
    expect(opened.value.get_by_text("by_browser").first).to_be_visible()


def test_loaded_anew_inside_airflow_the_page_is_where_it_was(visit: Visit, stack: Stack):
    page = visit().page
    page.goto(f"{stack.url}/plugin/rest-api")
    frame = page.frame_locator("iframe[title='REST API']")
    for command in ("dags list", "dags details"):
        frame.get_by_role("link", name=command, exact=True).click()
        expect(frame.get_by_role("heading", name=command)).to_be_visible()
    frame.get_by_label("dag_id").fill("example_slow")
    expect(page).to_have_url(re.compile("a.dag_id=example_slow"))
    page.reload()
    expect(frame.get_by_role("heading", name="dags details")).to_be_visible()
    expect(frame.get_by_label("dag_id")).to_have_value("example_slow")

    # The address of Airflow's page is as good for somebody else, and the way back is the same.
    other = visit("op").page
    other.goto(page.url)
    inside = other.frame_locator("iframe[title='REST API']")
    expect(inside.get_by_label("dag_id")).to_have_value("example_slow")
    inside.get_by_role("link", name="Operations").click()
    expect(inside.get_by_label("Command")).to_be_visible()
    other.evaluate("history.back()")
    expect(inside.get_by_label("dag_id")).to_have_value("example_slow")
    expect(other).to_have_url(re.compile("a.dag_id=example_slow"))

    # From the menu it opens at its beginning.
    other.get_by_test_id("nav-home-link").click()
    expect(other.locator("iframe[title='REST API']")).to_have_count(0)
    assert "view=" not in other.url
    other.get_by_role("button", name="Admin").click()
    other.get_by_role("menuitem", name="REST API").click()
    expect(inside.get_by_text("Every airflow command, from here")).to_be_visible()


def test_an_airflow_that_says_no_place_to_its_frame_still_leads_there(visit: Visit, stack: Stack):
    page = visit().page
    # As before Airflow 3.3, where the frame is always loaded without a place.
    page.goto(f"{stack.url}/plugin/rest-api?view=operations&command=version")
    frame = page.frame_locator("iframe[title='REST API']")

    expect(frame.get_by_label("Command")).to_have_value("version")


def test_the_icon_of_the_menu_entry_is_there(visit: Visit, stack: Stack):
    page = visit().page
    page.goto(stack.url)
    page.get_by_role("button", name="Admin").click()
    icon = page.get_by_role("menuitem", name="REST API").locator("img")

    expect(icon).to_be_visible()
    assert icon.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")


def test_light_and_dark_follow_airflow(visit: Visit, stack: Stack):
    visitor = visit(theme="light")
    page = visitor.open()
    theme = "() => document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "light"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.reload()
    assert page.evaluate(theme) == "light"

    page.goto(f"{stack.url}/plugin/rest-api")
    inside = page.frame_locator("iframe[title='REST API']").locator("html")
    expect(inside).to_have_attribute("data-theme", "light")
    page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(inside).to_have_attribute("data-theme", "dark")


class Elsewhere(http.server.BaseHTTPRequestHandler):
    target = ""

    def do_GET(self) -> None:
        content = f'<a href="{self.target}">open</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[str]:
    """The address of a page on another site, with a link to a command."""
    handler = type("Handler", (Elsewhere,), {"target": f"{stack.url}{PLUGIN}{FORM}"})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_link_from_another_site_opens_the_page_for_who_is_signed_in(visit: Visit, elsewhere: str):
    visitor = visit("viewer")
    visitor.allow(SESSION_ENDED)
    visitor.page.goto(elsewhere)
    visitor.page.get_by_role("link", name="open").click()

    expect(visitor.page.get_by_label("key")).to_have_value("my key")
    expect(visitor.page.locator(".user")).to_have_text("viewer")


def test_the_address_has_the_arguments_and_never_a_secret(visit: Visit):
    page = visit().open("?view=commands&command=connections/add")
    page.get_by_label("conn_id").fill("my/conn")
    page.get_by_label("conn_password").fill("pa55word")
    page.get_by_label("conn_host").fill("db.example.org")
    page.wait_for_url("**a.conn_host=**")
    address = page.url
    query = parse_qs(urlsplit(address).query)

    assert page.get_by_label("conn_password").get_attribute("type") == "password"
    assert query["a.conn_id"] == ["my/conn"]
    assert query["a.conn_host"] == ["db.example.org"]
    assert "pa55word" not in address
    assert "pa55word" not in page.content()

    page = visit().open("?view=commands&command=variables/set")
    page.get_by_label("value").fill("pa55word")
    page.get_by_label("key").fill("db_host")
    page.wait_for_url("**&a.key=db_host")
    assert "pa55word" not in page.url
    page.get_by_label("key").fill("db_password")
    expect(page.locator(".elsewhere")).not_to_contain_text("pa55word")
    assert "pa55word" not in page.url


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_view(visit: Visit, axe: str, theme: str):
    visitor = visit(theme=theme)
    found = {}
    for view in VIEWS:
        page = visitor.open(f"?view={view}")
        expect(page.locator(".loading")).to_have_count(0)
        found[view] = violations(page, axe)

    assert {view: what for view, what in found.items() if what} == {}


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_sticks_out_of_a_small_screen(visit: Visit, width: int):
    visitor = visit(width=width)
    wide = {}
    for view in VIEWS:
        page = visitor.open(f"?view={view}")
        expect(page.locator(".loading")).to_have_count(0)
        wide[view] = page.evaluate(
            "() => Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth,"
            " ...[...document.querySelectorAll('.page')].map(one => one.getBoundingClientRect().right))"
        )

    assert {view: most for view, most in wide.items() if most > width} == {}


WHEN_READY = """
new MutationObserver((_, watching) => {
  if ([...document.querySelectorAll("main a")].some((one) => one.textContent.startsWith("dags list"))) {
    window.readyAt = performance.now();
    watching.disconnect();
  }
}).observe(document, { childList: true, subtree: true });
"""


def test_the_first_view_is_small(visit: Visit, record_property: Callable[[str, str], None]):
    times = []
    for _ in range(5):
        visitor = visit()
        visitor.page.add_init_script(WHEN_READY)
        page = visitor.open()
        page.wait_for_function("() => window.readyAt")
        sizes, document, ready = page.evaluate(
            "() => { const [document] = performance.getEntriesByType('navigation');"
            " const all = [document, ...performance.getEntriesByType('resource')];"
            " return [all.map(one => one.transferSize), document.responseEnd, readyAt]; }"
        )
        times.append(ready - document)
        assert 10_000 < sum(sizes) < 250_000
    record_property(
        "measured",
        f"The first view of the page: {statistics.median(times):.0f} ms after the document (median of "
        f"{len(times)}), {len(sizes)} requests, {sum(sizes) / 1000:.0f} kB",
    )


def test_the_page_works_by_the_keyboard_alone(visit: Visit):
    page = visit().open()
    expect(page.get_by_role("link", name="dags list", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("variables get")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="variables get")).to_be_visible()
    page.get_by_label("key").focus()
    page.keyboard.type("no_such_variable")
    page.keyboard.press("Enter")

    expect(page.locator("section.operation")).to_contain_text("failed")
    page.go_back()
    expect(page.get_by_role("heading", name="variables get")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("view", VIEWS)
def test_a_server_that_is_busy_is_told_of_and_asked_again(visit: Visit, view: str, width: int):
    visitor = visit(width=width)
    visitor.allow("503")
    busy = {"detail": {"reason": "overloaded", "message": "Too much to do."}}
    visitor.context.route(
        re.compile(r"/v2/|/endpoints\.json"), lambda route: route.fulfill(status=503, json=busy)
    )
    page = visitor.open(f"?view={view}")

    expect(page.get_by_text("Too much to do.").first).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    visitor.context.unroute_all()
    expect(page.get_by_text("Too much to do.")).to_have_count(0)
    expect(page.locator(".loading")).to_have_count(0)


@pytest.mark.parametrize(("view", "path"), [("runners", "/v2/runners"), ("services", "/v2/services")])
def test_who_may_not_see_a_list_that_renews_itself_is_refused_once(visit: Visit, view: str, path: str):
    """Each refusal can be a row of Airflow's audit log, and a tab stays open for days."""
    visitor = visit()
    visitor.allow("403")
    visitor.tell(queues=["dags"])
    asked: list[str] = []
    refused = {"detail": {"reason": "forbidden", "message": "Not for you."}}

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=403, json=refused)

    visitor.context.route(re.compile(f"{path}$"), refuse)
    visitor.page.clock.install()
    page = visitor.open(f"?view={view}")
    expect(page.get_by_text("Not for you.").first).to_be_visible()
    page.clock.run_for(60_000)
    page.get_by_text("Not for you.").first.wait_for()

    assert len(asked) == 1


def test_a_file_that_is_dropped_beside_its_field_does_not_take_the_place_of_the_page(visit: Visit):
    page = visit().open("?view=commands&command=variables/import")
    dropped = """(selector) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["{}"], "beside.json"));
        const how = { dataTransfer, bubbles: true, cancelable: true };
        const all = ["dragover", "drop"].map((kind) => new DragEvent(kind, how));
        all.forEach((event) => document.querySelector(selector).dispatchEvent(event));
        return all.every((event) => event.defaultPrevented);
    }"""
    expect(page.locator(".drop")).to_be_visible()
    assert page.evaluate(dropped, "h2")
    expect(page.get_by_text("beside.json")).to_have_count(0)
    assert page.evaluate(dropped, ".drop")
    expect(page.locator(".drop .files")).to_contain_text("beside.json")


def test_a_file_is_saved_inside_of_an_airflow_whose_frame_may_save_nothing(visit: Visit, stack: Stack):
    page = visit().page
    page.goto(f"{stack.url}/plugin/rest-api?view=commands&command=pools/export")
    frame = page.frame_locator("iframe[title='REST API']")
    button = frame.get_by_role("button", name="Run", exact=True)
    expect(button).to_be_visible()
    # As before Airflow 3.3; it counts for what is loaded from then on.
    within = """frame => {
        frame.sandbox.remove("allow-downloads");
        frame.contentWindow.location.reload();
    }"""
    with page.expect_request("**/v2/commands/pools/export"):
        page.locator("iframe[title='REST API']").evaluate(within)
    button.click()
    with page.expect_download() as file:
        frame.locator(".downloads a").click()
    with page.expect_download() as output:
        frame.get_by_role("button", name="stdout", exact=True).click()

    assert "default_pool" in file.value.path().read_text()
    assert output.value.suggested_filename.endswith(".stdout.txt")
