from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.operations.result import parse_result, reader

PRETTY = '[\n  {\n    "a": 1,\n    "b": [\n      2\n    ]\n  }\n]'


@pytest.mark.parametrize(
    ("stdout", "result"),
    [
        ('[{"a": 1}]\n', [{"a": 1}]),
        ("[]\n", []),
        ('{"a": "[x]"}', {"a": "[x]"}),
        ("null\n", None),
        ('2026-01-01T00:00:00Z [info     ] Filling up [airflow.x] loc=x.py:1\n[{"a": 1}]\n', [{"a": 1}]),
        ('[2026-01-01T00:00:00.000+0000] {x.py:1} INFO - text\n[{"a": 1}]\n', [{"a": 1}]),
        ('[1] a log line\n{"b": 2} another\n' + PRETTY + "\n", [{"a": 1, "b": [2]}]),
        (PRETTY + "\nWARNING: later\n[2026-01-01] {y} more\n", [{"a": 1, "b": [2]}]),
        ("before\n\n" + PRETTY + "\n\nafter [x]\n", [{"a": 1, "b": [2]}]),
        ('  {"a": 1}  \nend', {"a": 1}),
        ('{"a": 1}\n{"a": 2}\n', {"a": 2}),
    ],
)
def test_the_json_is_found_among_what_else_is_printed(stdout: str, result: Any):
    assert parse_result(stdout) == (True, result)


@pytest.mark.parametrize(
    "stdout", ["", "No data found\n", "[half", '{"a": ', "a [1]\n", "[x]\n{y}\n", "[" * 100_000]
)
def test_what_is_no_json_is_no_result_and_no_error(stdout: str):
    assert parse_result(stdout) == (False, None)


def test_much_text_with_many_brackets_takes_little_time():
    stdout = "[1] x\n" * 100_000 + "[" * 10_000 + "\n" + json.dumps([1])
    began = time.thread_time()
    parse_result(stdout)

    assert time.thread_time() - began < 1


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def read(catalog: Catalog, argv: list[str], stdout: str, *, done: bool = True) -> Any:
    """Return the result of a command line that printed something; it must have a reader."""
    reads = reader(catalog.parse(argv))
    assert reads is not None
    return reads(stdout, done)


LOG = "2026-01-01T00:00:00Z [info     ] Filling up [airflow.x] loc=x.py:1\n"
JSON_LOG = '{"timestamp": "2026-01-01T00:00:00Z", "level": "warning", "event": "hm"}\n'
STATE = ["dags", "state", "d", "r"]
TASK_STATE = ["tasks", "state", "d", "t", "r"]
NEXT = ["dags", "next-execution", "d"]
DATES = ["2026-11-10 00:00:00+00:00", "2026-11-11 00:00:00+00:00"]


@pytest.mark.parametrize("log", [LOG, JSON_LOG])
def test_json_that_was_asked_for_is_found_among_the_lines_of_a_log(catalog: Catalog, log: str):
    argv = ["pools", "list", "--output", "json"]
    assert read(catalog, argv, f'{log}[{{"pool": "p"}}]\n{log}') == [{"pool": "p"}]
    assert read(catalog, argv, log, done=False) is None


@pytest.mark.parametrize("value", ["v", "", "a\nb", "a\n", " v ", "[1, 2]", "None", '{"a": 1}', "[2026] x"])
def test_the_value_of_a_variable_is_the_text_that_it_is(catalog: Catalog, value: str):
    assert read(catalog, ["variables", "get", "k"], f"{value}\n") == value
    for log in ("", LOG, JSON_LOG):
        assert read(catalog, ["config", "get-value", "core", "x"], f"{log}{value}\n") == value


@pytest.mark.parametrize("log", [LOG, JSON_LOG])
def test_a_variable_that_reads_like_a_log_is_its_value(catalog: Catalog, log: str):
    # The command has its logs suppressed: whatever it prints is the value.
    assert read(catalog, ["variables", "get", "k"], log) == log.removesuffix("\n")


def test_numbers_that_json_cannot_hold_are_null(catalog: Catalog):
    argv = ["pools", "list", "--output", "json"]
    assert read(catalog, argv, "[NaN, -Infinity, 1e999, 1.5]\n") == [None, None, None, 1.5]
    assert read(catalog, argv, "text\n[NaN]\n") == [None]


@pytest.mark.parametrize(
    "value",
    [{"a": [1, None, True, 1.5]}, [], "text", "two\nlines", "5", "None", "it's [1", "\u65e5", {"a": "'"}],
)
def test_a_variable_read_as_json_is_its_value(catalog: Catalog, value: Any):
    # Airflow prints what Python calls it. What is no object and no list stays text: `5` can be "5" as well.
    assert read(catalog, ["variables", "get", "k", "--json"], f"{value}\n") == value


@pytest.mark.parametrize("printed", ["nan_", "{1: 2", "{1, 2}", "b'x'", "(" * 100_000, "x" * 100_000, "1j"])
def test_what_is_no_json_value_is_a_text(catalog: Catalog, printed: str):
    assert read(catalog, ["variables", "get", "k", "--json"], f"{printed}\n") == printed


def test_a_command_that_failed_has_no_value(catalog: Catalog):
    for argv in (["variables", "get", "k"], ["tasks", "list", "d"], TASK_STATE, STATE, NEXT):
        assert read(catalog, argv, "words\n", done=False) is None


def test_an_option_without_a_value_is_an_empty_text(catalog: Catalog):
    assert read(catalog, ["config", "get-value", "core", "none"], "") == ""


def test_tasks_are_a_list_of_their_ids(catalog: Catalog):
    assert read(catalog, ["tasks", "list", "d"], f"{LOG}a\nb.c\n") == ["a", "b.c"]
    assert read(catalog, ["tasks", "list", "d"], "\n") == []
    assert read(catalog, ["tasks", "list", "d"], "") == []


def test_a_state_is_a_word_or_nothing(catalog: Catalog):
    for argv in (STATE, TASK_STATE):
        assert read(catalog, argv, f"{LOG}success\n") == "success"
        assert read(catalog, argv, "None\n") is None
        assert read(catalog, argv, "") is None
    assert read(catalog, STATE, 'failed, {"a": "b, c"}\n') == "failed"


def test_the_next_run_is_a_date_or_nothing(catalog: Catalog):
    assert read(catalog, NEXT, f"{DATES[0]}\n") == DATES[0]
    assert read(catalog, NEXT, "None\n") is None


def test_the_next_runs_are_a_list_in_which_nothing_is_the_end(catalog: Catalog):
    several = [*NEXT, "--num-executions", "3"]
    assert read(catalog, several, "\n".join([*DATES, "None", ""])) == [*DATES, None]
    assert read(catalog, several, "None\n") == [None]
    assert read(catalog, [*NEXT, "--table"], "a table\n") is None


def test_other_commands_have_no_result_of_their_own(catalog: Catalog):
    for argv in (["version"], ["pools", "list"], ["dags", "pause", "d"], ["tasks", "clear", "d"]):
        assert reader(catalog.parse(argv)) is None
