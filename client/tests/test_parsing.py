from __future__ import annotations

import pytest

from airflow_rest_client.catalog import Catalog
from airflow_rest_client.parsing import parser_of


def test_help_has_no_colours_of_which_something_would_be_left(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    command = catalog.get("dags list")
    assert command is not None
    parser = parser_of(command, "airflow-rest dags list")

    # Python 3.14 looks at this.
    assert getattr(parser, "color", None) is False
    assert parser.format_help().startswith("usage: airflow-rest dags list")
