from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from airflow_rest_api.storage.database import own_engine
from tests.databases import KINDS, database_of_our_own


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    with database_of_our_own(request.param, tmp_path) as address:
        yield address


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    """An engine on an empty database."""
    engine = own_engine(address)
    yield engine
    engine.dispose()
