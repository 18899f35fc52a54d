from __future__ import annotations

from bench.runners import Added, Work


def test_what_a_runner_adds_is_that_of_each_round() -> None:
    found = Added("version", here=[0.010, 0.020, 0.090], there=[0.040, 0.050, 0.125])

    assert found.cells() == ["version", "20.0", "50.0", "30.0"]


def test_the_work_of_two_is_compared_with_that_of_one() -> None:
    found = Work(8, one=16.0, two=8.0)

    assert [cells[1] for cells in found.cells()] == ["30", "60", "2.00"]
