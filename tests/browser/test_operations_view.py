from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, violations
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)

ASYNC = {"Prefer": "respond-async"}
CHATTY = """
import os
import time
from pathlib import Path

from airflow.sdk import DAG, task

with DAG("chatty", schedule=None):

    @task
    def talk():
        lines = 0
        while lines < 600 or (not Path({stop!r}).exists() and lines < 3_000_000):
            text = "".join(f"line {{n}} <b>of</b> many\\n" for n in range(lines, lines + 200))
            os.write(1, text.encode())
            if lines < 600:
                os.write(2, f"warning at {{lines}}\\n".encode())
            lines += 200
            time.sleep(0.02)
        os.write(1, f"these were {{lines}} lines\\n".encode())

    talk()
"""
"""A DAG whose task prints 10,000 lines a second until a file is there."""


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Client]:
    with warm(stack) as client:
        yield client


def slow(client: Client, seconds: int = 3000) -> str:
    """Start an operation that lasts; return its id."""
    body = {"dag_id": "example_slow", "conf": f'{{"seconds": {seconds}}}'}
    answer = client.post("/commands/dags/test", json=body, headers=ASYNC)
    return str(answer.json()["id"])


def log(page: Page) -> list[str]:
    """Return the lines of the log that are in the document, from the top."""
    return [text.strip() for text in page.locator(".log-row").all_inner_texts()]


def test_a_slow_operation_is_followed_and_cancelled(visit: Visit, admin: Client):
    operation = slow(admin)
    page = visit().open(f"?view=operations&id={operation}")
    panel = page.locator("section.operation")
    expect(panel).to_contain_text("running")
    expect(page.locator(".log-box")).to_contain_text("2 of 3000 seconds")
    before = panel.locator(".elapsed").inner_text()
    expect(panel.locator(".elapsed")).not_to_have_text(before)
    panel.get_by_role("button", name="Cancel").click()
    question = page.get_by_role("dialog", name="End this operation?")
    expect(question).to_contain_text("airflow dags test")
    expect(question).to_contain_text("example_slow")
    expect(question.get_by_role("button")).to_have_text(["Keep running", "End it"])
    question.get_by_role("button", name="End it").click()

    expect(panel.get_by_role("status").first).to_have_text("cancelled")
    expect(panel).to_contain_text("The command was cancelled by admin.")
    expect(page.get_by_role("link", name=re.compile("dags test")).first).to_contain_text("cancelled")
    assert admin.get(f"/operations/{operation}").json()["state"] == "cancelled"


