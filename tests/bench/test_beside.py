from __future__ import annotations

from collections import Counter

from bench.beside import HEADERS, Beside, cells
from bench.load import Tally
from bench.rows import MANY


def test_the_route_is_compared_with_itself_alone() -> None:
    alone = Beside("alone", [0.002, 0.003, 0.004])
    loaded = Beside("loaded", [0.004, 0.006, 0.010], Tally(MANY, 2.0, Counter({"200": 300, "429": 9})))

    assert cells([alone, loaded]) == [
        ["alone", "3.0", "4.0", "", ""],
        ["loaded", "6.0", "10.0", "2.5×", "150.0"],
    ]
    assert all(len(row) == len(HEADERS) for row in cells([alone, loaded]))
