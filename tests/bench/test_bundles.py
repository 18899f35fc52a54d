from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.bundles import Bundle, cells, gain, growth, headers, write_files


def found() -> list[Bundle]:
    few = Bundle(10, {"tasks list": [0.1, 0.2, 0.3]})
    middle = Bundle(100, {"tasks list": [0.2]})
    many = Bundle(1000, {"tasks list": [0.3, 0.2, 0.4]}, {"tasks list": 15.0})
    return [few, middle, many]


def test_ratios_are_those_of_the_medians() -> None:
    assert growth(found(), "tasks list") == pytest.approx(1.5)
    assert gain(found()[-1], "tasks list") == pytest.approx(50)
    assert gain(found()[0], "tasks list") is None


def test_every_column_has_a_cell() -> None:
    [row] = cells(found())
    assert dict(zip(headers(found()), row, strict=True)) == {
        "command": "tasks list",
        "10 files: REST ms": "200",
        "100 files: REST ms": "200",
        "1,000 files: REST ms": "300",
        "1,000 : 10": "1.5×",
        "1,000 files: new process ms": "15000",
        "faster": "50×",
    }


def test_without_the_command_line_its_cells_are_empty() -> None:
    without = found()
    without[-1].process.clear()
    assert cells(without)[0][-2:] == ["", ""]


def test_each_file_has_one_dag_of_its_own(tmp_path: Path) -> None:
    write_files(tmp_path / "dags", 12)
    files = sorted((tmp_path / "dags").iterdir())

    assert [path.name for path in files] == [f"one_of_many_{number:04}.py" for number in range(12)]
    for path in files:
        ast.parse(path.read_text())
        assert path.read_text().count(f'dag_id="{path.stem}"') == 1
