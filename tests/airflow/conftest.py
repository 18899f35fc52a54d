"""The engines of `tests/engine`, warm with Airflow, for tests of what their processes do."""

from __future__ import annotations

import pytest

from airflow_rest_api.airflow.warm import HOOKS
from airflow_rest_api.engine.job import Hooks
from tests.engine.conftest import _acts_are_found, any_engine, engine, new_engine, run

__all__ = ["_acts_are_found", "any_engine", "engine", "new_engine", "run"]


@pytest.fixture(scope="package")
def hooks() -> Hooks:
    """Return the hooks of the engines: Airflow's."""
    return HOOKS
