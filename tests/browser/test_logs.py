"""Logs: lines that are too long for the window, and lines that belong together."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.clients import warm
from tests.browser.conftest import Visit
from tests.browser.geometry import faults
from tests.browser.visitor import PATIENCE
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

expect.set_options(timeout=PATIENCE)

WORDS = "some words of a long line, with ünïcödé, 漢字漢字 and\ttabs; " * 25
GROUPED = f"""before
2026-01-01T00:00:00Z [info     ] ::group::Setup of it      [task] loc=x.py:1
alpha
beta {WORDS}
2026-01-01T00:00:01Z [info     ] ::endgroup::
between {WORDS}
::group::What went wrong
Traceback (most recent call last):
ValueError: gamma
::endgroup::
::group::Without an end
delta
last"""
TILED = """() => {
    const rows = [...document.querySelectorAll('.log-row')].map(one => one.getBoundingClientRect());
    rows.sort((one, other) => one.top - other.top);
    return rows.slice(1).every((row, at) => Math.abs(row.top - rows[at].bottom) < 1);
}"""


@pytest.fixture(scope="module")
def grouped(stack: Stack) -> str:
    """An operation that has printed groups and long lines."""
    with warm(stack) as client:
        client.command("variables/set", key="grouped", value=GROUPED)
        return str(client.command("variables/get", key="grouped").json()["id"])


def opened(visit: Visit, operation: str, **how: Any) -> tuple[Page, Locator]:
    page = visit(**how).open(f"?view=operations&id={operation}")
    expect(page.locator("section.operation")).to_contain_text("succeeded")
    if page.get_by_role("tab", name="Output").count():
        page.get_by_role("tab", name="Output").click()
    box = page.locator(".log-box")
    expect(box).to_contain_text("last")
    return page, box


def test_groups_are_folded_but_those_in_which_something_went_wrong(visit: Visit, grouped: str):
    page, box = opened(visit, grouped)
    expect(box.locator(".log-row", has_text="Setup of it")).to_contain_text("2 lines")
    expect(box).not_to_contain_text("alpha")
    expect(box).not_to_contain_text("group::")
    expect(box).to_contain_text("ValueError: gamma")
    expect(box).to_contain_text("delta")

    fold = box.get_by_role("button", name="Lines of Setup of it")
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(box).to_contain_text("alpha")
    fold.click()
    expect(box).not_to_contain_text("alpha")
    page.get_by_role("button", name="Unfold all").or_(page.get_by_role("button", name="Fold all")).click()
    expect(box).not_to_contain_text("gamma")
    expect(box).not_to_contain_text("delta")
    page.get_by_role("button", name="Unfold all").click()
    for text in ("alpha", "gamma", "delta"):
        expect(box).to_contain_text(text)
    assert page.evaluate(TILED)


def test_folds_are_reached_by_keys_and_opened_by_what_is_searched(visit: Visit, grouped: str):
    page, box = opened(visit, grouped)
    box.focus()
    page.keyboard.press("Tab")
    expect(box.get_by_role("button", name="Lines of Setup of it")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(box.get_by_role("button", name="Lines of What went wrong")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).not_to_contain_text("gamma")

    page.get_by_label("Find in the output").fill("ALPHA")
    expect(page.locator(".log-found")).to_contain_text("alpha")
    expect(page.locator(".log-found")).to_be_in_viewport()


@pytest.mark.parametrize("width", [390, 1280])
def test_lines_wrap_on_demand_and_each_has_the_room_it_needs(visit: Visit, grouped: str, width: int):
    page, box = opened(visit, grouped, width=width)
    wide = "box => box.scrollWidth > box.clientWidth + 1"
    assert box.evaluate(wide)
    page.get_by_label("Wrap").check()
    expect(box.locator(".log-wrapped").first).to_be_attached()
    page.get_by_role("button", name="Fold all").or_(page.get_by_role("button", name="Unfold all")).click()
    for _ in range(2):
        page.wait_for_function(TILED)
        assert not box.evaluate(wide)
        assert [one for one in faults(page) if "log" in one] == []
        # Another window has other lines.
        page.set_viewport_size({"width": width + 200, "height": 700})
    page.get_by_label("Wrap").uncheck()
    expect(box.locator(".log-wrapped")).to_have_count(0)
    assert page.evaluate(TILED)


MODEL = """async ([calls, columns, stream]) => {
    const main = document.querySelector('script[type=module]').src;
    const load = name => import(main.replace('main.js', name));
    const { Lines } = await load('lib/lines.js');
    const { LogLayout } = await load('lib/loglayout.js');
    const lines = new Lines({ mostRows: 900 });
    const layout = new LogLayout(lines);
    layout.change({ columns: columns ?? Infinity, stream });
    const wrong = [];
    for (const [name, ...values] of calls) {
        if (name === 'add') lines.add(...values);
        else if (name === 'fold' && layout.groups.size) {
            layout.fold([...layout.groups.keys()][values[0] % layout.groups.size]);
        }
        else if (name === 'size') layout.resize(lines.dropped + values[0], values[1]);
        layout.update();
        let place = 0;
        for (let number = lines.dropped; number < lines.end; number++) {
            const size = layout.size(number);
            if (layout.place(number) !== place) wrong.push(['place', number]);
            for (let part = place; part < place + size; part++) {
                if (layout.at(part) !== number) wrong.push(['at', part]);
            }
            place += size;
        }
        if (layout.total !== place || layout.at(place) !== undefined) wrong.push(['total', place]);
        if (wrong.length) break;
    }
    const shown = [];
    for (let number = lines.dropped; number < lines.end; number++) {
        if (layout.size(number)) shown.push(lines.row(number).text);
    }
    const groups = [...layout.groups.values()].map(one => [one.title, one.rows, one.folded]);
    return { wrong, shown, groups };
}"""


@pytest.mark.parametrize("columns", [None, 10])
@pytest.mark.parametrize("stream", ["both", "stdout"])
def test_rows_and_places_lead_to_each_other(visit: Visit, columns: int | None, stream: str):
    seeded = random.Random(11)
    pieces = (
        "line\n",
        "::group::One\n",
        "::endgroup::\n",
        "half ",
        "a much longer line than ten\n",
        "::gro",
        "up::Two\n",
    )
    calls: list[list[Any]] = []
    for _ in range(600):
        text = "".join(seeded.choice(pieces) for _ in range(seeded.randrange(1, 12)))
        calls.append(["add", seeded.choice(("stdout", "stderr")), text])
        if not seeded.randrange(8):
            calls.append(["fold", seeded.randrange(50)])
        if not seeded.randrange(8):
            calls.append(["size", seeded.randrange(400), seeded.randrange(1, 5)])
    found = visit().open().evaluate(MODEL, [calls, columns, stream])

    assert found["wrong"] == []
    assert found["groups"]


def test_a_mark_that_comes_in_pieces_and_lines_of_the_other_stream_between(visit: Visit):
    calls = [
        ["add", "stdout", "::gro"],
        ["add", "stderr", "elsewhere\n"],
        ["add", "stdout", "up::Title"],
        ["add", "stdout", "\none\ntw"],
        ["add", "stdout", "o\n::endgroup::\nafter\n"],
    ]
    found = visit().open().evaluate(MODEL, [calls, None, "both"])

    assert found["groups"] == [["Title", 2, True]]
    assert found["shown"] == ["::group::Title", "elsewhere", "after"]
