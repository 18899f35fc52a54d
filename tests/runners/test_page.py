"""The page where commands run on runners: who there is, and the queue in the form of a command."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route

from tests.browser.conftest import Visit, axe, browser, visit  # noqa: F401 - fixtures
from tests.runners.conftest import Split
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def stack(split: Split) -> Stack:
    return split.stack


def test_runners_and_queues_are_shown(visit: Visit):  # noqa: F811
    page = visit().open("?view=runners")

    runners = page.get_by_label("Runners", exact=True).last
    runners.get_by_text("one@").first.wait_for()
    assert runners.get_by_text("healthy").count() == 1
    assert page.get_by_label("Queues", exact=True).get_by_text("dags", exact=True).count() == 1
    assert page.get_by_role("link", name="Runners").get_attribute("aria-current") == "page"


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_everybody_can_read_it(visit: Visit, axe: str, theme: str, width: int):  # noqa: F811
    visitor = visit(theme=theme, width=width)
    page = visitor.open("?view=runners")
    page.get_by_text("one@").first.wait_for()
    page.evaluate(axe)
    found = page.evaluate("async () => (await axe.run()).violations.map((one) => one.id)")

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_command_is_sent_to_a_queue_and_says_where_it_ran(visit: Visit):  # noqa: F811
    page = visit().open("?view=commands&command=version")
    page.get_by_label("Queue").select_option("dags")

    assert "Airflow-Queue: dags" in page.get_by_label("The same from elsewhere").first.inner_text()
    page.get_by_role("button", name="Run", exact=True).click()
    facts = page.locator("dl.facts")
    facts.get_by_text("one@").wait_for()
    assert "dags" in facts.inner_text()


def test_no_question_says_that_it_runs_on_the_host_of_the_api_server(visit: Visit):  # noqa: F811
    page = visit().open("?view=services")
    page.get_by_role("button", name="Start a component").first.click()
    page.get_by_text("until somebody stops it").wait_for()

    assert "on the host of the API server" not in page.get_by_role("dialog").inner_text()


def test_a_component_that_no_runner_has_taken_yet_is_shown_as_the_operation_that_it_is(
    visit: Visit,  # noqa: F811
    stack: Stack,
):
    with Client(stack) as client:
        waiting = client.post("/commands/version", headers={"Prefer": "respond-async"}).json()

    def answered(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=202, json=waiting)
        else:
            route.fallback()

    page = visit().open("?view=services")
    page.route("**/v2/services", answered)
    page.get_by_role("button", name="Start a component").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Start the").click()
    page.get_by_role("heading", name="version").first.wait_for()

    assert f"view=operations&id={waiting['id']}" in page.url