def test_the_question_can_be_answered_with_no(visit: Visit, admin: Client):
    operation = slow(admin)
    page = visit().open(f"?view=operations&id={operation}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    assert admin.get(f"/operations/{operation}").json()["state"] in ("queued", "running")
    admin.post(f"/operations/{operation}/cancel")


@pytest.fixture(scope="module")
def stop(admin: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that ends the DAG `chatty`, which is there."""
    stop = tmp_path_factory.mktemp("chatty") / "stop"
    stop.touch()
    files = {"file": ("chatty.py", CHATTY.format(stop=str(stop)).encode())}
    answer = admin.post("/dag-files", files=files, data={"wait": "true"}, headers={"Prefer": "wait=110"})
    assert answer.json()["state"] == "succeeded", answer.text
    return stop


def test_the_log_keeps_up_with_ten_thousand_lines_a_second(visit: Visit, admin: Client, stop: Path):
    stop.unlink()
    started = admin.post("/commands/dags/test", json={"dag_id": "chatty"}, headers=ASYNC).json()
    page = visit().open(f"?view=operations&id={started['id']}")
    box = page.locator(".log-box")
    expect(box).to_contain_text(re.compile(r"line \d{4,}"))

    # Somebody scrolls back while more is coming: what they read stays where it is.
    box.hover()
    page.mouse.wheel(0, -600)
    end = page.get_by_role("button", name=re.compile("To the end"))
    expect(end).to_contain_text("new lines")
    read = log(page)
    expect(end).to_contain_text(re.compile(r"\d\d,\d\d\d new lines"))
    assert log(page) == read

    stop.touch()
    end.click()
    expect(page.locator("section.operation")).to_contain_text("succeeded")
    expect(end).to_be_hidden()
    expect(box).to_contain_text("DagRun Finished")
    # Only what is in sight is in the document.
    assert page.locator(".log-row").count() < 200
    find = page.get_by_label("Find in the output")
    find.fill("THESE WERE")
    expect(page.locator(".log-found")).to_contain_text(re.compile(r"these were \d{5,} lines"))
    find.fill("line 400 <b>of</b>")
    expect(page.locator(".log-found")).to_contain_text("line 400 <b>of</b> many")
    assert page.locator(".log-box b").count() == 0


def test_the_streams_are_told_apart_and_searched(visit: Visit, admin: Client, stop: Path):
    assert stop.exists()
    started = admin.post("/commands/dags/test", json={"dag_id": "chatty"}, headers=ASYNC).json()
    page = visit().open(f"?view=operations&id={started['id']}")
    expect(page.locator("section.operation")).to_contain_text("succeeded")
    page.get_by_label("Streams").select_option("stderr")

    expect(page.locator(".log-row", has_text="warning at 200")).to_contain_text("err")
    assert not any(line.startswith("line ") for line in log(page))
    find = page.get_by_label("Find in the output")
    find.fill("warning at")
    expect(page.locator(".log-matches")).to_have_text("1 of 3")
    find.press("Enter")
    expect(page.locator(".log-matches")).to_have_text("2 of 3")
    expect(page.locator(".log-found")).to_contain_text("warning at 200")
    find.press("Shift+Enter")
    find.press("Shift+Enter")
    expect(page.locator(".log-found")).to_contain_text("warning at 400")
    find.fill("nowhere")
    expect(page.locator(".log-matches")).to_have_text("none")
    page.get_by_label("Times").check()
    expect(page.locator(".log-time").first).to_have_text(re.compile(r"\d:\d\d"))


def test_output_with_markup_is_text_and_can_be_downloaded(visit: Visit, admin: Client):
    key = "<img src=x onerror=alert(1)>"
    operation = admin.command("variables/get", key=key).json()
    page = visit().open(f"?view=operations&id={operation['id']}")

    expect(page.locator(".operation-line")).to_contain_text(key)
    expect(page.locator(".log-box")).to_contain_text(key)
    expect(page.get_by_role("link", name=re.compile("variables get")).first).to_contain_text(key)
    assert page.locator("main img").count() == 0
    stream = "stdout" if key in operation["stdout"] else "stderr"
    with page.expect_download() as download:
        page.get_by_role("button", name=stream, exact=True).click()
    assert download.value.path().read_text() == operation[stream]
    assert download.value.suggested_filename.startswith("variables-get-")


def test_a_result_is_a_table_and_running_again_leads_to_the_new_operation(visit: Visit, admin: Client):
    first = admin.command("dags/list").json()
    page = visit().open(f"?view=operations&id={first['id']}")
    expect(page.get_by_role("cell", name="example_template", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Output").click()
    expect(page.locator(".log-box")).to_contain_text("example_template")
    page.get_by_role("button", name="Run again").click()

    link = page.get_by_role("link", name="another operation")
    expect(link).to_be_visible()
    second = parse_qs(urlsplit(page.url).query)["id"]
    assert second != [first["id"]]
    assert admin.get(f"/operations/{second[0]}").json()["rerun_of"] == first["id"]
    link.click()
    expect(page).to_have_url(re.compile(first["id"]))


def test_what_executes_asks_before_it_runs_again(visit: Visit, admin: Client):
    operation = slow(admin)
    admin.post(f"/operations/{operation}/cancel")
    visitor = visit()
    page = visitor.open(f"?view=operations&id={operation}")
    page.get_by_role("button", name="Run again").click()
    question = page.get_by_role("dialog", name="Run it again?")
    expect(question).to_contain_text("runs the code of DAG authors")
    expect(question).to_contain_text("airflow dags test")
    question.get_by_role("button", name="Cancel").click()

    again = admin.get("/operations", params={"command": "dags test", "state": ["queued", "running"]}).json()
    assert [one for one in again["operations"] if one["rerun_of"] == operation] == []


def test_what_cannot_be_repeated_is_said_in_a_sentence(visit: Visit, admin: Client):
    secret = {"conn_id": "secretive", "conn_uri": "http://user:pa55word@example.org"}
    operation = admin.command("connections/add", **secret).json()
    visitor = visit()
    visitor.allow("409")
    page = visitor.open(f"?view=operations&id={operation['id']}")
    page.get_by_role("button", name="Run again").click()
    page.get_by_role("dialog").get_by_role("button", name="Run again").click()

    # It stays to be read.
    expect(page.locator("section.operation").get_by_role("alert")).to_contain_text("cannot be run again")
    expect(page.locator(".toast")).to_have_count(0)
    assert "pa55word" not in page.content()


def test_the_list_renews_itself_and_its_filter_is_in_the_address(visit: Visit, admin: Client):
    page = visit().open("?view=operations")
    entries = page.get_by_role("region", name="Operations").locator("tbody tr")
    page.get_by_label("Command").fill("jobs check")
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_text("No operation is like that.")).to_be_visible()
    admin.command("jobs/check", job_type="SchedulerJob")

    expect(entries).to_have_count(1)
    expect(entries.first).to_contain_text("failed")
    query = parse_qs(urlsplit(page.url).query)
    assert (query["command"], query["state"]) == (["jobs check"], ["failed"])
    page.reload()
    expect(page.get_by_label("Command")).to_have_value("jobs check")
    expect(entries).to_have_count(1)
    entries.first.get_by_role("link").click()
    expect(page.locator("section.operation")).to_contain_text("jobs check")
    beside = page.get_by_role("list", name="Operations").get_by_role("listitem")
    expect(beside).to_have_count(1)
    page.get_by_role("button", name="No filter").click()
    expect(beside).not_to_have_count(1)


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "2026-11-29T12:00"), ("Asia/Tokyo", "2026-11-29T21:00")])
def test_a_time_of_the_filter_is_the_same_in_every_zone(visit: Visit, zone: str, shown: str):
    page = visit(zone=zone).open("?view=operations&since=2026-11-29T12:00:00Z")
    since = page.get_by_label("Since")
    expect(since).to_have_value(shown)
    with page.expect_request(lambda sent: "since=2026-11-29T12%3A05%3A00.000Z" in sent.url):
        since.fill(shown.replace(":00", ":05"))
    expect(page).to_have_url(re.compile("since=2026-11-29T12%3A05%3A00Z"))
    expect(since).to_have_value(shown.replace(":00", ":05"))


def test_the_last_of_more_filters_is_taken_out_and_they_stay_open(visit: Visit, admin: Client):
    page = visit().open("?view=operations&user=admin")
    user = page.get_by_label("User", exact=True)
    expect(user).to_have_value("admin")
    user.fill("")
    expect(page).not_to_have_url(re.compile("user="))
    expect(page.get_by_text("More filters", exact=True)).to_be_visible()
    expect(user).to_be_focused()
    user.fill("op")
    expect(page).to_have_url(re.compile("user=op"))
    page.get_by_role("button", name="No filter").click()
    expect(user).to_be_visible()

    # Whoever closes them finds them closed.
    page.get_by_text("More filters").click()
    expect(user).to_be_hidden()


def test_the_operations_are_a_whole_table_until_one_is_chosen(visit: Visit, admin: Client):
    wrote = admin.command("variables/set", key="wrote", value="x").json()["id"]
    read = admin.command("variables/list").json()["id"]
    page = visit().open("?view=operations")
    table = page.get_by_role("region", name="Operations")
    expect(table.get_by_role("columnheader")).to_have_text(
        ["Command", "Arguments", "State", "Effect", "User", "Asked", "Took"]
    )
    row = table.locator("tbody tr", has=page.locator(f'a[href*="{wrote}"]'))
    expect(row).to_contain_text(re.compile("variables set.*-- wrote x.*succeeded.*write.*admin", re.DOTALL))
    expect(table.locator(f'a[href*="{read}"]')).to_be_visible()
    assert table.evaluate("table => table.clientWidth > innerWidth - 60")

    page.get_by_label("Effect").select_option("what changes something")
    expect(table.locator(f'a[href*="{read}"]')).to_have_count(0)
    expect(page).to_have_url(re.compile("effect=changes"))
    assert "read" not in table.locator("tbody .badge").all_inner_texts()
    row.locator("time").click()
    expect(page.locator("section.operation")).to_contain_text("variables set")
    expect(page.get_by_role("list", name="Operations")).to_be_visible()
    page.get_by_role("link", name="All operations").click()
    expect(table.locator(f'a[href*="{wrote}"]')).to_be_visible()
    expect(page.get_by_label("Effect")).to_have_value("changes")


def test_older_operations_come_page_by_page(visit: Visit, stack: Stack):
    with Client(stack, "op") as client:
        for _ in range(60):
            client.command("version")
    page = visit("op").open("?view=operations&command=version&user=op")
    table = page.get_by_role("table")
    expect(table).to_have_attribute("aria-rowcount", "51")
    page.get_by_role("button", name="Older ones").click()

    expect(table).to_have_attribute("aria-rowcount", "61")
    expect(page.get_by_role("button", name="Older ones")).to_have_count(0)


def test_who_may_not_see_an_operation_is_told_so(visit: Visit, stack: Stack, admin: Client):
    secret = admin.command("config/get-value", section="core", option="dags_folder").json()["id"]
    visitor = visit("viewer")
    visitor.allow("404")
    page = visitor.open(f"?view=operations&id={secret}")

    expect(page.locator(".pane-detail").get_by_role("alert")).to_contain_text(
        "no such operation", ignore_case=True
    )
    expect(page.get_by_role("list", name="Operations")).not_to_contain_text("config get-value")


def test_an_operation_is_reached_by_the_keyboard(visit: Visit, admin: Client):
    operation = admin.command("variables/list").json()["id"]
    page = visit().open("?view=operations&command=variables%20list")
    first = page.get_by_role("region", name="Operations").get_by_role("link").first
    expect(first).to_be_visible()
    first.focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(operation))
    expect(page.locator("section.operation")).to_contain_text("succeeded")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_an_operation(visit: Visit, admin: Client, axe: str, theme: str):
    failed = admin.command("variables/get", key="not_there").json()["id"]
    table = admin.command("dags/list").json()["id"]
    found = []
    for operation, text in ((failed, "failed"), (table, "example_slow")):
        page = visit(theme=theme).open(f"?view=operations&id={operation}")
        expect(page.locator("section.operation")).to_contain_text(text)
        found += violations(page, axe)

    assert found == []


@pytest.mark.parametrize("width", [360, 3840])
def test_an_operation_fits_the_screen(visit: Visit, admin: Client, width: int):
    operation = admin.command("variables/get", key="x" * 300).json()["id"]
    page = visit(width=width).open(f"?view=operations&id={operation}")
    expect(page.locator(".log-box")).to_contain_text("xxx")

    assert page.evaluate("document.querySelector('.pane-detail').scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_operations_that_came_by_an_old_endpoint_are_found_and_say_which(visit: Visit, admin: Client):
    root = str(admin.base_url).partition("/v2")[0]
    old = admin.get(f"{root}/api", params={"api": "list_dags"}).json()["operation_id"]
    new = admin.command("dags/list").json()["id"]
    page = visit().open("?view=operations")
    page.get_by_text("More filters").click()
    page.get_by_label("Came by").select_option("an old endpoint")
    expect(page).to_have_url(re.compile("endpoint=any"))
    expect(page.locator(f'.pane-list a[href*="{new}"]')).to_have_count(0)
    entry = page.locator(f'.pane-list a[href*="{old}"]')
    expect(page.locator("tbody tr", has=page.locator(f'a[href*="{old}"]'))).to_contain_text("1.x")
    entry.click()
    expect(page.locator("a.pick", has_text="1.x").first).to_be_visible()
    page.locator("section.operation").get_by_role("link", name="list_dags").click()
    expect(page).to_have_url(re.compile("endpoint=list_dags"))
    expect(page.locator(f'.pane-list a[href*="{old}"]')).to_be_visible()

    page.get_by_label("Came by").select_option("no old endpoint")
    expect(page.locator(f'.pane-list a[href*="{new}"]')).to_be_visible()
    expect(page.locator(f'.pane-list a[href*="{old}"]')).to_have_count(0)
