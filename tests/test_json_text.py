from __future__ import annotations

import json
import random

import pytest

from airflow_rest_api.json_text import DEEPEST, MOST_VALUES, TooDeep, TooMany, check, loads


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * MOST_VALUES + "1]",
        "[" + '"",' * MOST_VALUES + "1]",
        '{"a": [' + "{}," * MOST_VALUES + "1]}",
        "{" + '"a":1,' * MOST_VALUES + '"a":1}',
        '["\\\\\\\\", ' + "[]," * MOST_VALUES + "1]",
        '"' * (4 * MOST_VALUES + 2) + "[" * MOST_VALUES * 2,
    ],
)
def test_json_of_too_many_values_is_refused_unread(text: str) -> None:
    with pytest.raises(TooMany, match=f"more than {MOST_VALUES} values"):
        check(text)
    with pytest.raises(TooMany):
        loads(text.encode("utf-16"))


@pytest.mark.parametrize("begin", ["[", '{"a":', '[{"\\\\":', '["\\"", '])
def test_json_that_is_nested_too_deeply_is_refused_unread(begin: str) -> None:
    levels = begin.count("[") + begin.count("{")

    loads(begin * (DEEPEST // levels) + "1" + _ends(begin) * (DEEPEST // levels))
    with pytest.raises(TooDeep, match=f"more than {DEEPEST} levels"):
        check(begin * (DEEPEST // levels + 1))


def _ends(begin: str) -> str:
    return "".join({"[": "]", "{": "}"}.get(sign, "") for sign in reversed(begin))


def test_what_is_inside_of_strings_counts_for_nothing() -> None:
    long = '[{,\\"\\\\' * MOST_VALUES

    assert loads(f'{{"a": "{long}"}}')["a"] == '[{,"\\' * MOST_VALUES


def test_what_is_taken_reads_as_python_reads_it() -> None:
    some = random.Random(1)
    for _ in range(2000):
        text = "".join(some.choice(['"', "\\", "[", "]", "{", "}", ",", ":", "1", "a"]) for _ in range(12))
        try:
            expected = json.loads(text)
        except ValueError:
            expected = ValueError
        assert _read(text) == expected


def test_no_json_is_no_json() -> None:
    for content in (b"\xff", b"", b"[", b'{"a": 1}}', "9" * 5000):
        assert _read(content) is ValueError


def _read(content: str | bytes) -> object:
    try:
        return loads(content)
    except ValueError:
        return ValueError
