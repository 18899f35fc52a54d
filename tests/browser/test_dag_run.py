from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from demo import component
from demo.client import Unavailable, request
from demo.component import Component
from tests.browser.conftest import Visit
from tests.browser.visitor import PATIENCE, Visitor, run, violations
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[1] / "data" / "dags"
TRIGGER = "?view=commands&command=dags/trigger&a.dag_id="

expect.set_options(timeout=PATIENCE)

FIELDS = """async (cases) => {
    const load = name => import(document.querySelector('script[type=module]').src.replace('main.js', name));
    const { fieldsOf, read, fault, shown, withValue, parsed } = await load('lib/params.js');
    return cases.map(([param, typed]) => {
        const [field] = fieldsOf({ p: param });
        if (!field) return null;
        const { value, error } = typed === undefined ? { value: field.initial } : read(field, typed);
        return { kind: field.kind, required: field.required, value: value ?? null, shown: shown(field, value),
                 error: error ?? fault(field, value), conf: parsed(withValue({ other: 1 }, field, value)) };
    });
}"""


@pytest.fixture(scope="module")
def params(stack: Stack) -> str:
    """The DAG with params of every kind, as Airflow has it."""
    shutil.copy(DAGS / "all_params.py", stack.dags)
    deadline = time.monotonic() + 120
    while not _known(stack, "all_params"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return "all_params"


def _known(stack: Stack, dag_id: str) -> bool:
    try:
        return bool(stack.get(f"dags/{dag_id}/dagVersions")["dag_versions"])
    except Unavailable:
        return False


@pytest.fixture
def scheduler(stack: Stack) -> Iterator[None]:
    words = [str(Path(shutil.which("airflow", path=stack.environment["PATH"]) or "airflow")), "scheduler"]
    output = stack.home / "logs" / "scheduler.out"
    one = Component("scheduler", words, env=stack.environment, cwd=stack.home, output=output)
    try:
        yield
    finally:
        component.stop([one])


def form(page: Page, dag_id: str) -> Locator:
    """Return the fields of a DAG's params, once they are there."""
    fields = page.get_by_role("region", name=f"Params of {dag_id}")
    expect(fields).to_be_visible()
    return fields


def conf_of(page: Page, name: str = "conf") -> Any:
    text = page.get_by_label(name, exact=True).input_value()
    return json.loads(text) if text else None


@pytest.mark.parametrize(
    ("param", "typed", "expected"),
    [
        ({"value": "a", "schema": {"type": "string"}}, "b", ("text", "b", None)),
        ({"value": "a", "schema": {"type": "string"}}, "", ("text", None, "This is needed.")),
        ({"value": None, "schema": {"type": ["null", "string"]}}, "", ("text", None, None)),
        ({"value": "ab", "schema": {"type": "string", "minLength": 2}}, "a", ("text", "a", "2 characters")),
        ({"value": "ab", "schema": {"type": "string", "maxLength": 2}}, "😀😀", ("text", "😀😀", None)),
        ({"value": 1, "schema": {"type": "integer"}}, "2", ("number", 2, None)),
        ({"value": 1, "schema": {"type": "integer"}}, "2.5", ("number", 2.5, "a whole number")),
        ({"value": 1, "schema": {"type": "number", "maximum": 3}}, "3.5", ("number", 3.5, "The most is 3")),
        ({"value": 1, "schema": {"type": "number"}}, "x", ("number", None, "not a number")),
        ({"value": 1, "schema": {"type": "integer"}}, "9007199254740993", ("number", None, "too large")),
        ({"value": {}, "schema": {"type": "object"}}, '{"a": [9007199254740993]}', ("json", None, "large")),
        (
            {"value": {}, "schema": {"type": "object"}},
            '{"a": "9007199254740993"}',
            ("json", {"a": "9007199254740993"}, None),
        ),
        ({"value": True, "schema": {"type": "boolean"}}, False, ("switch", False, None)),
        ({"value": "a", "schema": {"enum": ["a", 3]}}, "3", ("choice", 3, None)),
        ({"value": "a", "schema": {"type": "string", "enum": ["a"]}}, "b", ("choice", "b", "One of a.")),
        ({"value": [], "schema": {"type": "array", "examples": ["x"]}}, ["x"], ("several", ["x"], None)),
        ({"value": [], "schema": {"type": "array"}}, "a\nb\n", ("lines", ["a", "b"], None)),
        (
            {"value": [1], "schema": {"type": "array", "items": {"type": "number"}}},
            "[2]",
            ("json", [2], None),
        ),
        ({"value": {}, "schema": {"type": "object"}}, '{"a": 1}', ("json", {"a": 1}, None)),
        ({"value": {}, "schema": {"type": "object"}}, "[1]", ("json", None, "of the type object")),
        ({"value": {}, "schema": {"type": "object"}}, "{", ("json", None, "This is not JSON")),
        ({"value": 1, "schema": {"type": ["integer", "string"]}}, "2", ("any", 2, None)),
        ({"value": 1, "schema": {"type": ["integer", "string"]}}, "x", ("any", "x", None)),
        (
            {"value": None, "schema": {"type": "string", "format": "date-time"}},
            "2026-01-02T03:04",
            ("datetime", "2026-01-02T03:04:00+00:00", None),
        ),
        (
            {"value": "", "schema": {"type": "string", "format": "date"}},
            "2026-01-02",
            ("date", "2026-01-02", None),
        ),
        ({"value": "a", "schema": {"type": "string", "format": "multiline"}}, "a\nb", ("long", "a\nb", None)),
        ({"value": "a", "schema": {"type": "string", "format": "password"}}, "x", ("password", "x", None)),
        ({"value": 7, "schema": {}}, "8", ("number", 8, None)),
        ({"value": ["a", 1], "schema": {}}, '["b"]', ("json", ["b"], None)),
        ({"value": None, "schema": {}}, "", ("text", None, None)),
        ({"value": "a", "schema": {"type": "string", "enum": 7, "examples": "x"}}, "b", ("text", "b", None)),
    ],
    ids=str,
)
def test_a_param_is_a_field_of_its_type(
    tools: Page, param: dict[str, Any], typed: Any, expected: tuple[str, Any, str | None]
):
    [found] = tools.evaluate(FIELDS, [[param, typed]])
    kind, value, error = expected
    assert (found["kind"], found["value"]) == (kind, value)
    assert (error or "") in (found["error"] or "")
    assert bool(error) == bool(found["error"])
    # What is the param's own value need not be said, and what is not a param stays.
    if value is not None and value != param["value"]:
        assert found["conf"] == {"other": 1, "p": value}


@pytest.fixture(scope="module")
def tools(browser: Any, stack: Stack) -> Iterator[Page]:
    """A page for its modules."""
    visitor = Visitor(browser, stack, "admin")
    yield visitor.open()
    visitor.context.close()


def test_a_constant_is_not_asked_for_and_its_own_value_is_not_said(tools: Page):
    constant = {"value": 1, "schema": {"const": 1}}
    own = {"value": 1, "schema": {"type": "integer"}}
    assert tools.evaluate(FIELDS, [[constant, None]]) == [None]
    [found] = tools.evaluate(FIELDS, [[own, "1"]])
    assert found["conf"] == {"other": 1}


def test_no_name_of_a_value_is_taken_for_what_every_object_has(visit: Visit):
    visitor = visit()
    page = visitor.open()
    names = ["constructor", "__proto__", "toString"]
    param = {"value": names[0], "schema": {"type": "string", "enum": names, "title": {"a": 1}}}
    several = {"value": names[:1], "schema": {"type": "array", "examples": names}}
    details = {"params": {"one": param, "several": several}}
    page.route("**/dags/odd/details", lambda route: route.fulfill(json=details))
    page.goto(f"{page.url.partition('?')[0]}{TRIGGER}odd")
    fields = form(page, "odd")

    expect(fields.locator("option")).to_have_text(names)
    expect(fields.locator(".several label")).to_have_text(names)
    # What is drawn is marked: an object that all others are made from marks them all.
    assert page.evaluate("Object.keys(Object.prototype)") == []


def test_the_params_of_a_dag_are_a_form_in_step_with_its_configuration(visit: Visit, params: str, axe: str):
    page = visit().open(TRIGGER + params)
    fields = form(page, params)
    expect(fields.get_by_label("A text")).to_have_value("hello")
    expect(fields.get_by_text("What to say")).to_be_visible()
    expect(fields.get_by_label("moment")).to_have_value("2026-01-02T03:04:05")
    expect(fields.get_by_label("never asked")).to_have_count(0)
    expect(fields.get_by_role("heading", name="Ways to fail")).to_be_visible()
    assert violations(page, axe) == []

    fields.get_by_label("count").fill("5")
    number = fields.get_by_role("textbox", name="number", exact=True)
    number.press("End")
    number.press_sequentially("0")
    expect(number).to_have_value("1.50")
    fields.get_by_label("choice").select_option("The first")
    fields.get_by_role("group", name="several").get_by_label("z").check()
    fields.get_by_label("fail").check(force=True)
    fields.get_by_label("object").fill('{"key": 2}')
    changed = {"count": 5, "choice": "a", "several": ["x", "z"], "fail": True, "object": {"key": 2}}
    assert conf_of(page) == changed

    # What is written by hand is shown, and what cannot be is said.
    page.get_by_label("conf", exact=True).fill('{"count": 100, "text": "x", "mine": 1}')
    expect(fields.get_by_label("count")).to_have_value("100")
    expect(fields.get_by_text("This has to be less than 100.")).to_be_visible()
    expect(fields.get_by_text("This has to have 2 characters at least.")).to_be_visible()
    expect(fields.get_by_text("The DAG has no param mine")).to_be_visible()
    fields.get_by_label("count").fill("3")
    assert conf_of(page) == {"text": "x", "mine": 1}
    page.get_by_label("conf", exact=True).fill('{"count":')
    expect(fields.get_by_label("count")).to_be_disabled()
    fields.get_by_role("button", name="Begin anew").click()
    expect(fields.get_by_label("A text")).to_have_value("hello")


def test_a_param_that_is_written_wrong_keeps_the_run_from_starting(visit: Visit):
    page = visit().open(f"{TRIGGER}example_slow")
    seconds = form(page, "example_slow").get_by_label("seconds")
    seconds.fill("1 s")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(seconds).to_be_focused()
    expect(seconds).to_have_attribute("aria-invalid", "true")
    expect(page.locator("section.operation")).to_have_count(0)

    # What only the DAG would refuse is the command's to refuse.
    details = {"params": {"off": {"value": False, "schema": {"type": "boolean"}}}}
    page.route("**/dags/odd/details", lambda route: route.fulfill(json=details))
    page.goto(f"{page.url.partition('?')[0]}{TRIGGER}odd")
    assert form(page, "odd").get_by_role("switch").evaluate("one => one.matches(':invalid')") is False


def test_a_secret_param_never_gets_into_the_address(visit: Visit, params: str):
    page = visit().open(TRIGGER + params)
    form(page, params).get_by_label("secret").fill("hunter2")
    expect(page.get_by_label("conf", exact=True)).to_have_value('{\n  "secret": "hunter2"\n}')
    assert "hunter2" not in page.url


def test_a_secret_param_that_is_written_by_hand_stays_out_of_the_address_and_of_what_is_copied(
    visit: Visit, params: str
):
    page = visit().open(TRIGGER)
    conf = page.get_by_label("conf", exact=True)
    conf.fill('{"secret": "hunter2"}')
    page.get_by_label("dag_id").fill(params)
    assert "hunter2" not in page.url
    form(page, params)
    conf.press("End")
    conf.press_sequentially(" ")
    expect(page).to_have_url(re.compile(f"a.dag_id={params}"))
    assert "conf" not in page.url
    for tab in ("curl", "Python", "Command line"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(".elsewhere pre")).to_contain_text("<conf>")
        expect(page.locator(".elsewhere")).not_to_contain_text("hunter2")

    # A link that somebody has made with it does not stay.
    page = visit().open(f"{TRIGGER}{params}&a.conf=%7B%22secret%22%3A%22hunter2%22%7D")
    expect(form(page, params).get_by_label("secret")).to_have_value("hunter2")
    expect(page).not_to_have_url(re.compile("hunter2"))


def test_a_configuration_gets_into_the_address_when_the_params_have_come_and_none_is_a_secret(visit: Visit):
    page = visit().open(f"{TRIGGER}example_slow")
    page.route("**/dags/example_slow/details", lambda route: route.abort())
    page.get_by_label("dag_id").fill("example_slow_or_not")
    page.get_by_label("conf", exact=True).fill('{"seconds": 7}')
    expect(page).to_have_url(re.compile("dag_id=example_slow_or_not"))
    assert "a.conf" not in page.url
    page.unroute("**/dags/example_slow/details")
    page.get_by_label("dag_id").fill("example_slow")

    expect(page).to_have_url(re.compile("a.conf=.*seconds"))


def test_numbers_too_large_for_a_field_are_left_as_they_were_written(visit: Visit, params: str):
    page = visit().open(TRIGGER + params)
    fields = form(page, params)
    text = '{"count": 9007199254740993}'
    page.get_by_label("conf", exact=True).fill(text)
    expect(fields.get_by_text("A number in conf is too large")).to_be_visible()
    expect(fields.get_by_label("count")).to_be_disabled()
    page.get_by_label("conf", exact=True).fill("")
    fields.get_by_label("maybe").fill("9007199254740993")
    expect(fields.get_by_text("This number is too large for this field.")).to_be_visible()
    expect(page.get_by_label("conf", exact=True)).to_have_value("")


@pytest.mark.parametrize(
    ("command", "argument"), [("dags/test", "conf"), ("backfill/create", "dag_run_conf")]
)
def test_every_command_that_takes_a_configuration_has_the_form(
    visit: Visit, params: str, command: str, argument: str
):
    page = visit().open(f"?view=commands&command={command}&a.dag_id={params}")
    form(page, params).get_by_label("count").fill("9")
    assert conf_of(page, argument) == {"count": 9}


def test_a_run_that_was_triggered_is_followed_to_its_end_and_to_the_log_of_its_failed_task(
    visit: Visit, stack: Stack, params: str, scheduler: None, axe: str
):
    page = visit().open(TRIGGER + params)
    form(page, params).get_by_label("fail").check(force=True)
    run(page)
    followed = page.get_by_role("region", name="DAG run")
    [made] = stack.get(f"dags/{params}/dagRuns?order_by=-id&limit=1")["dag_runs"]
    address = f"{stack.url}/dags/{params}/runs/"
    link = followed.get_by_role("link", name="Open in Airflow")
    assert link.evaluate("link => decodeURIComponent(link.href)") == address + made["dag_run_id"]

    expect(followed.get_by_role("status")).to_have_text("failed", timeout=180_000)
    expect(followed.get_by_role("list", name="Task instances")).to_have_text("1 failed")
    followed.get_by_role("button", name="Log of work").click()
    expect(followed.get_by_role("alert")).to_have_text("ValueError: It failed for hello.")
    expect(followed.get_by_role("region", name="Log of work")).to_contain_text("The work has begun.")
    assert violations(page, axe) == []
    with page.context.expect_page() as opened:
        link.click()
    assert opened.value.url.startswith(stack.url)
    # It can be followed from the list of operations as well.
    page = visit().open("?view=operations&command=dags+trigger")
    page.get_by_role("row", name="dags trigger").or_(page.get_by_text("dags trigger")).first.click()
    expect(page.get_by_role("region", name="DAG run").get_by_role("status")).to_have_text("failed")


def test_a_run_of_a_paused_dag_says_what_it_waits_for(visit: Visit, stack: Stack, params: str):
    def pause(paused: bool) -> None:
        url = f"{stack.url}/api/v2/dags/{params}"
        request("PATCH", url, {"is_paused": paused}, token=stack.token())

    pause(True)
    try:
        page = visit().open(TRIGGER + params)
        run(page)
        followed = page.get_by_role("region", name="DAG run")
        expect(followed.get_by_role("status").first).to_have_text("queued")
        expect(followed).to_contain_text("The DAG is paused: the run begins when it is resumed.")
    finally:
        pause(False)


def test_a_command_that_fails_shows_its_sentence_and_folds_the_traceback(visit: Visit):
    page = visit().open(TRIGGER + "there_is_none")
    operation = run(page, "failed")
    expect(operation.get_by_role("alert")).to_have_text("Dag id there_is_none not found in DagModel")
    trace = operation.get_by_text("airflow.exceptions.DagNotFound")
    expect(operation.get_by_text("Traceback", exact=False).first).to_be_visible()
    expect(trace).to_have_count(0)
    operation.locator("summary", has_text="Traceback").click()
    expect(trace).to_be_visible()
