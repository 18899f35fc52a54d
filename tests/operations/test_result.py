from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_rest_api.operations.result import parse_result

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
