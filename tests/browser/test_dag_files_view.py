from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, violations
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)


def source(dag_id: str, schedule: str = "@daily", decorator: str = "task") -> str:
    """Return a DAG file; line 4 has the decorator."""
    return (
        "from airflow.sdk import DAG, task\n"
        "\n"
        f"with DAG({dag_id!r}, schedule={schedule!r}, tags=['<i>browser</i>']):\n"
        f"    @{decorator}\n"
        "    def hello():\n"
        "        print('hello')\n"
        "\n"
        "    hello()\n"
    )


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Client]:
    with warm(stack) as client:
        yield client


def deployed(client: Client, name: str, text: str) -> None:
    """Have a file deployed."""
    answer = client.post(
        "/dag-files",
        files={"file": (name, text.encode())},
        data={"overwrite": "true"},
        headers={"Prefer": "wait=110"},
    )
    assert answer.json()["state"] == "succeeded", answer.text


def choose(page: Page, name: str, text: str) -> None:
    """Put a file into the form, in place of the one that is there."""
    for button in page.get_by_role("button", name=re.compile("^Remove ")).all():
        button.click()
    file = {"name": name, "mimeType": "text/x-python", "buffer": text.encode()}
    page.get_by_role("form", name="Deploy").locator("input[type=file]").set_input_files([file])  # type: ignore[list-item]


def press(page: Page, name: str, *, replacing: bool = False) -> Locator:
    """Press Check or Deploy, answer the question with yes, and return what shows the operation."""
    form = page.get_by_role("form", name="Deploy")
    if replacing:
        form.get_by_label("Replace files that are there").check(force=True)
    form.get_by_role("button", name=name, exact=True).click()
    question = page.get_by_role("dialog", name=re.compile(f"^{name} 1 file"))
    expect(question).to_contain_text("on the API server's host")
    question.get_by_role("button", name=name, exact=True).click()
    return page.locator("section.operation")


def open_file(page: Page, name: str, tab: str = "") -> Locator:
    """Choose a file of the list; return what shows it."""
    page.get_by_role("list", name="Files").get_by_role("link", name=name).click()
    if tab:
        page.get_by_role("tab", name=tab).click()
    return page.get_by_role("region", name=name, exact=True)


def test_a_file_is_checked_deployed_broken_and_brought_back(visit: Visit, stack: Stack, admin: Client):
    page = visit().open("?view=dag-files")
    choose(page, "browsed.py", source("browsed", decorator="tsk"))
    operation = press(page, "Check")
    expect(operation).to_contain_text("browsed.py, line 4")
    expect(operation).to_contain_text("name 'tsk' is not defined")
    expect(operation.locator(".finding-line.here")).to_contain_text("@tsk")
    # As any program that checks something.
    expect(operation.locator(".badge.state.tone-bad")).to_have_text("failed")
    expect(operation).to_contain_text("exit code 1")
    assert not (stack.dags / "browsed.py").exists()

    choose(page, "browsed.py", source("browsed"))
    operation = press(page, "Deploy")
    steps = operation.get_by_role("list", name="Progress").get_by_role("listitem")
    expect(steps.filter(has_text="ready")).to_be_visible()
    for step in ("received", "checked", "written", "parsed"):
        expect(steps.filter(has_text=step)).to_be_visible()
    expect(operation).to_contain_text("The files are in place.")
    expect(operation.get_by_role("cell", name="<i>browser</i>")).to_be_visible()
    assert stack.get("dags/browsed")["timetable_summary"] == "0 0 * * *"
    files = page.get_by_role("list", name="Files")
    expect(files.get_by_role("link", name=re.compile(r"browsed\.py"))).to_contain_text("v1")

    # What would change is shown before it does.
    choose(page, "browsed.py", source("browsed", "@hourly"))
    operation = press(page, "Check")
    operation.get_by_text("Difference to what is deployed").click()
    difference = operation.get_by_role("figure")
    expect(difference.locator(".diff-remove")).to_contain_text("@daily")
    expect(difference.locator(".diff-add")).to_contain_text("@hourly")
    operation = press(page, "Deploy")
    expect(operation).to_contain_text("There already: browsed.py")
    operation = press(page, "Deploy", replacing=True)
    expect(operation).to_contain_text("The files are in place.")

    # A broken one is refused, and what was there stays.
    choose(page, "browsed.py", source("browsed", "@hourly", "tsk"))
    operation = press(page, "Deploy")
    expect(operation).to_contain_text("failed")
    expect(operation.locator(".finding-line.here")).to_contain_text("@tsk")
    assert "@tsk" not in (stack.dags / "browsed.py").read_text()

    detail = open_file(page, "browsed.py", "History")
    expect(detail.get_by_role("figure").locator(".diff-add")).to_contain_text("@hourly")
    versions = detail.get_by_role("list", name="Versions").get_by_role("listitem")
    expect(versions).to_have_count(2)
    versions.filter(has_text="v1").get_by_role("button", name="Bring back").click()
    question = page.get_by_role("dialog", name="Bring back version 1?")
    expect(question).to_contain_text("browsed.py")
    question.get_by_role("button", name="Bring back").click()
    expect(detail.locator("section.operation")).to_contain_text("succeeded")
    expect(versions).to_have_count(3)
    assert (stack.dags / "browsed.py").read_text() == source("browsed")
    assert stack.get("dags/browsed")["timetable_summary"] == "0 0 * * *"


