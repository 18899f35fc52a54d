"""Whose session the page acts in: one that ends, that is another user's, that Airflow's page has taken."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, PLUGIN, Visitor, run
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

FORM = "?view=commands&command=variables/get&a.key=my%20key"
SESSION_ENDED = "401 (Unauthorized)"
AT_MOST = 3
"""Requests for one thing: the first, the one after a look at the session, one of another part of the page."""

expect.set_options(timeout=PATIENCE)


def test_a_stranger_is_led_over_airflows_login_back_to_the_same_place(visit: Visit, stack: Stack):
    visitor = visit(None)
    visitor.page.goto(stack.url + PLUGIN + FORM)
    visitor.sign_in("viewer")

    expect(visitor.page.get_by_label("key")).to_have_value("my key")
    expect(visitor.page.locator(".user")).to_have_text("viewer")


def about_to_set(visit: Visit, user: str, key: str) -> Visitor:
    """Return somebody who has filled in a form, and whose session is about to end."""
    visitor = visit(user)
    visitor.allow(SESSION_ENDED)
    page = visitor.open("?view=commands&command=variables/set")
    page.get_by_label("key").fill(key)
    page.get_by_label("value").fill("kept")
    return visitor


def test_when_the_session_ends_nothing_typed_is_lost_and_the_request_goes_on(visit: Visit, stack: Stack):
    visitor = about_to_set(visit, "admin", "typed_before")
    page = visitor.page
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Run", exact=True).click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()

    with page.expect_popup() as popup:
        dialog.get_by_role("button", name="Sign in").click()
    visitor.sign_in("admin", popup.value)

    expect(page.locator("section.operation")).to_contain_text("succeeded")
    expect(dialog).to_have_count(0)
    assert stack.get("variables/typed_before")["value"] == "kept"


def test_a_request_is_never_sent_as_another_user_who_signs_in(visit: Visit, stack: Stack):
    visitor = about_to_set(visit, "op", "asked_by_op")
    page = visitor.page
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Run", exact=True).click()
    with page.expect_popup() as popup:
        page.get_by_role("button", name="Sign in").click()
    visitor.sign_in("admin", popup.value)

    dialog = page.get_by_role("dialog", name="You are signed in as admin")
    dialog.get_by_role("button", name="Load the page as admin").click()
    expect(page.locator(".user")).to_have_text("admin")
    expect(page.get_by_label("key")).to_have_value("asked_by_op")
    keys = [variable["key"] for variable in stack.get("variables?limit=100")["variables"]]
    assert "asked_by_op" not in keys


def test_nothing_is_done_as_who_has_signed_in_in_another_tab(visit: Visit, stack: Stack):
    visitor = about_to_set(visit, "op", "typed_by_op")
    page = visitor.page
    session = {"name": "_token", "value": stack.token("admin"), "url": f"{stack.url}/"}
    visitor.context.add_cookies([session])  # type: ignore[list-item]
    page.get_by_role("button", name="Run", exact=True).click()

    dialog = page.get_by_role("dialog", name="You are signed in as admin")
    expect(dialog).to_be_visible()
    # It cannot be closed: everything waits for it.
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    keys = [variable["key"] for variable in stack.get("variables?limit=100")["variables"]]
    assert "typed_by_op" not in keys


def old_form(visitor: Visitor, key: str) -> Page:
    """Open the form of an old endpoint that sets a variable, and fill it in."""
    visitor.allow(SESSION_ENDED)
    page = visitor.open("?view=endpoints&api=variables")
    page.get_by_label("cmd", exact=True).fill("set")
    page.get_by_label("key", exact=True).fill(key)
    page.get_by_label("value", exact=True).fill("kept")
    return page


def test_an_old_endpoint_does_nothing_as_who_has_signed_in_in_another_tab(visit: Visit, stack: Stack):
    visitor = visit("op")
    page = old_form(visitor, "old_form_of_op")
    session = {"name": "_token", "value": stack.token("admin"), "url": f"{stack.url}/"}
    visitor.context.add_cookies([session])  # type: ignore[list-item]
    page.get_by_role("button", name="Submit").click()

    expect(page.get_by_role("dialog", name="You are signed in as admin")).to_be_visible()
    keys = [variable["key"] for variable in stack.get("variables?limit=100")["variables"]]
    assert "old_form_of_op" not in keys


def test_an_old_endpoint_takes_a_session_that_is_no_good_for_one_that_has_ended(visit: Visit, stack: Stack):
    visitor = visit("admin")
    visitor.allow("422 (Unprocessable")
    page = old_form(visitor, "old_form_went_on")

    def answer(route: Route) -> None:
        if "_token" in route.request.headers.get("cookie", ""):
            route.continue_()
        else:
            # As to a token that was signed with another key.
            route.fulfill(status=422, json={"msg": "Signature verification failed"})

    page.route(f"**{PLUGIN}api", answer)
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Submit").click()
    with page.expect_popup() as popup:
        page.get_by_role("dialog", name="Your session has ended").get_by_role("button").click()
    visitor.sign_in("admin", popup.value)

    expect(page.locator("section.operation")).to_contain_text("HTTP 200")
    assert stack.get("variables/old_form_went_on")["value"] == "kept"


def test_an_old_endpoint_that_takes_no_session_is_asked_no_more_than_twice(visit: Visit):
    visitor = visit("admin")
    page = old_form(visitor, "refused")
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=401, json={"msg": "Missing Authorization Header"})

    page.route(f"**{PLUGIN}api", refuse)
    page.get_by_role("button", name="Submit").click()

    expect(page.get_by_role("alert")).to_contain_text("Missing Authorization Header")
    page.wait_for_timeout(3000)
    assert len(asked) == 2


def into_storage(visitor: Visitor) -> None:
    """Take the token out of the cookie, as Airflow's page does on Airflow 3.0."""
    visitor.page.evaluate("token => localStorage.setItem('token', token)", visitor.stack.token("admin"))
    visitor.context.clear_cookies()


