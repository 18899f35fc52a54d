from __future__ import annotations

from collections import Counter

import pytest

from bench.client import Answer
from bench.load import HEADERS, Tally, describe, kind, percentile


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 3), (95, 5), (100, 5), (61, 4)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([5, 3, 1, 4, 2], percent) == value


def test_only_good_answers_make_the_rate() -> None:
    tally = Tally(4, seconds=2.0, answers=Counter({"200": 30, "429": 10, "200 failed": 2}), latencies=[0.1])
    assert tally.rate == 15.0
    assert tally.cells("version") == [
        "version", "4", "15.0", "100", "100", "30 × 200, 10 × 429, 2 × 200 failed",
    ]  # fmt: skip
    assert len(tally.cells("version")) == len(HEADERS)


def test_without_an_answer_there_is_no_latency() -> None:
    tally = Tally(1, seconds=1.0, answers=Counter({"ConnectionRefusedError": 3}))
    assert tally.cells("version") == ["version", "1", "0.0", "", "", "3 × ConnectionRefusedError"]


def test_answers_are_described_by_frequency() -> None:
    assert describe(Counter({"429": 1, "200": 2})) == "2 × 200, 1 × 429"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, {"state": "succeeded"}, 0.1), "200"),
        (Answer(200, {"state": "failed"}, 0.1), "200 failed"),
        (Answer(202, {"state": "running"}, 0.1), "202 running"),
        (Answer(429, {"detail": {"reason": "busy"}}, 0.1), "429"),
        (Answer(502, "Bad gateway", 0.1), "502"),
    ],
)
def test_a_command_that_failed_is_no_good_answer(answer: Answer, expected: str) -> None:
    assert kind(answer) == expected
