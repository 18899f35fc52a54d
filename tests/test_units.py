"""`tests.units`: what shares an Airflow is together, and nothing is named that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.units import LONG, SHARING, TOGETHER, place, unit

TESTS = Path(__file__).parent
FILES = [file for files in SHARING.values() for file in files]


@pytest.mark.parametrize("name", [*TOGETHER, *FILES, *(name for name in LONG if name not in SHARING)])
def test_what_is_named_exists(name: str) -> None:
    assert (TESTS / name).exists()


def test_files_that_share_a_stack_are_one_unit_with_a_turn_of_its_own() -> None:
    for name, files in SHARING.items():
        of_files = [
            f"tests/{file}" if file.endswith(".py") else f"tests/{file}/test_any.py" for file in files
        ]
        assert {unit(f"{file}::test_it") for file in of_files} == {f"tests/{name}"}
        assert LONG[place(f"{of_files[0]}::test_it")] == name


@pytest.mark.parametrize("name", [name for name in LONG if name not in SHARING])
def test_what_is_long_is_a_unit_with_a_turn_of_its_own(name: str) -> None:
    first = f"tests/{name}" if name.endswith(".py") else f"tests/{name}/test_any.py"

    assert unit(f"{first}::test_it") == f"tests/{name}"
    assert LONG[place(f"{first}::test_it")] == name
