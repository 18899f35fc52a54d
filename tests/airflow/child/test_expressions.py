from __future__ import annotations

import time

import pytest

from airflow_rest_api.airflow.child import expressions

NAMES = ["a" * 200 + "!x", "a b" * 60, "task"]

ENDLESS = [
    r"(a+)+$",
    r"(a|aa)+$",
    r"^(\w+\s?)*$!",
    r"(?:(?:a*)*)*b",
    r"(a*)*\1b",
    r"(?=(a+)+b)a",
    "a*" * 30 + "b",
    r"(.*a){25}!",
    ".*" * 20 + "!",
]


@pytest.mark.parametrize("expression", ENDLESS)
def test_an_expression_that_takes_for_ever_is_given_up(
    expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "LONGEST", 0.2)
    began = time.monotonic()
    with pytest.raises(SystemExit, match="takes longer than"):
        expressions.matching(expression, NAMES)
    assert time.monotonic() - began < 20


def test_one_that_makes_sense_finds_its_names() -> None:
    assert expressions.matching("^ta", NAMES) == {"task"}
