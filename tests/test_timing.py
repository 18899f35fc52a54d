"""`tests.timing`: the closing lines of a run."""

from __future__ import annotations

from tests.timing import SHOWN, Note, summary


def test_the_summary_names_kinds_workers_and_the_slowest_files() -> None:
    tests = [
        ("gw0", "tests/test_a.py", 3.0),
        ("gw0", "tests/test_a.py", 2.0),
        ("gw1", "tests/test_b.py", 7.0),
    ]
    notes: list[Note] = [
        {"worker": "gw0", "kind": "stacks started", "name": "one", "seconds": 20.0},
        {"worker": "gw1", "kind": "stacks started", "name": "two", "seconds": 30.0},
        {"worker": "gw0", "kind": "processor", "name": "itself", "seconds": 4.0},
        {"worker": "gw0", "kind": "processor of a unit", "name": "tests/test_a.py", "seconds": 3.0},
    ]

    assert summary(tests, notes) == [
        "stacks started: 2 in 50 s; most: two 30 s, one 20 s",
        "worker gw0: 5 s of tests; processor: itself 4 s",
        "worker gw1: 7 s of tests; processor: unknown",
        "units: test_b.py 7 s, test_a.py 5 s",
        "units, of a processor: test_a.py 3 s",
        "   7.0 s tests/test_b.py",
        "   5.0 s tests/test_a.py",
    ]


def test_files_that_take_no_time_are_not_named_and_of_others_only_a_few() -> None:
    tests = [("main", f"tests/test_{number}.py", float(number)) for number in range(SHOWN + 10)]

    assert len(summary([("main", "tests/test_quick.py", 0.3)], [])) == 3
    assert len(summary(tests, [])) == 3 + SHOWN
