from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from airflow_rest_api.airflow.compat.version_compat import SUPPORTED
from tests.databases import KINDS
from tests.versions import BLACK_BOX, DIFFERENCES, NEWEST, SITES, Difference, differs
from tools import versions
from tools.site_docs import AUTH_MANAGERS, PAGE, PARTS, with_table

ROOT = Path(__file__).resolve().parents[1]


def test_every_supported_version_is_tested_and_the_newest_on_every_database() -> None:
    versions = [site.airflow for site in SITES if (site.database, site.topology) == ("sqlite", "single")]
    assert [*versions, NEWEST] == [".".join(map(str, version)) for version in SUPPORTED]
    for version in versions:
        assert (ROOT / "requirements" / f"airflow-{version}.txt").is_file()
    assert {"sqlite", *(site.database for site in SITES if site.airflow == NEWEST)} == set(KINDS)


def test_what_depends_on_where_something_runs_is_tested_on_two_hosts() -> None:
    [split] = [site for site in SITES if site.topology == "split"]
    assert split.name == f"{NEWEST}-split"
    assert set(split.places) <= set(BLACK_BOX)


@pytest.mark.parametrize("place", BLACK_BOX)
def test_what_runs_on_all_versions_is_there(place: str) -> None:
    file, _, test = place.partition("::")
    assert (ROOT / file).exists()
    if test:
        assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.reason[:40])
def test_a_difference_is_one_of_tests_that_run_there_and_has_its_reason(one: Difference) -> None:
    assert one.reason
    assert one.database in (None, *KINDS)
    assert one.below is not None or one.database is not None
    assert one.below is None or SUPPORTED[0] < one.below <= SUPPORTED[-1]
    for pattern in one.tests:
        assert any(pattern.startswith(place) or fnmatchcase(place, pattern) for place in BLACK_BOX)


def test_a_difference_ends_with_the_version_that_has_none() -> None:
    [one, *_] = [one for one in DIFFERENCES if one.below == (3, 2)]
    test = one.tests[0].replace("*", "x").replace("?", "x")
    assert differs(test, (3, 1)) == one.reason
    assert differs(test, (3, 2)) is None


def test_a_difference_of_a_database_is_none_of_the_others() -> None:
    [one] = [one for one in DIFFERENCES if one.database == "mariadb"]
    test = one.tests[0].replace("*", "x")
    assert differs(test, (3, 3), "mariadb") == one.reason
    assert differs(test, (3, 3)) is None


def test_the_page_has_the_table_of_what_is_run_where() -> None:
    assert PAGE.read_text("utf-8") == with_table(PAGE.read_text("utf-8")), "run python -m tools.site_docs"


@pytest.mark.parametrize("place", [*AUTH_MANAGERS, *PARTS])
def test_what_the_table_names_is_run_everywhere(place: str) -> None:
    assert any(one.partition("::")[0] == place for one in BLACK_BOX)


def test_a_site_that_there_is_not_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(SystemExit, match=r"No such site: 3\.4; there are 3\.0, 3\.1,"):
        versions.main(["3.4"])
