"""`tests.units`: nothing is named that is not there, and what is long has its turn before all else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.units import LONG, TOGETHER, place, unit

TESTS = Path(__file__).parent


@pytest.mark.parametrize("name", [*TOGETHER, *LONG])
def test_what_is_named_exists(name: str) -> None:
    assert (TESTS / name).exists()


@pytest.mark.parametrize("name", LONG)
def test_what_is_long_is_a_unit_with_a_turn_of_its_own(name: str) -> None:
    first = f"tests/{name}" if name.endswith(".py") else f"tests/{name}/test_any.py"

    assert unit(f"{first}::test_it") == f"tests/{name}"
    assert LONG[place(f"{first}::test_it")] == name
