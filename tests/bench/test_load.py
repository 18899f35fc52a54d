from __future__ import annotations

from collections import Counter

import pytest

from bench.load import HEADERS, Comparison, Tally, comparison_headers, describe, percentile


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


def tally(rate: int, *latencies: float, **bad: int) -> Tally:
    return Tally(4, 1.0, Counter({"200": rate, **bad}), list(latencies))


def test_what_is_measured_by_turns_is_added_up() -> None:
    found = tally(2, 0.1, 0.3, other=1)
    found.add(tally(4, 0.2, 0.4))

    assert (found.seconds, found.latencies) == (2.0, [0.1, 0.3, 0.2, 0.4])
    assert found.answers == {"200": 6, "other": 1}
    assert found.rate == 3.0
    assert found.middle == pytest.approx(0.25)
    assert found.high == 0.4


def test_each_figure_of_the_second_server_stands_beside_that_of_the_first() -> None:
    found = Comparison("version", 4, tally(30, 0.1), tally(10, 0.3, busy=2), tally(60, 0.05, busy=1))
    headers = comparison_headers("isolated")

    assert dict(zip(headers, found.cells(), strict=True)) == {
        "commands": "version",
        "clients": "4",
        "requests/s": "30.0",
        "requests/s, isolated": "10.0",
        "requests/s, Airflow's own": "60.0",
        "median ms": "100",
        "median ms, isolated": "300",
        "median ms, Airflow's own": "50.0",
        "95th percentile ms": "100",
        "95th percentile ms, isolated": "300",
        "95th percentile ms, Airflow's own": "50.0",
        "other answers than 200": "3 × busy",
    }


def test_without_a_second_server_it_has_no_columns() -> None:
    found = Comparison("version", 1, tally(30, 0.1), None, tally(60, 0.05))

    assert len(found.cells()) == len(comparison_headers(None)) == 9
    assert found.cells()[-1] == "none"
