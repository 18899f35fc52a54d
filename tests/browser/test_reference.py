"""The reference in a real browser: Swagger UI to try requests out, ReDoc to read."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PLUGIN, Visitor

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

PATIENCE = 180_000
"""Milliseconds: all requests are drawn at once, on a machine that does much else."""


def reference(visitor: Visitor, name: str, more: str = "") -> Page:
    """Open the reference, and wait until it is there."""
    page = visitor.page
    page.set_default_timeout(PATIENCE)
    page.goto(f"{visitor.stack.url}{PLUGIN}{name}{more}", wait_until="commit")
    page.locator("#said").wait_for(state="hidden")
    page.locator(".opblock-tag, [role=search]").first.wait_for()
    return page


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 400)])
def test_every_group_is_there_and_nothing_is_cut(visit: Visit, theme: str, width: int) -> None:
    visitor = visit(theme=theme, width=width)
    page = reference(visitor, "docs")
    document = page.evaluate("async () => (await fetch('openapi.json')).json()")

    shown = page.locator(".opblock-tag").evaluate_all("all => all.map((one) => one.dataset.tag)")
    assert shown == [tag["name"] for tag in document["tags"]]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.classList.contains('dark-mode')") == (theme == "dark")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (theme == "light")


def test_a_request_is_found_and_tried_out_as_the_user_of_the_session(visit: Visit) -> None:
    page = reference(visit("viewer"), "docs")
    page.get_by_label("Search requests").fill("dags list post")
    page.locator(".opblock-tag:not([data-tag=dags])").first.wait_for(state="detached")
    assert page.locator(".opblock-tag").count() == 1
    if not page.locator(".opblock").count():
        page.locator(".opblock-tag").click()
    request = page.locator("#operations-dags-run_dags__list")
    request.locator(".opblock-summary-control").click()
    request.get_by_role("button", name="Try it out").click()
    # What cannot be left out is filled in and nothing else: with a key, the next try would be the same one.
    assert json.loads(request.locator("textarea").input_value()) == {}
    assert request.locator("input[type=text]").evaluate_all("all => all.map((one) => one.value)") == [""] * 3
    request.get_by_role("button", name="Execute").click()
    answer = request.locator(".live-responses-table .response")
    answer.locator(".response-col_status").get_by_text("200").wait_for()
    text = answer.locator("code").first.inner_text()
    assert '"user": "viewer"' in text
    assert '"result": [' in text


def test_a_form_that_is_tried_out_sends_what_was_filled_in_and_nothing_else(visit: Visit) -> None:
    visitor = visit()
    page = reference(visitor, "docs")
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data_buffer.decode() if route.request.post_data_buffer else "")
        route.fulfill(json={})

    visitor.context.route(re.compile("/v2/dag-files$"), answer)
    page.locator(".opblock-tag[data-tag='dag files']").click()
    request = page.locator(".opblock-post", has=page.locator("[data-path='/v2/dag-files']"))
    request.locator(".opblock-summary-control").click()
    request.get_by_role("button", name="Try it out").click()
    folder = request.locator("[data-property-name=folder] input[type=text]")
    expect(folder).to_have_value("")
    folder.fill("team_a")
    request.locator("[data-property-name=dry_run] select").select_option("true")
    files = request.locator("[data-property-name=file]")
    files.get_by_role("button", name="Add").click()
    files.locator("input[type=file]").set_input_files(
        {"name": "a.py", "mimeType": "text/x-python", "buffer": b""}
    )
    request.get_by_role("button", name="Execute").click()
    page.wait_for_function("() => document.querySelector('.live-responses-table') !== null")

    assert [sorted(re.findall(r'\bname="(\w+)"', body)) for body in sent] == [["dry_run", "file", "folder"]]


def test_the_line_for_curl_has_no_token(visit: Visit) -> None:
    visitor = visit("viewer")
    visitor.tell(header_token="x-token")
    page = reference(visitor, "docs")
    page.evaluate("sessionStorage.setItem('rest_api_header_token', 'hushed')")
    page.get_by_label("Search requests").fill("dags list post")
    page.locator(".opblock-tag:not([data-tag=dags])").first.wait_for(state="detached")
    if not page.locator(".opblock").count():
        page.locator(".opblock-tag").click()
    request = page.locator("#operations-dags-run_dags__list")
    request.locator(".opblock-summary-control").click()
    request.get_by_role("button", name="Try it out").click()
    with page.expect_request("**/v2/commands/dags/list") as sent:
        request.get_by_role("button", name="Execute").click()
    assert sent.value.headers["x-token"] == "hushed"
    line = request.locator(".curl-command")
    line.get_by_text("commands/dags/list").first.wait_for()
    assert "hushed" not in line.inner_text()


def test_an_address_leads_to_one_request(visit: Visit) -> None:
    visitor = visit()
    # Of every name with an underscore in it.
    visitor.allow("escaping deep link whitespace")
    page = reference(visitor, "docs", "#/variables/run_variables__set")
    page.locator("#operations-variables-run_variables__set .opblock-body").wait_for()


def find(page: Page, word: str) -> None:
    """Wait for the groups of the page to read, and for what its search finds."""
    for view in ("Commands", "Operations", "Services", "DAG files", "Old endpoints"):
        page.locator(".menu-content label", has_text=view).first.wait_for()
    page.get_by_role("textbox", name="search").or_(page.locator("[role=search] input")).first.fill(word)
    # Its search is a worker, which comes from a file of ours.
    page.locator("[data-role='search:results'] li").first.wait_for()


def test_what_is_read_is_found_by_any_word_and_loaded_anew_by_another_theme_alone(visit: Visit) -> None:
    # In one piece: to draw all requests takes a browser longer than everything else here.
    visitor = visit(theme="light")
    page = reference(visitor, "redoc")
    find(page, "backfill")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"

    other = visitor.context.new_page()
    other.goto(f"{visitor.stack.url}{PLUGIN}")
    page.evaluate("() => { window.heard = 0; addEventListener('storage', () => (window.heard += 1)); }")
    other.evaluate("localStorage.setItem('table_columns', '7')")
    page.wait_for_function("() => window.heard === 1")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.heard") == 1

    with page.expect_navigation():
        other.evaluate("localStorage.setItem('theme', 'dark')")
    find(page, "backfill")
    assert page.evaluate(colour) != "rgb(255, 255, 255)"


def test_who_is_not_signed_in_is_led_to_the_login_and_back(visit: Visit) -> None:
    visitor = visit(None)
    visitor.page.goto(f"{visitor.stack.url}{PLUGIN}docs")
    visitor.sign_in("admin")
    visitor.page.set_default_timeout(PATIENCE)
    visitor.page.locator(".opblock-tag").first.wait_for()
