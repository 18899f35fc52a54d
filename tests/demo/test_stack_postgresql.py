from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect

from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.tables import OPERATION
from airflow_rest_api.storage.database import Database, own_engine
from demo.stack import Stack
from tests.databases import database_of_our_own
from tests.operations.scene import CATALOG, operations
from tests.permits import permit
from tests.standin import prints

pytestmark = pytest.mark.airflow


async def ended_operation(store: Store) -> None:
    """Have an operation in a store."""
    service, _ = operations(prints("done"), store=store)
    started = await service.start(permit(), CATALOG.parse(["version"]))
    await service.wait(started.id, 60)
    await service.settle()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack")
    with (
        database_of_our_own("postgresql", home) as address,
        Stack(home, components=(), database=address) as stack,
    ):
        yield stack


def test_the_database_is_the_postgresql_that_was_given(stack: Stack) -> None:
    assert stack.database_address.startswith("postgresql")
    assert not stack.database.exists()


def test_our_tables_outlive_a_reset_of_airflow_s_and_its_migrations(stack: Stack) -> None:
    """`airflow db` knows nothing of them: see docs/storage.md."""
    engine = own_engine(stack.database_address)
    asyncio.run(ended_operation(Store(Database(lambda: engine))))
    with engine.connect() as connection:
        before = connection.execute(OPERATION.select()).all()
    assert before
    for arguments in (("db", "migrate"), ("db", "check-migrations"), ("db", "reset", "--yes")):
        command = [str(Path(sys.executable).with_name("airflow")), *arguments]
        subprocess.run(command, env=stack.environment, check=True, capture_output=True, timeout=240)
    with engine.connect() as connection:
        assert connection.execute(OPERATION.select()).all() == before
    assert inspect(engine).has_table("dag")
    engine.dispose()
