from __future__ import annotations

import sys

import pytest

from bench.client import Unexpected
from bench.typed import LINES, Typed, _seconds, goals


def test_a_row_compares_the_medians_of_both():
    typed = Typed("version", [0.2, 0.1, 0.3], [2.4])
    assert typed.faster == pytest.approx(12)
    assert typed.cells() == ["version", "200", "2400", "12.0×"]


def test_a_goal_that_is_missed_is_said():
    said = list(goals([Typed("version", [0.3], [2.4]), Typed("dags list -o json", [0.4], [4.0])]))
    assert [line.startswith("* met") for line in said] == [False, False, True]
    assert len(said) == len(LINES) + 1


def test_a_line_that_fails_is_no_measurement():
    with pytest.raises(Unexpected, match="exit code 3: because"):
        _seconds([sys.executable, "-c", "import sys; print('because', file=sys.stderr); sys.exit(3)"], {})
