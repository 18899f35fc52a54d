from __future__ import annotations

import pytest

from bench.processor import Cost, Processor, cost_headers


def test_a_request_s_share_is_what_was_added_divided() -> None:
    before, after = Processor(10.0, 1.0, 5.0, 2.0), Processor(11.0, 1.5, 5.2, 4.0)
    share = after.since(before, 100)

    assert (share.user, share.system) == pytest.approx((0.010, 0.005))
    assert (share.parent, share.children) == pytest.approx((0.002, 0.020))
    assert share.total == pytest.approx(0.037)


def test_a_child_that_ends_is_counted_once() -> None:
    # Three seconds of a child that lives, of which the parent knows as soon as it has reaped it.
    alive, reaped = Processor(0.0, 0.0, 0.0, 0.0 + 3.0), Processor(0.0, 0.0, 0.0, 3.0 + 0.0)
    assert reaped.since(alive, 1).total == 0.0


def test_every_column_has_a_cell() -> None:
    processor = Processor(0.004, 0.001, 0.002, 0.003)
    cost = Cost("version", processor, Processor(0.0, 0.0, 0.0, 0.05), Processor(0.002, 0.001, 0.0, 0.0))

    assert cost.cells() == ["version", "4.0", "1.0", "2.0", "3.0", "10.0", "50.0", "3.0"]
    assert len(cost.cells()) == len(cost_headers("isolated"))
    alone = Cost("version", processor, None, processor)
    assert len(alone.cells()) == len(cost_headers(None))
