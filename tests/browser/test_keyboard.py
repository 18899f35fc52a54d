"""The page by keys alone: few stops of Tab, arrows in each list, and the focus where one goes on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)

MOST = 26
"""Stops of Tab until the end of a view that no form makes longer."""
FOCUSED = """() => {
    const one = document.activeElement, box = one.getBoundingClientRect();
    const style = getComputedStyle(one.matches('.switch input') ? one.nextElementSibling
                                   : one.matches('.drop input') ? one.parentElement : one);
    return { name: one.innerText || one.getAttribute('aria-label') || one.id || one.tagName,
             list: one.matches('a.entry, a.pick, a.tile, .table a'), body: one === document.body,
             shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
             inside: box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight };
}"""
LISTS = {
    "commands": "a.entry",
    "endpoints": "a.entry",
    "operations": "a.pick, .operations-table a",
    "services": "a.pick",
    "dag-files": "a.pick",
}


@pytest.fixture(scope="module", autouse=True)
def operations(stack: Stack) -> None:
    """Some operations, so that there is a list of them."""
    with warm(stack) as client:
        for command in ("dags/list", "version", "variables/list", "pools/list"):
            client.command(command)


def items(page: Page, view: str) -> Locator:
    found = page.locator(f":is({LISTS[view]})")
    # There is one component alone.
    expect(found.nth(0 if view == "services" else 2)).to_be_visible()
    return found


def into_list(page: Page, view: str) -> None:
    """Press Tab until an item of the list has the focus."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", LISTS[view]):
            return
    raise AssertionError(f"The list is no stop within {MOST}")


@pytest.mark.parametrize("view", LISTS)
def test_a_list_is_one_stop_of_tab_and_what_has_the_focus_can_be_seen(visit: Visit, view: str):
    page = visit().open(f"?view={view}")
    items(page, view)
    expect(page.locator(".loading")).to_have_count(0)
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop["body"] or (stops and stop == stops[0]):
            break
        stops.append(stop)

    assert len(stops) <= MOST, [stop["name"] for stop in stops]
    assert [stop["name"] for stop in stops if not (stop["shown"] and stop["inside"])] == []
    # One for the list; beside it there may be the tiles to begin with, or a table of the view's own.
    assert 1 <= sum(stop["list"] for stop in stops) <= 3


