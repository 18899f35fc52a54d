from __future__ import annotations

import csv
import json
import re
import shlex
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest
from playwright.sync_api import expect

from demo.client import request
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, run, violations
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

MARKUP = "<img src=x onerror=document.title=7>&lt;b&gt;"

expect.set_options(timeout=PATIENCE)


def test_a_command_is_found_by_its_name_its_help_and_its_arguments(visit: Visit):
    page = visit().open()
    entries = page.locator("a.entry .entry-name")
    for text, found in (
        ("dags trig", "dags trigger"),
        ("import errors", "dags list-import-errors"),
        ("env-vars", "tasks test"),
    ):
        page.get_by_role("searchbox").fill(text)
        expect(entries.get_by_text(found, exact=True)).to_be_visible()
        expect(entries.get_by_text("config lint", exact=True)).to_have_count(0)
    # By what everybody calls it, which is said.
    for text, found, because in (
        ("rerun", "tasks clear", "“rerun”"),
        ("drop pool", "pools delete", "“drop”"),
    ):
        page.get_by_role("searchbox").fill(text)
        entry = page.locator("a.entry", has=page.get_by_text(found, exact=True))
        expect(entry).to_contain_text(because)
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="destructive").click()
    expect(entries.filter(has_text="db clean")).to_be_visible()
    expect(entries.get_by_text("dags list", exact=True)).to_have_count(0)


def test_each_role_sees_what_it_may(visit: Visit):
    admin = visit("admin").open("?view=commands&command=connections/export")
    expect(admin.get_by_role("button", name="Run", exact=True)).to_be_enabled()

    viewer = visit("viewer").open("?view=commands&command=connections/export")
    expect(viewer.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    expect(viewer.get_by_role("alert")).to_contain_text("that takes permission to edit every connection.")
    expect(viewer.locator("a.entry", has_text="connections export")).to_contain_text("not allowed")
    expect(viewer.locator("a.entry", has_text="dags list-runs")).not_to_contain_text("not allowed")

    # Off for everybody, until the configuration names it.
    destructive = visit("admin").open("?view=commands&command=db/clean")
    expect(destructive.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    said = destructive.get_by_role("alert").or_(destructive.locator(".notice"))
    expect(said).to_contain_text("switched off, for administrators too")
    expect(said.get_by_role("region", name="Setting")).to_have_text(
        "[rest_api_plugin]\nenabled_commands = *, db clean"
    )
    expect(destructive.locator("a.entry", has_text="db clean")).to_contain_text("switched off")


def test_what_is_wrong_is_said_at_its_field(visit: Visit, stack: Stack):
    before = stack.get("dags/example_template/dagRuns")["total_entries"]
    visitor = visit()
    visitor.allow("400 (Bad Request)")
    page = visitor.open("?view=commands&command=dags/trigger")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_label("dag_id")).to_be_focused()
    expect(page.get_by_label("dag_id")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("dag_id").fill("example_template")
    page.get_by_label("conf", exact=True).fill("{not json")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".field-error")).to_contain_text("This is not JSON")

    assert page.locator("section.operation").count() == 0
    assert stack.get("dags/example_template/dagRuns")["total_entries"] == before


def test_what_executes_asks_before_and_names_what_it_will_do(visit: Visit):
    page = visit().open("?view=commands&command=tasks/render&a.dag_id=example_template&a.task_id=greet")
    page.get_by_label("logical_date_or_run_id").fill("2024-01-01")
    page.get_by_role("button", name="Run", exact=True).click()
    dialog = page.get_by_role("dialog", name="Run tasks render?")
    expect(dialog).to_contain_text("runs the code of DAG authors")
    expect(dialog).to_contain_text("example_template")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("section.operation")).to_have_count(0)

    page.get_by_role("button", name="Run", exact=True).click()
    dialog.get_by_role("button", name="Run tasks render").click()
    expect(page.locator("section.operation")).to_contain_text("succeeded")


