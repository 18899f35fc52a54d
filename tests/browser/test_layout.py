"""How every view fits its window: the page never scrolls, nothing is cut, nothing lies over another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Frame, Locator, Page, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.geometry import faults
from tests.browser.visitor import PATIENCE, PLUGIN, Visitor
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)

FILE = """
from airflow.sdk import DAG, task

with DAG("{dag}", schedule=None, tags=["layout"]):

    @task
    def say_{dag}():
        print({text!r} * 20)

    say_{dag}()
"""
FOLDER = "a_folder_with_a_long_name/and_one_within"
WIDE = "a text that is long enough to go beyond any window " * 4


WIDTHS = (1280, 768, 390)


@dataclass(frozen=True)
class Made:
    """What there is to see: operations by what they show, and a file that was deployed twice."""

    table: str
    output: str
    failed: str
    checked: str
    file: str


@pytest.fixture(scope="module")
def made(stack: Stack) -> Made:
    with warm(stack) as client:
        return make(client)


def make(client: Client) -> Made:
    """Run what the views show."""
    file = f"{FOLDER}/layout_file_with_a_long_name.py"
    for text in ("one", "another"):
        checked = deploy(client, file, text)
    client.command("variables/set", key="layout_variable", value=json.dumps({"text": WIDE}))
    return Made(
        table=client.command("dags/list").json()["id"],
        output=client.command("variables/get", key="layout_variable").json()["id"],
        failed=client.command("variables/get", key=f"no such variable: {WIDE}").json()["id"],
        checked=checked,
        file=file,
    )


def deploy(client: Client, file: str, text: str) -> str:
    """Deploy a version of a file; return the operation's id."""
    folder, _, name = file.rpartition("/")
    answer = client.post(
        "/dag-files",
        files={"file": (name, FILE.format(dag="layout", text=text).encode())},
        data={"folder": folder, "overwrite": "true"},
        headers={"Prefer": "wait=110"},
    )
    assert answer.json()["state"] == "succeeded", answer.text
    return str(answer.json()["id"])


Sight = Callable[[Page | Frame], Locator]
"""Goes to what is to be seen, from where the address leads; returns what is there then."""


def sights(made: Made) -> dict[str, tuple[str, Sight]]:
    """Return all that the page can show, with the address that leads there."""

    def tab(name: str, then: str) -> Sight:
        def choose(page: Page | Frame) -> Locator:
            page.get_by_role("tab", name=name, exact=True).click()
            return page.locator(then).first

        return choose

    def at(selector: str) -> Sight:
        return lambda page: page.locator(selector).first

    def started(page: Page | Frame) -> Locator:
        page.get_by_role("button", name="Start a component").click()
        form = page.get_by_role("dialog", name="Start a component")
        form.get_by_label("Component", exact=True).select_option("triggerer")
        return form.get_by_label("capacity")

    def component(page: Page | Frame) -> Locator:
        page.get_by_role("list", name="Components").get_by_role(
            "link", name=re.compile("DAG processor")
        ).click()
        return page.get_by_text("It was not started here")

    def asked(page: Page | Frame) -> Locator:
        page.get_by_role("button", name="Run", exact=True).click()
        return page.get_by_role("dialog").get_by_role("button").first

    def more(page: Page | Frame) -> Locator:
        page.get_by_text("More filters").click()
        return page.get_by_label("Came by")

    def wrong(page: Page | Frame) -> Locator:
        page.get_by_role("button", name="Run", exact=True).click()
        return page.locator(".field-error").first

    file = f"?view=dag-files&path={made.file}"
    operation = "?view=operations&id="
    return {
        "commands": ("", at("a.entry")),
        "commands by a word": ("?view=commands&q=environment", at("a.entry")),
        "a command": ("?view=commands&command=dags/trigger", at("form.command-form")),
        "a command with faults": ("?view=commands&command=connections/add", wrong),
        "a command of many words": ("?view=commands&command=backfill/create", at("form.command-form")),
        "a command that is off": ("?view=commands&command=db/clean", at("form.command-form")),
        "a question": (
            f"?view=commands&command=tasks/render&a.dag_id=example_template&a.task_id={'greet' * 20}"
            "&a.logical_date_or_run_id=2024-01-01",
            asked,
        ),
        "endpoints": ("?view=endpoints", at("a.entry, .panes.chosen")),
        "an endpoint": ("?view=endpoints&api=connections", at("form")),
        "operations": ("?view=operations", at(".pick, .table tbody tr")),
        "operations with more filters": ("?view=operations&command=variables%20get", more),
        "a table": (operation + made.table, at(".table tbody td")),
        "an output": (operation + made.output, tab("Output", ".log-row")),
        "a failure": (operation + made.failed, at(".log-row")),
        "a deployment": (operation + made.checked, at(".report-files")),
        "services": ("?view=services", at(".pick")),
        "a component": ("?view=services", component),
        "the start of a component": ("?view=services", started),
        "files and the form to deploy": ("?view=dag-files", at(".pick, .drop")),
        "the form to deploy": ("?view=dag-files&show=deploy", at(".drop")),
        "deployments": ("?view=dag-files&show=deployments", at(".versions summary")),
        "a file": (file, at(".log-row")),
        "the history of a file": (file, tab("History", ".diff-line")),
    }


