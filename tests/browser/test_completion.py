"""The names that fields complete, asked from a real Airflow as a field asks."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)

NAME = "Completed_one.of-Many"
SOURCE = f"""
from airflow.sdk import DAG, task

with DAG({NAME!r}, schedule=None):
    task(task_id={NAME!r})(lambda: None)()
"""
# What SQL's LIKE would take for any character: none of these is completed from the text of the other.
LOOKALIKES = ("Completed.one.of-Many", "CompletedXone.of-Many", "Completed_one_of-Many")
PIECES = ("Completed_one", "completed_ONE.of", "ted_o", "_one.", ".of-m", "y", NAME, NAME.upper())

KINDS = {
    "dag": ("dags", "dag_id"),
    "task": ("tasks", "task_id"),
    "run": ("dags", "run_id"),
    "pool": ("pools", "pool"),
    "connection": ("connections", "conn_id"),
    "variable": ("variables", "key"),
}
ASK = """async ([group, name, texts, dag]) => {
    const main = document.querySelector('script[type=module]').src;
    const { suggester } = await import(main.replace('main.js', 'lib/suggest.js'));
    const suggest = suggester(group, name);
    const asked = texts.map(async text => [text, await suggest(text, {dag_id: dag})]);
    return Object.fromEntries(await Promise.all(asked));
}"""


@pytest.fixture(scope="module")
def named(stack: Stack) -> str:
    """A DAG, a task, a run, a pool, a connection and a variable of one name, and others that look alike."""
    with warm(stack) as client:
        answer = client.post(
            "/dag-files",
            files={"file": ("completed.py", SOURCE.encode())},
            data={"wait": "true"},
            headers={"Prefer": "wait=110"},
        )
        assert answer.json()["state"] == "succeeded", answer.text
        for name in (NAME, *LOOKALIKES):
            for path, arguments in (
                ("dags/trigger", {"dag_id": NAME, "run_id": name}),
                ("pools/set", {"pool": name, "slots": 1, "description": "x"}),
                ("connections/add", {"conn_id": name, "conn_type": "http"}),
                ("variables/set", {"key": name, "value": "x"}),
            ):
                done = client.command(path, **arguments).json()
                assert done["state"] == "succeeded", done
    return NAME


def completed(page: Page, kind: str, *texts: str) -> dict[str, list[str]]:
    """Return what a field of a kind offers for each text."""
    found: dict[str, list[str]] = page.evaluate(ASK, [*KINDS[kind], list(texts), NAME])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_any_piece_of_a_name_completes_it_whatever_its_case_and_signs(visit: Visit, named: str, kind: str):
    found = completed(visit().open(), kind, *PIECES)

    assert {text: named in names for text, names in found.items()} == dict.fromkeys(PIECES, True)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_offered_that_does_not_hold_the_text(visit: Visit, named: str, kind: str):
    texts = ("Completed_one.of", "%", "\\", "one|of", "~", "Ü", "_", "")
    found = completed(visit().open(), kind, *texts)

    assert found.pop("Completed_one.of") == [named]
    assert [name for text, names in found.items() for name in names if text.lower() not in name.lower()] == []
    assert (found["%"], found["one|of"], found["Ü"]) == ([], [], [])
    assert named in found["_"]


def test_a_field_offers_a_name_that_was_typed_beyond_its_first_underscore(visit: Visit, named: str):
    page = visit().open("?view=commands&command=dags/details")
    page.get_by_label("dag_id").press_sequentially("completed_o")

    expect(page.locator("datalist option")).to_have_count(1)
    expect(page.locator("datalist option")).to_have_attribute("value", named)


def test_names_beyond_the_first_hundred_lookalikes_are_found(visit: Visit, stack: Stack):
    names = [f"many-{number:03}-of" for number in range(150)] + ["many-150_of"]
    with closing(sqlite3.connect(stack.database, timeout=30)) as database, database:
        rows = [(name, "x", False) for name in names]
        database.executemany("INSERT INTO variable (key, val, is_encrypted) VALUES (?, ?, ?)", rows)
    try:
        found = completed(visit().open(), "variable", "_of", "y-150_o", "many-")
    finally:
        with closing(sqlite3.connect(stack.database, timeout=30)) as database, database:
            database.execute("DELETE FROM variable WHERE key LIKE 'many-%'")

    assert "many-150_of" in found["_of"]
    assert found["y-150_o"] == ["many-150_of"]
    assert len(found["many-"]) == 25
