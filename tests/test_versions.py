from __future__ import annotations

from pathlib import Path

import pytest

from airflow_rest_api.airflow.compat.version_compat import SUPPORTED
from tests.versions import BLACK_BOX, DIFFERENCES, Difference, differs
from tools.versions import NEWEST, OTHERS

ROOT = Path(__file__).resolve().parents[1]


def test_every_supported_version_is_tested() -> None:
    assert [*OTHERS, NEWEST] == [".".join(map(str, version)) for version in SUPPORTED]
    for version in OTHERS:
        assert (ROOT / "requirements" / f"airflow-{version}.txt").is_file()


@pytest.mark.parametrize("place", BLACK_BOX)
def test_what_runs_on_all_versions_is_there(place: str) -> None:
    assert (ROOT / place).exists()


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.reason[:40])
def test_a_difference_is_one_of_tests_that_run_there_and_has_its_reason(one: Difference) -> None:
    assert one.reason
    assert SUPPORTED[0] < one.below <= SUPPORTED[-1]
    for pattern in one.tests:
        assert pattern.partition("::")[0].startswith(BLACK_BOX)


def test_a_difference_ends_with_the_version_that_has_none() -> None:
    [one, *_] = [one for one in DIFFERENCES if one.below == (3, 2)]
    test = one.tests[0].replace("*", "x").replace("?", "x")
    assert differs(test, (3, 1)) == one.reason
    assert differs(test, (3, 2)) is None
