from __future__ import annotations

import logging

import pytest

from airflow_rest_api.airflow import installation
from airflow_rest_api.airflow.compat import version_compat


def test_the_base_version_is_that_of_the_installed_airflow() -> None:
    found = ".".join(map(str, version_compat.base_version()))
    assert installation.version().startswith(found)


def test_the_constants_rise_with_the_version() -> None:
    found = version_compat.base_version()[:2]
    constants = (
        version_compat.AIRFLOW_V_3_1_PLUS,
        version_compat.AIRFLOW_V_3_2_PLUS,
        version_compat.AIRFLOW_V_3_3_PLUS,
    )
    assert constants == tuple(found >= version for version in version_compat.SUPPORTED[1:])


def test_a_version_that_is_not_known_is_said_once_and_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        version_compat.warn_of_unknown_version()
        assert caplog.records == []
        monkeypatch.setattr(version_compat, "_VERSION", (3, 4, 0))
        version_compat.warn_of_unknown_version()
    [record] = caplog.records
    assert "Airflow 3.4.0 is none of the versions" in record.getMessage()
    assert "3.0 to 3.3" in record.getMessage()
