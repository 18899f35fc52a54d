from __future__ import annotations

import pytest

from bench.figures import Samples, differences, main_cells, main_headers, mb, ms, summary, times


def fast() -> Samples:
    return Samples(
        "version",
        rest=[0.010, 0.012, 0.050],
        inside=[0.006, 0.007, 0.040],
        function=[0.004, 0.005, 0.041],
        process=[2.4, 2.6, 2.0],
        own=[0.003, 0.005, 0.004],
        second=[0.020, 0.022, 0.021],
    )


def slow() -> Samples:
    return Samples("tasks test", rest=[1.0], inside=[0.99], function=[0.97], process=[4.0])


def test_ratios_are_those_of_the_medians() -> None:
    assert fast().speedup == pytest.approx(200)
    assert fast().times_own == pytest.approx(3)


def test_the_road_is_the_median_of_what_each_round_left_over() -> None:
    # Not the difference of the medians (0.012 - 0.005), which would mix rounds.
    sample = Samples("x", rest=[0.010, 0.020, 0.050], function=[0.001, 0.015, 0.010], inside=[0.0, 0.0, 0.0])
    assert sample.overhead == pytest.approx(0.009)
    assert fast().overhead == pytest.approx(0.007)
    assert fast().http == pytest.approx(0.005)


def test_what_was_not_measured_has_no_ratio() -> None:
    row = Samples("tasks render", rest=[0.4], inside=[0.39], function=[0.3])
    assert row.speedup is None
    assert row.times_own is None
    assert main_cells(row)[2:7] == ["", "", "", "", ""]


def test_measurements_of_different_rounds_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        differences([1.0, 2.0], [1.0])


def test_every_column_has_a_cell() -> None:
    assert len(main_cells(fast())) == len(main_headers("isolated"))
    assert main_cells(fast()) == [
        "version", "12.0", "21.0", "2400", "200×", "4.0", "3.0×", "5.0", "7.0", "5.0",
    ]  # fmt: skip
    assert main_headers("isolated")[2] == "isolated ms"


def test_the_summary_names_the_rows_that_miss_a_goal() -> None:
    near = Samples("pools list", rest=[0.04], inside=[0.03], function=[0.02], process=[4.0], own=[0.01])
    lines = summary([fast(), slow(), near])
    assert "Faster than a new process: 100× (median of 3 rows)" in lines
    assert "Rows under 5×: tasks test 4.0×" in lines
    assert "Rows over 3× Airflow's own REST API: pools list 4.0×" in lines
    assert "Overhead of REST: 20.0 ms (median of the rows)" in lines
    assert "Overhead of REST for version: 7.0 ms" in lines


def test_the_summary_says_none_where_all_is_well() -> None:
    assert "Rows under 5×: none" in summary([fast()])
    assert "Rows over 3× Airflow's own REST API: none" in summary([fast()])


def test_without_processes_the_summary_is_silent_on_them() -> None:
    row = Samples("version", rest=[0.01], inside=[0.005], function=[0.004])
    assert summary([row]) == [
        "Overhead of REST: 6.0 ms (median of the rows)",
        "Overhead of REST for version: 6.0 ms",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12.3"), (0.0999, "99.9"), (2.5678, "2568"), (-0.0004, "-0.4"), (None, "")]
)
def test_milliseconds_are_as_exact_as_they_are_worth(seconds: float | None, text: str) -> None:
    assert ms(seconds) == text


@pytest.mark.parametrize(("ratio", "text"), [(1.26, "1.3×"), (19.94, "19.9×"), (254.6, "255×"), (None, "")])
def test_ratios_are_as_exact_as_they_are_worth(ratio: float | None, text: str) -> None:
    assert times(ratio) == text


def test_megabytes_are_those_of_1024() -> None:
    assert mb(1536 * 1024) == "1.5"
