from __future__ import annotations

import pytest

from airflow_rest_api.engine import reports

NO_MESSAGES = [
    *[{"exit_code": code} for code in ("0", None, True, 0.0, -1, 256, 10**30, [], {}, "x" * 100)],
    *[{"exit_code": 2, "usage": usage} for usage in (1, [], {}, True)],
    *[{"secrets": secrets} for secrets in ("text", None, 1, {"a": "b"}, [1], ["a", None], [["a"]])],
    {"begun": "yes"},
    {"begun": 1},
    {"becomes": []},
    {},
    {"other": 1},
    [],
    "text",
    None,
    5,
]


@pytest.mark.parametrize("message", NO_MESSAGES, ids=str)
def test_what_is_of_another_type_or_out_of_range_says_nothing(message: object):
    assert reports.read(message) is None


def test_what_a_child_says_is_read():
    assert reports.read({"exit_code": 255}) == reports.Report(255)
    assert reports.read({"exit_code": 2, "usage": "wrong"}) == reports.Report(2, "wrong")
    assert reports.read({"secrets": ["a", "b"]}) == reports.Secrets(("a", "b"))
    assert reports.read({"begun": True}) == reports.Begun()
    assert reports.read({"becomes": True}) == reports.Becomes()


def test_the_words_of_a_parser_are_bounded_and_can_be_written():
    said = reports.read({"exit_code": 2, "usage": "\ud800" + "x" * 100_000})
    assert isinstance(said, reports.Report)
    assert said.usage == "?" + "x" * (reports.LONGEST_USAGE - 1)
