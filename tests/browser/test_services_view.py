from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, violations
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)


@pytest.fixture
def admin(stack: Stack) -> Iterator[Client]:
    """An administrator, after whom nothing that was started goes on running."""
    with warm(stack) as client:
        yield client
        for service in client.get("/services").json()["services"]:
            if service["managed"]:
                client.post(
                    f"/services/{service['id']}/stop", json={"force": True}, headers={"Prefer": "wait=60"}
                )
                client.delete(f"/services/{service['id']}")


def start(page: Page, kind: str) -> None:
    """Choose a component in the form, and start it."""
    page.get_by_role("button", name="Start a component").click()
    form = page.get_by_role("dialog", name="Start a component")
    form.get_by_label("Component", exact=True).select_option(kind)
    form.get_by_role("button", name=f"Start the {kind}").click()


def test_a_triggerer_is_started_watched_and_stopped(visit: Visit, admin: Client):
    page = visit().open("?view=services")
    start(page, "triggerer")
    detail = page.get_by_role("region", name=re.compile("Triggerer on"))
    state = detail.get_by_role("status").first
    expect(state).to_have_text("running")
    expect(detail.locator(".log-box")).to_contain_text("Starting the triggerer")
    # Airflow knows it as well, by its heartbeat.
    expect(detail).to_contain_text(re.compile(r"Heartbeat\s*\d+ s ago"))
    entry = page.get_by_role("list", name="Components").get_by_role("link", name=re.compile("Triggerer"))
    expect(entry).to_contain_text("heartbeat")

    detail.get_by_role("button", name="Stop").click()
    question = page.get_by_role("dialog", name="Stop it?")
    expect(question).to_contain_text("the triggerer on")
    question.get_by_role("button", name="Stop").click()
    expect(state).to_have_text("stopped")
    expect(entry).to_contain_text("stopped")

    detail.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(entry).to_have_count(0)
    assert [one for one in admin.get("/services").json()["services"] if one["managed"]] == []


def test_the_same_component_again_is_refused_with_a_way_to_it(visit: Visit, admin: Client):
    body = {"kind": "triggerer", "arguments": {"queues": "first"}}
    running = admin.post("/services", json=body, headers={"Prefer": "respond-async"}).json()
    visitor = visit()
    visitor.allow("409")
    page = visitor.open("?view=services")
    page.get_by_role("button", name="Start a component").click()
    form = page.get_by_role("dialog", name="Start a component")
    form.get_by_label("Component", exact=True).select_option("triggerer")
    form.get_by_label("queues").fill("first")
    form.get_by_role("button", name="Start the triggerer").click()

    expect(form.get_by_role("alert")).to_contain_text("runs on")
    expect(form.get_by_role("button", name="Start another one")).to_be_visible()
    form.get_by_role("link", name="Look at that one").click()
    expect(form).to_have_count(0)
    expect(page).to_have_url(re.compile(running["id"]))


def test_a_wrong_argument_is_shown_at_its_field(visit: Visit, admin: Client):
    page = visit().open("?view=services")
    page.get_by_role("button", name="Start a component").click()
    form = page.get_by_role("dialog", name="Start a component")
    form.get_by_label("Component", exact=True).select_option("triggerer")
    form.get_by_label("capacity").fill("many")
    form.get_by_role("button", name="Start the triggerer").click()

    expect(form).to_contain_text("This is not a number.")
    form.get_by_role("button", name="Cancel").click()
    assert [one for one in admin.get("/services").json()["services"] if one["managed"]] == []


def test_what_was_not_started_here_can_only_be_looked_at(visit: Visit):
    page = visit().open("?view=services")
    entry = page.get_by_role("list", name="Components").get_by_role(
        "link", name=re.compile("DAG processor.*unmanaged", re.DOTALL)
    )
    expect(entry).to_contain_text(re.compile(r"heartbeat \d+ s ago"))
    entry.click()
    detail = page.get_by_role("region", name=re.compile("DAG processor on"))

    expect(detail).to_contain_text("It was not started here")
    expect(detail.get_by_role("button", name="Stop")).to_have_count(0)
    page.get_by_label("Show").select_option("ended")
    expect(entry).to_have_count(0)


def test_who_may_not_see_components_reads_a_sentence(visit: Visit):
    visitor = visit("viewer")
    visitor.allow("403")
    page = visitor.open("?view=services")

    expect(page.get_by_role("alert")).to_contain_text("You may not see components")
    expect(page.get_by_role("button", name="Start a component")).to_be_disabled()


def test_a_component_can_be_started_once_the_server_answers_again(visit: Visit):
    visitor = visit(width=390)
    visitor.allow("503")
    busy = {"detail": {"reason": "overloaded", "message": "Too much to do."}}
    visitor.context.route("**/v2/services**", lambda route: route.fulfill(status=503, json=busy))
    page = visitor.open("?view=services&id=any")
    expect(page.get_by_role("alert")).to_contain_text("Too much to do.")
    page.get_by_role("link", name="All services").click()
    expect(page.get_by_role("alert")).to_contain_text("Too much to do.")
    expect(page.get_by_role("button", name="Start a component")).to_be_disabled()
    visitor.context.unroute_all()

    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("button", name="Start a component")).to_be_enabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_form_and_in_a_component(visit: Visit, axe: str, theme: str):
    page = visit(theme=theme).open("?view=services")
    page.get_by_role("button", name="Start a component").click()
    form = page.get_by_role("dialog", name="Start a component")
    form.get_by_label("Component", exact=True).select_option("triggerer")
    expect(form.get_by_label("capacity")).to_be_visible()
    found = violations(page, axe)
    form.get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name=re.compile("DAG processor")).click()
    expect(page.get_by_text("It was not started here")).to_be_visible()
    found += violations(page, axe)

    assert found == []
