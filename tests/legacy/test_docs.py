from __future__ import annotations

import shlex

from airflow_rest_api.legacy.endpoints import BY_NAME, ENDPOINTS
from tools import legacy_docs


def test_the_reference_page_is_current() -> None:
    assert (legacy_docs.DOCS / "legacy.md").read_text() == legacy_docs.reference()


def test_the_migration_page_is_current() -> None:
    page = (legacy_docs.DOCS / "migration.md").read_text()
    assert page == legacy_docs.with_parts(page)


def test_the_examples_have_what_their_endpoint_needs_and_nothing_it_does_not_know() -> None:
    for endpoint in ENDPOINTS:
        given = legacy_docs.EXAMPLES.get(endpoint.name, {})
        assert set(endpoint.required) <= set(given), endpoint.name
        assert all(endpoint.argument(name) for name in given), endpoint.name


def test_the_migration_page_has_one_curl_line_for_each_endpoint() -> None:
    lines = [shlex.split(line) for line in legacy_docs.requests().splitlines() if line.startswith("curl")]
    assert [line[-1].rpartition("api=")[2] for line in lines] == list(BY_NAME)
