from __future__ import annotations

import argparse

import pytest

from airflow_rest_api.commands.catalog import Catalog, load_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The catalog of the installed Airflow."""
    return load_catalog()


@pytest.fixture(scope="session")
def airflows_parser() -> argparse.ArgumentParser:
    """Airflow's own parser, as ``airflow`` itself uses it."""
    from airflow.cli.cli_parser import get_parser

    return get_parser()