@pytest.mark.parametrize("view", [view for view in LISTS if view != "services"])
def test_arrows_home_end_and_letters_go_through_a_list(visit: Visit, view: str):
    page = visit().open(f"?view={view}")
    found = items(page, view)
    into_list(page, view)
    expect(found.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(found.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(found.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(found.last).to_be_focused()
    expect(found.last).to_be_in_viewport()
    page.keyboard.press("ArrowDown")
    expect(found.last).to_be_focused()
    page.keyboard.press("Home")
    expect(found.first).to_be_focused()

    # There and back by Tab it is where it was left.
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(found.nth(1)).to_be_focused()


def test_letters_lead_to_the_next_item_that_begins_with_them(visit: Visit):
    page = visit().open("?view=commands")
    items(page, "commands")
    into_list(page, "commands")
    page.keyboard.type("var")
    expect(page.locator("a.entry", has_text="variables delete")).to_be_focused()
    page.wait_for_timeout(800)
    page.keyboard.type("d")
    expect(page.locator(":focus")).to_contain_text(re.compile("^d", re.IGNORECASE))


def test_slash_goes_to_the_search_from_a_switch(visit: Visit):
    page = visit().open("?view=commands&command=dags/list")
    page.get_by_label("local").focus()
    page.keyboard.press("/")
    expect(page.get_by_label("Search the commands")).to_be_focused()


def test_enter_in_the_list_goes_to_the_form_and_escape_back(visit: Visit):
    page = visit().open("?view=commands")
    items(page, "commands")
    page.keyboard.press("/")
    page.keyboard.type("dags trigger")
    page.keyboard.press("ArrowDown")
    entry = page.locator("a.entry", has_text="dags trigger")
    expect(entry).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("dag_id")).to_be_focused()
    page.keyboard.type("example_slow")
    page.keyboard.press("Escape")
    expect(entry).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_be_focused()

    # From the search with Enter alone, and to a command without fields.
    page.keyboard.press("Control+a")
    page.keyboard.type("variables get")
    page.keyboard.press("Enter")
    expect(page.get_by_label("key")).to_be_focused()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("link", name="jobs check", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("form.command-form :focus")).to_have_count(1)


@pytest.mark.parametrize("view", ["endpoints", "operations", "services", "dag-files"])
def test_enter_in_any_list_goes_to_what_was_chosen_and_escape_back(visit: Visit, view: str):
    page = visit().open(f"?view={view}")
    items(page, view)
    into_list(page, view)
    page.keyboard.press("ArrowDown")
    chosen = page.locator(":focus")
    address = chosen.get_attribute("href")
    assert address is not None
    page.keyboard.press("Enter")
    expect(page.locator(".pane-detail :focus")).to_have_count(1)
    if view == "endpoints":
        expect(page.locator(".pane-detail form :focus")).to_have_count(1)
    else:
        expect(page.locator(".pane-detail h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(f'.pane-list a[href="{address}"]')).to_be_focused()


def test_on_a_narrow_window_escape_leads_back_to_the_list_and_to_what_was_chosen(visit: Visit):
    page = visit(width=390).open("?view=commands")
    items(page, "commands")
    into_list(page, "commands")
    page.keyboard.type("dags t")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="dags test")).to_be_visible()
    expect(page.locator("form.command-form :focus")).to_have_count(1)
    page.keyboard.type("example_slow")
    # What an input method takes for itself.
    page.locator(":focus").dispatch_event("keydown", {"key": "Escape", "isComposing": True})
    expect(page.locator("form.command-form :focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".pane-detail")).to_be_focused()
    expect(page.get_by_label("dag_id")).to_have_value("example_slow")
    page.keyboard.press("Escape")

    expect(page.locator("a.entry", has_text="dags test")).to_be_focused()


def test_escape_leads_from_an_operation_to_its_entry_and_to_its_row_in_the_table(visit: Visit):
    page = visit().open("?view=operations")
    items(page, "operations")
    into_list(page, "operations")
    page.keyboard.press("ArrowDown")
    address = page.locator(":focus").get_attribute("href")
    page.keyboard.press("Enter")
    expect(page.locator(".pane-detail h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(f'a.pick[href="{address}"]')).to_be_focused()
    page.keyboard.press("Escape")

    expect(page.locator(f'.operations-table a[href="{address}"]')).to_be_focused()


def test_the_skip_link_leads_behind_the_list(visit: Visit):
    page = visit().open("?view=commands&command=dags/details")
    expect(page.get_by_label("dag_id")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".pane-detail")).to_be_focused()
    page.keyboard.press("Tab")

    expect(page.get_by_label("dag_id")).to_be_focused()


PRESS = """async keys => {
    for (const key of keys) {
        const event = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
        document.activeElement.dispatchEvent(event);
    }
    for (let frame = 0; frame < 10; frame += 1) await new Promise(requestAnimationFrame);
}"""
"""All in one task of the page: nothing is rendered in between, but what comes late has come in the end."""


def test_a_long_list_of_files_is_gone_through_by_keys(visit: Visit, stack: Stack):
    folder = stack.dags / "many"
    folder.mkdir()
    try:
        for number in range(300):
            (folder / f"part_{number:03}.py").write_text("")
        page = visit().open("?view=dag-files")
        page.get_by_label("Find a file or a DAG").fill("many part")
        entries = page.locator("a.pick")
        expect(entries.first).to_contain_text("part_000.py")
        into_list(page, "dag-files")
        page.keyboard.press("End")
        expect(page.locator(":focus")).to_contain_text("part_299.py")
        assert entries.count() < 100
        for _ in range(30):
            page.keyboard.press("ArrowUp")
        expect(page.locator(":focus")).to_contain_text("part_269.py")
        page.keyboard.press("Home")
        expect(page.locator(":focus")).to_contain_text("part_000.py")
        page.keyboard.press("PageDown")
        expect(page.locator(":focus")).to_contain_text("part_010.py")
        # Pressed before the first items are in the document again.
        page.evaluate(PRESS, ["End", "PageUp", "Home", "PageDown", "ArrowDown"])
        expect(page.locator(":focus")).to_contain_text("part_011.py")
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_the_heads_of_a_table_are_one_stop(visit: Visit, stack: Stack):
    with Client(stack) as client:
        operation = client.command("dags/list").json()["id"]
    page = visit().open(f"?view=operations&id={operation}")
    heads = page.get_by_role("region", name="Result").locator("thead button")
    heads.first.focus()
    page.keyboard.press("ArrowRight")
    expect(heads.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("th").nth(1)).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Tab")

    assert not page.evaluate("document.activeElement.matches('thead button')")


def test_a_list_that_renews_itself_keeps_the_focus(visit: Visit, stack: Stack):
    page = visit().open("?view=operations&command=pools%20list")
    chosen = page.locator(f":is({LISTS['operations']})").first
    expect(chosen).to_be_visible()
    chosen.focus()
    address = chosen.get_attribute("href")
    with Client(stack) as client:
        newest = client.command("pools/list").json()["id"]
    expect(page.locator(f'.pane-list a[href*="{newest}"]')).to_be_visible()

    expect(page.locator(f'.pane-list a[href="{address}"]')).to_be_focused()


def test_a_button_that_is_at_work_keeps_the_focus_and_escape_leads_back_without_one(visit: Visit):
    page = visit().open("?view=commands&command=version")
    button = page.get_by_role("button", name="Run", exact=True)
    button.focus()
    page.keyboard.press("Space")
    expect(page.locator("section.operation")).to_contain_text("succeeded")
    expect(button).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")

    expect(page.locator("a.entry[aria-current]")).to_be_focused()


def test_a_button_that_is_at_work_takes_no_press(visit: Visit):
    visitor = visit()
    sent: list[Route] = []
    page = visitor.open("?view=commands&command=version")
    button = page.get_by_role("button", name="Run", exact=True)
    expect(button).to_be_visible()
    visitor.context.route(re.compile("/v2/commands/version$"), lambda route: sent.append(route))
    for _ in range(3):
        button.focus()
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-busy", "true")
    assert len(sent) == 1
    sent[0].continue_()

    expect(page.locator("section.operation")).to_contain_text("succeeded")
    expect(button).not_to_have_attribute("aria-busy", "true")