def test_a_question_is_answered_with_no_by_going_back(visit: Visit, stack: Stack):
    page = visit().open("?view=operations")
    page.get_by_role("link", name="Commands").first.click()
    page.locator("a.entry", has_text="dags reserialize").click()
    page.get_by_role("button", name="Run", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.go_back()

    expect(dialog).to_have_count(0)
    expect(page.locator("section.operation")).to_have_count(0)


def test_an_argument_that_makes_the_effect_graver_makes_the_page_ask(visit: Visit):
    page = visit().open("?view=commands&command=dags/list&a.local=true")
    expect(page.get_by_text("With these arguments:")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()

    expect(page.get_by_role("dialog", name="Run dags list?")).to_be_visible()


def test_text_that_looks_like_markup_is_shown_as_it_is(visit: Visit):
    page = visit().open("?view=commands&command=variables/set")
    page.get_by_label("key").fill(MARKUP)
    page.get_by_label("value").fill(MARKUP)
    expect(run(page).locator(".operation-line")).to_contain_text(MARKUP)
    page = visit().open("?view=commands&command=variables/list")
    expect(run(page).get_by_role("cell", name=MARKUP).first).to_be_visible()

    assert page.locator("img").count() == 0
    assert page.title() != "7"


def test_a_result_of_ten_thousand_rows_is_sorted_and_scrolled(visit: Visit, stack: Stack):
    with closing(sqlite3.connect(stack.database, timeout=30)) as database, database:
        rows = [(f"many_{number:05}", "x", False) for number in range(10_000)]
        database.executemany("INSERT INTO variable (key, val, is_encrypted) VALUES (?, ?, ?)", rows)
    try:
        page = visit().open("?view=commands&command=variables/list")
        operation = run(page)
        table = operation.get_by_role("region", name="Result")
        expect(table.get_by_role("cell", name="many_00000")).to_be_visible()
        assert table.locator("tbody tr").count() < 200
        table.get_by_role("button", name="key").click()
        table.get_by_role("button", name="key").click()
        table.evaluate("table => table.scrollTo(0, table.scrollHeight / 2)")
        table.evaluate("table => table.scrollTo(0, 0)")
        expect(table.get_by_role("cell", name="many_09999")).to_be_visible()
        operation.get_by_role("button", name="JSON").click()
        expect(operation.get_by_label("Result as JSON")).to_contain_text("many_05000")
    finally:
        with closing(sqlite3.connect(stack.database, timeout=30)) as database, database:
            database.execute("DELETE FROM variable WHERE key LIKE 'many_%'")


def test_a_result_is_filtered_and_saved_as_csv(visit: Visit, stack: Stack):
    with Client(stack) as client:
        for pool, description in (
            ("csv pool", '=HYPERLINK("http://x")'),
            ("csv other", "-5"),
            ("csv third", "@daily"),
        ):
            client.command("pools/set", pool=pool, slots=3, description=description)
    page = visit().open("?view=commands&command=pools/list")
    operation = run(page)
    table = operation.get_by_role("region", name="Result")
    expect(table.get_by_role("cell", name="default_pool")).to_be_visible()
    operation.get_by_label("Filter the rows").fill("CSV 3")
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(operation.get_by_role("status").filter(has_text="3 of 4 rows")).to_be_visible()
    with page.expect_download() as download:
        operation.get_by_role("button", name="CSV").click()
    assert re.fullmatch(r"pools-list-[0-9a-f]{8}\.csv", download.value.suggested_filename)
    rows = list(csv.DictReader(download.value.path().open(newline="", encoding="utf-8")))
    assert {row["pool"]: row["description"] for row in rows} == {
        "csv pool": '\'=HYPERLINK("http://x")',
        "csv other": "-5",
        "csv third": "@daily",
    }
    operation.get_by_label("Filter the rows").fill("nowhere")
    expect(operation).to_contain_text("No row has that.")


def test_the_lines_to_copy_do_the_same(visit: Visit, stack: Stack):
    page = visit().open("?view=commands&command=variables/set")
    page.get_by_label("key").fill("it's")
    page.get_by_label("value").fill('"quoted" $HOME\nü')
    tabs = page.locator(".elsewhere")
    curl = tabs.locator("pre").inner_text()
    done = subprocess.run(
        ["bash", "-c", curl],
        env={**stack.environment, "TOKEN": stack.token()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["state"] == "succeeded"
    assert stack.get("variables/it's")["value"] == '"quoted" $HOME\nü'

    tabs.get_by_role("tab", name="Command line").click()
    line = tabs.locator("pre").inner_text()
    assert shlex.split(line) == ["airflow", "variables", "set", "it's", '"quoted" $HOME\nü']
    answer = request(
        "POST",
        f"{stack.url}/admin/rest_api/v2/run",
        {"argv": shlex.split(line)[1:]},
        token=stack.token(),
    )
    assert answer["state"] == "succeeded"
    tabs.get_by_role("tab", name="Python").click()
    compile(tabs.locator("pre").inner_text(), "copied", "exec")


def test_a_file_is_dropped_and_another_one_comes_back(visit: Visit, stack: Stack):
    page = visit().open("?view=commands&command=variables/import")
    content = json.dumps({"dropped": "yes"})
    transfer = page.evaluate_handle(
        "content => { const data = new DataTransfer();"
        " data.items.add(new File([content], 'vars.json', {type: 'application/json'})); return data; }",
        content,
    )
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator(".drop")).to_contain_text("vars.json")
    run(page)
    assert stack.get("variables/dropped")["value"] == "yes"

    page = visit().open("?view=commands&command=variables/export")
    operation = run(page)
    with page.expect_download() as download:
        operation.locator(".downloads a").click()
    assert json.loads(download.value.path().read_text())["dropped"] == "yes"


def test_a_file_is_fetched_once_there_is_a_session_again_or_it_is_said_why_not(visit: Visit, stack: Stack):
    visitor = visit()
    visitor.allow("401")
    visitor.allow("404")
    page = visitor.open("?view=commands&command=pools/export")
    operation = run(page)
    cookies = visitor.context.cookies()
    visitor.context.clear_cookies()
    with page.expect_download() as download:
        operation.locator(".downloads a").click()
        expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()
        visitor.context.add_cookies(cookies)
    assert "default_pool" in json.loads(download.value.path().read_text())

    gone = {"detail": {"reason": "unknown_file", "message": "It is gone."}}
    page.route("**/files/**", lambda route: route.fulfill(status=404, json=gone))
    operation.locator(".downloads a").click()
    expect(page.get_by_text("It is gone.")).to_be_visible()


def test_a_required_text_can_be_empty_and_a_name_cannot(visit: Visit, stack: Stack):
    page = visit().open("?view=commands&command=variables/set")
    page.get_by_label("key").fill("empty_value")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".field-error")).to_have_text("This is needed.")
    page.get_by_label("value").fill("x")
    page.get_by_label("value").fill("")
    expect(page.locator(".elsewhere pre")).to_contain_text('"value":""')
    run(page)
    assert stack.get("variables/empty_value")["value"] == ""

    page.get_by_label("key").fill("")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_label("key")).to_have_attribute("aria-invalid", "true")