def test_with_the_token_in_the_storage_of_airflows_page_an_old_endpoint_is_called(visit: Visit, stack: Stack):
    visitor = visit("admin")
    visitor.tell(token_storage="token")
    page = old_form(visitor, "by_storage")
    into_storage(visitor)
    page.get_by_role("button", name="Submit").click()

    expect(page.locator("section.operation")).to_contain_text("HTTP 200")
    assert stack.get("variables/by_storage")["value"] == "kept"


def test_with_the_token_in_the_storage_of_airflows_page_a_file_is_downloaded(visit: Visit):
    visitor = visit("admin")
    # The modules of the other views.
    visitor.allow(SESSION_ENDED)
    visitor.tell(token_storage="token")
    page = visitor.open("?view=commands&command=pools/export")
    operation = run(page)
    into_storage(visitor)
    with page.expect_download() as download:
        operation.locator(".downloads a").click()

    assert "default_pool" in json.loads(download.value.path().read_text())


def test_a_view_that_renews_itself_waits_for_the_session_with_one_request(visit: Visit):
    visitor = visit("admin")
    visitor.allow(SESSION_ENDED)
    visitor.tell(queues=["default"])
    page = visitor.page
    page.clock.install()
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        # The server refuses it as long as there is no session.
        signed_in = "_token" in route.request.headers.get("cookie", "")
        route.fulfill(status=200 if signed_in else 401, json={"runners": [], "queues": []})

    page.route("**/v2/runners", answer)
    visitor.open("?view=runners")
    expect(page.get_by_text("0 runners")).to_be_visible()
    cookies = visitor.context.cookies()
    visitor.context.clear_cookies()
    page.clock.run_for(6_000)
    expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()
    for _ in range(10):
        page.clock.run_for(6_000)
    asked.clear()
    visitor.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.clock.run_for(2_000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.wait_for_timeout(1000)

    assert len(asked) == 1


def test_in_airflows_frame_the_login_opens_in_a_tab_as_well(visit: Visit, stack: Stack):
    visitor = visit("admin")
    visitor.allow(SESSION_ENDED)
    page = visitor.page
    page.goto(f"{stack.url}/plugin/rest-api")
    frame = page.frame_locator("iframe[title='REST API']")
    expect(frame.get_by_role("link", name="dags list", exact=True)).to_be_visible()
    visitor.context.clear_cookies()
    frame.get_by_role("link", name="dags list", exact=True).click()

    with page.expect_popup() as popup:
        frame.get_by_role("button", name="Sign in").click()
    visitor.sign_in("admin", popup.value)

    expect(frame.get_by_role("button", name="Run", exact=True)).to_be_visible()


def test_a_header_token_that_is_asked_for_is_given_once(visit: Visit, stack: Stack, tmp_path):
    option = {"AIRFLOW__REST_API_PLUGIN__REST_API_PLUGIN_EXPECTED_HTTP_TOKEN": "sésame→"}
    with Stack(tmp_path, components=("api-server",), like=stack, prefix="/airflow", env=option) as closed:
        visitor = visit("admin", stack=closed)
        visitor.allow("403 (Forbidden)")
        page = visitor.open()
        dialog = page.get_by_role("dialog", name="A header token is asked for")
        dialog.get_by_label("Token").fill("wrong")
        dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_contain_text("is not right")
        dialog.get_by_label("Token").fill("sésame→")
        dialog.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("link", name="dags list", exact=True)).to_be_visible()
        page.reload()
        expect(page.get_by_role("link", name="dags list", exact=True)).to_be_visible()
        page.goto(f"{closed.url}{PLUGIN}?view=endpoints&api=version")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("section.operation")).to_contain_text("HTTP 200")

        assert "sésame→" not in page.evaluate("JSON.stringify(localStorage) + location.href")


def test_the_page_goes_on_after_airflows_own_page_was_opened(visit: Visit, stack: Stack):
    """Airflow 3.0 moves the token from the cookie to the storage of its own page."""
    visitor = visit("admin")
    page = visitor.open("?view=commands&command=pools/list")
    with visitor.context.expect_page():
        page.evaluate("address => void window.open(address)", f"{stack.url}/")
    other = visitor.context.pages[-1]
    other.get_by_role("button", name="Admin").wait_for()

    run(page)
    page.get_by_role("link", name="Old endpoints").click()
    expect(page.get_by_role("region", name="DAGs").get_by_role("link", name="example_slow")).to_be_visible()


def test_what_airflows_own_api_refuses_although_there_is_a_session_is_said_once(visit: Visit):
    visitor = visit("admin")
    visitor.allow(SESSION_ENDED)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=401, json={"detail": "Not authenticated"})

    visitor.page.route("**/api/v2/dags?*", refuse)
    page = visitor.open("?view=endpoints")

    expect(page.get_by_role("region", name="DAGs")).to_contain_text("Not authenticated")
    page.wait_for_timeout(3000)
    assert len(asked) <= AT_MOST
