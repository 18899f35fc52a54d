from __future__ import annotations

from bench.table import render


def test_columns_are_aligned_the_first_to_the_left() -> None:
    assert render(("name", "ms"), [["a", "1.0"], ["longer", "10.25"]]).splitlines() == [
        "| name   |    ms |",
        "|--------|------:|",
        "| a      |   1.0 |",
        "| longer | 10.25 |",
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert render(("a", "b"), []).splitlines() == ["| a | b |", "|---|--:|"]
