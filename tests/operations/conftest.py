from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from airflow_rest_api.operations.tables import CANCEL, FILE, OPERATION, OUTPUT, SERVER
from airflow_rest_api.storage.database import Database, own_engine
from tests.databases import KINDS, database_of_our_own


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind; making one takes longer than a test."""
    with database_of_our_own(request.param, tmp_path_factory.mktemp("database")) as address:
        engine = own_engine(address)
        database = Database(lambda: engine, patience=60)
        yield database
        database.close()
        engine.dispose()


@pytest.fixture
def every_database(migrated: Database) -> Database:
    """A database of each kind, without operations."""
    for table in (OPERATION, OUTPUT, FILE, CANCEL, SERVER):
        migrated.call(lambda connection, table=table: connection.execute(delete(table)) and None)
    return migrated