def test_a_choice_of_an_address_that_is_none_is_left_out(visit: Visit):
    page = visit().open("?view=commands&command=pools/list&a.output=nonsense")
    page.get_by_text("More arguments").or_(page.get_by_text("Arguments", exact=False)).first.wait_for()
    expect(page.locator(".elsewhere pre")).not_to_contain_text("nonsense")


def test_after_back_and_forward_the_form_shows_what_the_address_says(visit: Visit):
    page = visit().open("?view=commands&command=dags/details&a.dag_id=first")
    expect(page.get_by_label("dag_id")).to_have_value("first")
    # As by a link to the same command.
    page.evaluate(
        """async () => {
            const main = document.querySelector('script[type=module]').src;
            const { go } = await import(main.replace('main.js', 'lib/router.js'));
            go('commands', { command: 'dags/details', 'a.dag_id': 'second' });
        }"""
    )
    page.get_by_label("dag_id").fill("third")
    expect(page).to_have_url(re.compile("a.dag_id=third"))
    page.go_back()
    expect(page.get_by_label("dag_id")).to_have_value("first")
    page.go_forward()
    expect(page.get_by_label("dag_id")).to_have_value("third")

    # The entry that is chosen leads nowhere.
    before = page.evaluate("history.length")
    page.locator("a.entry[aria-current]").click()
    expect(page).to_have_url(re.compile("a.dag_id=third"))
    expect(page.get_by_label("dag_id")).to_have_value("third")
    assert page.evaluate("history.length") == before


def test_an_old_endpoint_after_back_shows_what_the_address_says(visit: Visit):
    page = visit().open("?view=endpoints&api=dag_state&a.dag_id=first")
    field = page.get_by_label("dag_id")
    expect(field).to_have_value("first")
    page.evaluate("history.pushState(null, '', '?view=endpoints&api=dag_state&a.dag_id=other')")
    field.fill("second")
    expect(page).to_have_url(re.compile("a.dag_id=second"))
    page.go_back()

    expect(field).to_have_value("first")


def test_an_old_endpoint_is_called_with_its_form(visit: Visit):
    page = visit().open("?view=endpoints")
    expect(page.locator(".facts")).to_contain_text("3.")
    expect(page.get_by_role("region", name="DAGs").get_by_role("link", name="example_slow")).to_be_visible()
    page.get_by_role("link", name="dag_state").click()
    expect(page.locator(".code").first).to_contain_text("/airflow/admin/rest_api/api?api=dag_state&dag_id=")
    page.get_by_role("button", name="Submit").press("Enter")
    expect(page.locator(".field-error")).to_have_count(2)
    expect(page.get_by_label("dag_id")).to_be_focused()
    page.get_by_role("link", name="list_dags").click()
    page.get_by_role("button", name="Submit").click()
    answer = page.locator("section.operation")
    expect(answer).to_contain_text("HTTP 200")

    envelope = json.loads(answer.get_by_label("Envelope").inner_text())
    assert (envelope["status"], envelope["post_arguments"]) == ("OK", {"api": "list_dags"})
    assert "example_slow" in envelope["output"]["stdout"]