def test_a_file_is_looked_at_downloaded_and_deleted(visit: Visit, stack: Stack, admin: Client):
    deployed(admin, "leaving.py", source("leaving"))
    page = visit().open("?view=dag-files")
    detail = open_file(page, "leaving.py")
    expect(detail.locator(".log-box")).to_contain_text("with DAG('leaving'")
    expect(detail.locator(".log-number").nth(2)).to_have_text("3")
    expect(detail).to_contain_text("version 1 by admin")
    with page.expect_download() as download:
        detail.get_by_role("button", name="Download").click()
    assert download.value.path().read_text() == source("leaving")
    assert download.value.suggested_filename == "leaving.py"
    assert page.locator("main i").count() == 0

    detail.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete leaving.py?")
    question.get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_contain_text("leaving.py is deleted")
    expect(page.get_by_role("list", name="Files")).not_to_contain_text("leaving.py")
    assert not (stack.dags / "leaving.py").exists()

    page.get_by_role("link", name="Deployments").click()
    deployments = page.get_by_role("list", name="Deployments").get_by_role("listitem")
    expect(deployments.first).to_contain_text("Deleted")
    deployments.first.locator("summary").click()
    expect(deployments.first).to_contain_text("leaving.py")


def test_a_change_behind_our_back_is_seen(visit: Visit, stack: Stack, admin: Client):
    deployed(admin, "touched.py", source("touched"))
    (stack.dags / "touched.py").write_text(source("touched", "@weekly"))
    page = visit().open("?view=dag-files")
    entry = page.get_by_role("list", name="Files").get_by_role("link", name=re.compile(r"touched\.py"))
    expect(entry).to_contain_text("changed outside")
    detail = open_file(page, "touched.py", "History")

    expect(detail.get_by_role("alert")).to_contain_text("somebody changed it another way")
    expect(detail.get_by_role("figure").locator(".diff-add")).to_contain_text("@weekly")


@pytest.fixture
def many(stack: Stack) -> Iterator[Path]:
    """A folder with 10,000 files, which no DAG processor looks into."""
    folder = stack.dags / "many"
    folder.mkdir()
    for number in range(10_000):
        (folder / f"file_{number:05}.txt").touch()
    yield folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_ten_thousand_files_are_found_by_name_and_by_dag(visit: Visit, many: Path):
    page = visit().open("?view=dag-files")
    entries = page.get_by_role("list", name="Files").get_by_role("listitem")
    expect(page.get_by_text(re.compile(r"^10,\d\d\d files$"))).to_be_visible()
    assert entries.count() < 100

    find = page.get_by_label("Find a file or a DAG")
    find.fill("file_09999")
    expect(entries).to_have_count(1)
    find.fill("example_slow")
    expect(entries.first).to_contain_text("example_slow.py")
    find.fill("")
    page.get_by_label("Folder").first.select_option("many")
    expect(page.get_by_text(re.compile(r"^10,000 of 10,"))).to_be_visible()


