"""What is sent from the page is done once: after an answer that was lost, and after a press too many."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, run
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)


def test_what_is_sent_again_after_an_answer_was_lost_is_not_done_twice(visit: Visit, stack: Stack):
    visitor = visit()
    visitor.allow("net::ERR")
    page = visitor.open("?view=commands&command=dags/trigger")
    # Its description has come from the same address.
    page.get_by_label("dag_id").fill("example_template")
    page.get_by_label("run_id").fill("once_only")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/v2/commands/dags/trigger", lose)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("It may have been carried out all the same")
    page.unroute_all()
    # The second one would fail: there is such a run.
    run(page)
    assert stack.get("dags/example_template/dagRuns/once_only")["run_type"] == "manual"

    # An answer has come: whoever presses once more wants it once more.
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("section.operation")).to_contain_text("failed")


def test_a_key_is_kept_until_an_answer_comes_or_something_else_is_sent(visit: Visit):
    keys = (
        visit()
        .open()
        .evaluate(
            """async () => {
            const main = document.querySelector('script[type=module]').src;
            const { once } = await import(main.replace('main.js', 'lib/once.js'));
            const sending = once(), keys = [];
            const send = (reason, status) => async (headers) => {
                keys.push(headers['Idempotency-Key']);
                if (reason) throw Object.assign(new Error('x'), { reason, status });
            };
            const file = new File(['x'], 'x');
            for (const [what, reason, status] of [
                [['a', file], 'unreachable'], [['a', file], 'unreachable'], [['a', file], 'bad_folder', 400],
                [['a', file], 'unreachable'], [['b', file], 'unreachable'], [['b', file]], [['b', file]],
                // Of a proxy's in between, and what the server did not foresee.
                [['c'], 'error', 504], [['c'], 'error', 200], [['c'], 'internal_error', 500],
                [['c'], 'error', 413], [['c'], 'overloaded', 503], [['c']],
            ]) await sending(what, send(reason, status)).catch(() => {});
            return keys;
        }"""
        )
    )

    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    assert [keys.index(key) for key in keys] == [0, 0, 0, 3, 4, 4, 6, 7, 7, 7, 7, 11, 12]


@pytest.mark.parametrize("answer", [(504, "<h1>Gateway Time-out</h1>"), (200, "<h1>Log in</h1>")])
def test_what_a_proxy_answers_is_no_answer_of_ours(visit: Visit, answer: tuple[int, str]):
    status, body = answer
    visitor = visit()
    visitor.allow("504")
    page = visitor.open("?view=commands&command=dags/trigger&a.dag_id=example_template")
    page.get_by_label("run_id").fill(f"behind_a_proxy_{status}")
    page.get_by_label("dag_id").wait_for()

    def replace(route: Route) -> None:
        route.fetch()
        route.fulfill(status=status, body=body, content_type="text/html")

    page.route("**/v2/commands/dags/trigger", replace)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("It may have been carried out all the same")
    page.unroute_all()
    run(page)

    page.goto(f"{page.url.partition('?')[0]}?view=endpoints&api=version")
    page.route("**/admin/rest_api/api", replace)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("region", name="The answer")).to_contain_text("It may have been carried out")


def test_the_second_half_of_a_double_click_and_a_key_that_is_held_run_nothing(visit: Visit):
    page = visit().open("?view=commands&command=variables/set&a.key=pressed_once")
    page.get_by_label("value").fill("x")
    page.set_viewport_size({"width": 1280, "height": 2000})
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)

    def press_again(name: str) -> None:
        # The first click, and its answer, were there already.
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box
        page.mouse.move(box["x"] + 5, box["y"] + 5)
        page.mouse.down(click_count=2)
        page.mouse.up(click_count=2)

    run(page)
    press_again("Run")
    press_again("Run again")
    page.get_by_label("key").focus()
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.keyboard.down("Enter")
    page.wait_for_timeout(500)
    page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    page.wait_for_timeout(500)

    assert len(sent) == 2
    expect(page.get_by_role("dialog")).to_have_count(0)
