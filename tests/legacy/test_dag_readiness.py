"""Waiting for DAGs that were deployed: Airflow's tables and ours; the DAG processor's part is played here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.dag_files.child.parse import parse_files
from airflow_rest_api.dag_files.history import History
from airflow_rest_api.dag_files.history_tables import DAG
from airflow_rest_api.legacy import dag_readiness
from airflow_rest_api.legacy.dag_readiness import RECENT, DagReadiness
from airflow_rest_api.storage.database import Database, own_engine
from tests.deploying import BUNDLE, dag
from tests.standin import airflow_database, own_database

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

BROKEN = "import airflow.sdk\n# dag\nimport no_such_module\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The DAGs folder of an Airflow whose DAG processor is alive."""
    from airflow import settings
    from airflow.jobs.job import Job
    from airflow.models.base import Base
    from airflow.utils.session import create_session

    airflow_database()
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path))
    with create_session() as session:
        session.add(
            Job(job_type=dag_processor.JOB, state="running", latest_heartbeat=datetime.now(timezone.utc))
        )
    yield tmp_path
    with settings.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def database() -> Iterator[Database]:
    engine = own_engine(own_database())
    database = Database(lambda: engine)
    yield database
    database.close()
    engine.dispose()


def seconds_of(work: Awaitable[str | None]) -> tuple[float, str | None]:
    async def measured() -> tuple[float, str | None]:
        begin = time.monotonic()
        said = await work
        return time.monotonic() - begin, said

    return asyncio.run(measured())


def requests() -> int:
    """Return how many files the DAG processor is asked for."""
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.scalar(select(func.count()).select_from(DagPriorityParsingRequest)) or 0


async def parse_later(path: str, seconds: float = 1.0) -> None:
    await asyncio.sleep(seconds)
    await asyncio.to_thread(parse_files, [(BUNDLE, path)])


def test_nobody_waits_for_a_dag_that_nobody_deployed(folder: Path, database: Database) -> None:
    readiness = DagReadiness(History(database))
    for dag_id in ("never", "nul\0", "half\ud800", "x" * 10_000):
        seconds, said = seconds_of(readiness.wait(dag_id))
        assert said is None
        assert seconds < 2
        assert asyncio.run(readiness.import_error(dag_id)) is None
    assert requests() == 0


def test_a_dag_that_was_deployed_is_waited_for_until_it_can_run(folder: Path, database: Database) -> None:
    history = History(database)
    (folder / "new.py").write_bytes(dag("new"))

    async def work() -> str | None:
        await history.keep_dags(BUNDLE, {"new.py": ["new"]})
        readiness = DagReadiness(history)
        later = asyncio.create_task(parse_later("new.py"))
        assert not dag_processor.is_runnable("new")
        said = await readiness.wait("new")
        assert dag_processor.is_runnable("new")
        await later
        return said

    seconds, said = seconds_of(work())
    assert said is None
    assert 1.0 <= seconds < 20


def test_the_dag_processor_is_asked_once_for_all_who_wait(
    folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dag_readiness, "PATIENCE", 1)
    history = History(database)

    async def work() -> list[str | None]:
        await history.keep_dags(BUNDLE, {"slow.py": ["slow", "slower"]})
        readiness = DagReadiness(history)
        return list(await asyncio.gather(*(readiness.wait("slow") for _ in range(30))))

    begin = time.monotonic()
    late = asyncio.run(work())
    assert set(late) == {"The DAG processor has been asked to parse slow.py, and has yet to finish it"}
    assert 1 <= time.monotonic() - begin < 10
    assert requests() == 1


def test_who_no_longer_waits_takes_it_from_nobody_else(folder: Path, database: Database) -> None:
    history = History(database)
    (folder / "kept.py").write_bytes(dag("kept"))

    async def work() -> str | None:
        await history.keep_dags(BUNDLE, {"kept.py": ["kept"]})
        readiness = DagReadiness(history)
        first, second = (asyncio.create_task(readiness.wait("kept")) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        await parse_later("kept.py", 0)
        return await second

    assert asyncio.run(work()) is None
    assert dag_processor.is_runnable("kept")


def test_a_dag_that_was_deployed_long_ago_is_not_waited_for(folder: Path, database: Database) -> None:
    history = History(database)

    async def work() -> str | None:
        await history.keep_dags(BUNDLE, {"old.py": ["old"]})
        at = datetime.now(timezone.utc) - RECENT - timedelta(seconds=1)
        await database.run(lambda connection: connection.execute(update(DAG).values(at=at)))
        return await DagReadiness(history).wait("old")

    seconds, said = seconds_of(work())
    assert said is None
    assert seconds < 2
    assert requests() == 0


def test_without_a_dag_processor_nobody_waits_and_it_is_said(folder: Path, database: Database) -> None:
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    history = History(database)
    with create_session() as session:
        session.execute(update(Job).values(state="success"))

    async def work() -> str | None:
        await history.keep_dags(BUNDLE, {"left.py": ["left"]})
        return await DagReadiness(history).wait("left")

    seconds, said = seconds_of(work())
    assert said == "No DAG processor is alive: left.py will be parsed when one is started"
    assert seconds < 5
    assert requests() == 1


@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_cannot_be_imported_ends_the_wait_and_its_error_is_told(
    folder: Path, database: Database, known: bool
) -> None:
    history = History(database)
    path = folder / "broken.py"

    async def work() -> str | None:
        if known:
            path.write_bytes(dag("broken"))
            await parse_later("broken.py", 0)
        await history.keep_dags(BUNDLE, {"broken.py": ["broken"]})
        path.write_text(BROKEN)
        await parse_later("broken.py", 0)
        readiness = DagReadiness(history)
        assert await readiness.wait("broken") is None
        return await readiness.import_error("broken")

    seconds, said = seconds_of(work())
    assert said == (
        "its file cannot be imported: broken.py, line 3: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert seconds < 20


def test_an_error_of_before_the_deployment_does_not_end_the_wait(folder: Path, database: Database) -> None:
    history = History(database)
    path = folder / "mended.py"
    path.write_text(BROKEN)

    async def work() -> str | None:
        await parse_later("mended.py", 0)
        await asyncio.sleep(0.05)
        path.write_bytes(dag("mended"))
        await history.keep_dags(BUNDLE, {"mended.py": ["mended"]})
        later = asyncio.create_task(parse_later("mended.py"))
        said = await DagReadiness(history).wait("mended")
        await later
        return said

    assert asyncio.run(work()) is None
    assert dag_processor.is_runnable("mended")
    assert asyncio.run(DagReadiness(history).import_error("mended")) is None


@pytest.mark.parametrize("column", ["is_stale", "has_import_errors"])
def test_a_dag_of_a_file_that_is_broken_or_gone_cannot_run(folder: Path, column: str) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    (folder / "known.py").write_bytes(dag("known"))
    parse_files([(BUNDLE, "known.py")])
    assert dag_processor.is_runnable("known")
    with create_session() as session:
        session.execute(update(DagModel).values({column: True}))
    assert not dag_processor.is_runnable("known")


def test_a_database_of_ours_that_is_away_keeps_no_command_from_running(folder: Path) -> None:
    engine = own_engine(f"sqlite:///{folder}/no/such/folder.db")
    away = Database(lambda: engine)
    try:
        assert seconds_of(DagReadiness(History(away)).wait("any"))[1] is None
    finally:
        away.close()
        engine.dispose()