@pytest.mark.parametrize(
    ("api", "asked", "quiet"),
    [
        ("render", "a.dag_id=example_template&a.task_id=greet&a.execution_date=2026-01-01", None),
        ("list_dags", "a.report=true", "a.subdir="),
        ("list_tasks", "a.dag_id=example_template", "a.dag_id=example_template&a.tree=true"),
    ],
)
def test_an_old_endpoint_that_runs_code_of_dag_authors_asks_before(
    visit: Visit, api: str, asked: str, quiet: str | None
):
    page = visit().open(f"?view=endpoints&api={api}&{asked}")
    page.get_by_role("button", name="Submit").click()
    dialog = page.get_by_role("dialog", name=f"Call {api}?")
    for argument in asked.split("&"):
        name, _, value = argument.removeprefix("a.").partition("=")
        expect(dialog.locator(".given > div").filter(has_text=name)).to_contain_text(value)
    page.keyboard.press("Escape")
    expect(page.locator("section.operation")).to_have_count(0)
    if quiet is not None:
        page = visit().open(f"?view=endpoints&api={api}&{quiet}")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("section.operation")).to_contain_text("HTTP 200")


def test_an_address_does_not_get_longer_than_servers_take(visit: Visit):
    page = visit().open("?view=commands&command=pools/set")
    page.locator("form.command-form").get_by_label("pool").fill("wide")
    page.get_by_label("description").fill("漢" * 3990)
    expect(page).to_have_url(re.compile("a.pool=wide"))
    page.reload()

    expect(page.locator("form.command-form").get_by_label("pool")).to_have_value("wide")


@pytest.mark.parametrize("copies", [True, False])
def test_copy_keeps_the_focus_and_says_where_it_could_not(visit: Visit, *, copies: bool):
    page = visit().open("?view=commands&command=version")
    button = page.get_by_role("button", name="Copy", exact=False).first
    button.focus()
    # As where the page is not served over TLS.
    page.evaluate("() => Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.evaluate(f"() => {{ document.execCommand = () => {str(copies).lower()}; }}")
    page.keyboard.press("Enter")

    focused = page.locator(":focus")
    expect(focused).to_have_attribute("title", "Copied" if copies else "It could not be copied")


def test_who_still_calls_an_old_endpoint_is_shown_to_administrators(visit: Visit, stack: Stack, axe: str):
    root = f"{stack.url}/admin/rest_api"
    for _ in range(2):
        request("GET", f"{root}/api?api=pool&subdri=x", token=stack.token("admin"))
    deadline = time.monotonic() + 60
    while True:
        found = request("GET", f"{root}/v2/legacy-usage?endpoint=pool", token=stack.token("admin"))
        if [one["calls"] for one in found["callers"]] == [2]:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.1)

    for how in ({"width": 768}, {"width": 1280, "theme": "dark"}):
        page = visit(**how).open("?view=endpoints")
        row = page.get_by_role("table").first.get_by_role("row").filter(has_text="subdri (2)")
        expect(row).to_contain_text("admin")
        assert violations(page, axe) == []
        # Nothing but the table itself is scrolled sideways.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    link = row.get_by_role("link", name="pool")
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("view=operations&endpoint=pool&user=admin"))
    rows = page.get_by_role("region", name="Operations").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("1.x")
    expect(page.get_by_label("Came by")).to_have_value("pool")

    viewer = visit("viewer").open("?view=endpoints")
    expect(viewer.get_by_role("region", name="DAGs").first).to_be_visible()
    expect(viewer.get_by_text("Who still calls")).to_have_count(0)


def test_what_is_wrong_with_a_switch_is_told_to_who_does_not_see_it(visit: Visit):
    visitor = visit()
    visitor.allow("400")
    page = visitor.open("?view=commands&command=variables/set&a.key=switched")
    page.get_by_label("value").fill("x")
    refused = {"detail": {"reason": "bad_argument", "argument": "json", "message": "Not with this one."}}
    page.route(
        "**/v2/commands/variables/set",
        lambda route: (
            route.fulfill(status=400, json=refused) if route.request.method == "POST" else route.continue_()
        ),
    )
    page.get_by_role("button", name="Run", exact=True).click()

    switch = page.get_by_role("switch", name="json")
    expect(switch).to_have_attribute("aria-invalid", "true")
    expect(switch).to_have_accessible_description(re.compile("Not with this one."))