def test_an_archive_is_unpacked_into_a_folder(visit: Visit, stack: Stack, tmp_path: Path):
    import zipfile

    archive = tmp_path / "project.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("packed/from_zip.py", source("from_zip"))
        packed.writestr("packed/notes.txt", "not a DAG")
    page = visit().open("?view=dag-files")
    form = page.get_by_role("form", name="Deploy")
    form.locator("input[type=file]").set_input_files(str(archive))
    expect(form.get_by_label("Unpack the archive")).to_be_checked()
    form.get_by_label("Folder").fill("team/one")
    operation = press(page, "Deploy")

    expect(operation).to_contain_text("The files are in place.")
    assert (stack.dags / "team/one/packed/notes.txt").read_text() == "not a DAG"
    detail = open_file(page, "team/one/packed/from_zip.py")
    expect(detail).to_contain_text("from_zip")


@pytest.mark.parametrize("width", [1280, 390])
def test_who_may_not_deploy_reads_a_sentence(visit: Visit, width: int):
    visitor = visit("viewer", width=width)
    visitor.allow("403")
    page = visitor.open("?view=dag-files")

    notice = page.locator(".pane-detail").get_by_role("alert")
    expect(notice).to_contain_text("You may not look at DAG files")
    expect(notice).to_be_visible()
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_have_count(0)


def test_a_difference_is_named_after_the_versions_that_it_is_of(visit: Visit, admin: Client):
    for schedule in ("@daily", "@hourly"):
        deployed(admin, "compared.py", source("compared", schedule))
    page = visit().open("?view=dag-files")
    detail = open_file(page, "compared.py", "History")
    figure = detail.get_by_role("figure")
    expect(figure).to_have_accessible_name("From version 1 to version 2")
    waiting: list[Route] = []
    page.route("**/dag-files/file/diff?**", lambda route: waiting.append(route))
    detail.get_by_label("From", exact=True).select_option("2")
    page.wait_for_timeout(500)
    # What is shown is still the other one.
    expect(figure).to_have_accessible_name("From version 1 to version 2")
    waiting[0].continue_()
    expect(detail.get_by_text("There is no difference.")).to_be_visible()


def test_a_page_of_deployments_that_is_slow_comes_once(visit: Visit):
    visitor = visit()
    one = {"kind": "deploy", "count": 1, "bundle": "b", "user": "u", "at": "2026-01-01T00:00:00Z"}
    waiting: list[Route] = []

    def answer(route: Route) -> None:
        if "cursor" in route.request.url:
            waiting.append(route)
        else:
            route.fulfill(json={"deployments": [{**one, "id": "1"}], "next": "more"})

    visitor.context.route("**/dag-files/deployments?**", answer)
    page = visitor.open("?view=dag-files&show=deployments")
    for _ in range(3):
        page.get_by_role("button", name="Older ones").click()
    page.wait_for_timeout(300)
    for route in waiting:
        route.fulfill(json={"deployments": [{**one, "id": "2"}], "next": None})

    expect(page.get_by_role("button", name="Older ones")).to_have_count(0)
    expect(page.get_by_role("list", name="Deployments").get_by_role("listitem")).to_have_count(2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_report_and_in_a_history(
    visit: Visit, admin: Client, axe: str, theme: str
):
    deployed(admin, f"{theme}.py", source(theme))
    deployed(admin, f"{theme}.py", source(theme, "@hourly"))
    page = visit(theme=theme).open("?view=dag-files")
    choose(page, f"{theme}.py", source(theme, "@weekly", "tsk"))
    operation = press(page, "Check")
    operation.get_by_text("Difference to what is deployed").click()
    expect(operation.get_by_role("figure")).to_be_visible()
    found = violations(page, axe)
    detail = open_file(page, f"{theme}.py", "History")
    expect(detail.get_by_role("figure")).to_be_visible()
    found += violations(page, axe)
    page.get_by_role("link", name="Deployments").click()
    page.get_by_role("list", name="Deployments").locator("summary").first.click()
    found += violations(page, axe)

    assert found == []