def settled(page: Page | Frame) -> None:
    """Wait until nothing is loading and nothing moves."""
    expect(page.locator(".loading")).to_have_count(0)
    page.evaluate(
        "() => Promise.all(document.getAnimations().filter(one => one.effect.getTiming().iterations === 1)"
        ".map(one => one.finished.catch(() => {})))"
    )
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def opened(visitor: Visitor, query: str, framed: bool) -> Page | Frame:
    """Open a view, in Airflow's own page if it is to be framed."""
    if not framed:
        return visitor.open(query)
    if "/plugin/" not in visitor.page.url:
        visitor.page.goto(f"{visitor.stack.url}/plugin/rest-api")
    frame = visitor.page.wait_for_selector("iframe[title='REST API']").content_frame()
    assert frame is not None
    # The frame alone: Airflow's page takes longer than ours.
    frame.goto(f"{visitor.stack.url}{PLUGIN}{query}")
    frame.locator("main h1").first.wait_for(state="attached")
    return frame


def turned(visitor: Visitor, page: Page | Frame) -> None:
    """Turn the wheel over what there is, at the left and at the right."""
    inside, whole = page.evaluate("[innerWidth, innerHeight]"), visitor.page.viewport_size
    assert whole is not None
    for share in (0.1, 0.9):
        visitor.page.mouse.move(whole["width"] - inside[0] * (1 - share), whole["height"] - inside[1] * 0.3)
        visitor.page.mouse.wheel(0, 700)
    # Until what scrolls has come to its place.
    page.evaluate(
        "async () => { for (let still = 0, before = null; still < 3;) {"
        " await new Promise(requestAnimationFrame);"
        " const now = [...document.querySelectorAll('*')].map(one => one.scrollTop).join();"
        " still = now === before ? still + 1 : 0; before = now; } }"
    )


def seen(visitor: Visitor, page: Page | Frame) -> list[str]:
    """Return what is wrong at each width, before a turn of the wheel and after it."""
    found = []
    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 800})
        settled(page)
        found += [f"{width}: {one}" for one in faults(page)]
        turned(visitor, page)
        found += [f"{width}, after the wheel: {one}" for one in faults(page)]
    return found


@pytest.mark.parametrize("framed", [False, True], ids=["alone", "framed"])
def test_every_view_fits_its_window(visit: Visit, made: Made, framed: bool):
    visitor = visit()
    found = {}
    for name, (query, go) in sights(made).items():
        visitor.page.set_viewport_size({"width": 1280, "height": 800})
        page = opened(visitor, query, framed)
        expect(go(page)).to_be_visible()
        found[name] = seen(visitor, page)

    assert {name: said for name, said in found.items() if said} == {}


def test_who_may_little_sees_all_commands_within_the_window(visit: Visit):
    visitor = visit("viewer")
    page = visitor.open("?view=commands&command=db/clean")
    expect(page.locator(".entry-lock").first).to_be_visible()
    expect(page.locator("form.command-form")).to_be_visible()
    settled(page)
    turned(visitor, page)

    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    assert faults(page) == []


def test_names_of_any_length_stay_within_the_window(visit: Visit, stack: Stack):
    with warm(stack) as client:
        exported = client.command("variables/export", file="v" * 90 + ".json").json()["id"]
        triggered = client.command("dags/trigger", dag_id="example_template").json()["id"]
    visitor = visit(width=390)
    task = {"task_id": "t" * 200, "map_index": -1, "try_number": 1, "state": "failed"}
    tasks = {"task_instances": [task], "total_entries": 1}
    visitor.context.route(
        re.compile(r"/api/v2/dags/[^/]+/dagRuns/[^/?]+$"),
        lambda route: route.fulfill(json={"state": "failed"}),
    )
    visitor.context.route(re.compile("/taskInstances"), lambda route: route.fulfill(json=tasks))

    for identifier, shown in ((exported, ".downloads .button"), (triggered, ".failed-task .button")):
        page = visitor.open(f"?view=operations&id={identifier}")
        expect(page.locator(shown).first).to_be_visible()
        settled(page)
        assert [one for one in faults(page) if "sideways" in one] == []


@pytest.mark.parametrize(
    ("style", "said"),
    [
        (".scroll, .entry, .view { position: static } .scroll .away { top: auto }", "scrolls down"),
        (".head { margin-top: -30px }", "head is away"),
        (".entry-name { max-width: 30px; overflow: hidden; white-space: nowrap }", "is cut at the side"),
        (".entry { max-height: 14px; min-height: 0; overflow: hidden }", "is cut in height"),
        (".tiles { gap: 0; grid-auto-rows: 12px }", "lies over"),
        (".pane-list::after { content: ''; position: absolute; inset: 0 }", "cannot be clicked"),
        (".page { min-width: 2000px }", "scrolls sideways"),
        (".head .brand { width: 40px; overflow-wrap: anywhere; white-space: normal }", "breaks a word"),
        (".scroll { scrollbar-width: none }", "is cut in height"),
    ],
)
def test_the_look_at_a_view_finds_what_is_wrong_with_it(visit: Visit, style: str, said: str):
    page = visit().open()
    expect(page.locator("a.entry").first).to_be_visible()
    settled(page)
    page.evaluate(
        "style => { const sheet = new CSSStyleSheet(); sheet.replaceSync(style);"
        " document.adoptedStyleSheets = [sheet]; }",
        f"html, body {{ overflow: visible !important }} {style}",
    )

    assert any(said in one for one in faults(page))
