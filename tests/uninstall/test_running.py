from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.engine import Engine

from airflow_rest_api.operations.model import Server, new_id
from airflow_rest_api.operations.tables import SERVER
from airflow_rest_api.operations.upkeep import beat
from airflow_rest_api.services import processes
from airflow_rest_api.services.tables import SERVICE
from airflow_rest_api.storage.engines import own_engine
from airflow_rest_api.storage.migrations import migrate
from airflow_rest_api.uninstall.running import running

NOW = datetime.now(timezone.utc)


@pytest.fixture
def engine(tmp_path) -> Iterator[Engine]:
    engine = own_engine(f"sqlite:///{tmp_path}/our.db")
    migrate(engine)
    yield engine
    engine.dispose()


def server(engine: Engine, pid: int) -> Server:
    made = Server(id=new_id(), host="host", pid=pid, started_at=NOW, beat=1)
    with engine.begin() as connection:
        beat(connection, made)
    return made


def component(engine: Engine, state: str, **more: Any) -> None:
    texts = ("user", "command", "words", "hostname", "folder", "logs", "stdout", "stderr")
    values: dict[str, Any] = {
        column.name: "" if column.name in texts else 0
        for column in SERVICE.c
        if not column.nullable and not column.primary_key
    }
    values |= {"id": new_id(), "kind": "scheduler", "host": "host", "created_at": NOW, "state": state}
    values |= {name: "[]" for name in ("argv", "ready") if name in values}
    with engine.begin() as connection:
        connection.execute(SERVICE.insert().values({**values, **more}))


def look(engine: Engine, patience: float = 0.6) -> list[str]:
    return running(engine, lambda text: None, patience)


def test_a_server_whose_counter_moves_runs_and_one_that_was_killed_does_not(engine: Engine):
    server(engine, 1)
    alive = server(engine, 2)
    ended = threading.Event()

    def beating() -> None:
        count = 1
        while not ended.wait(0.05):
            count += 1
            with engine.begin() as connection:
                connection.execute(update(SERVER).where(SERVER.c.id == alive.id).values(beat=count))

    thread = threading.Thread(target=beating)
    thread.start()
    try:
        assert look(engine, 60) == ["the API server on host, process 2"]
    finally:
        ended.set()
        thread.join()
    assert look(engine) == []


def test_without_a_server_nobody_waits(engine: Engine):
    said: list[str] = []

    assert running(engine, said.append, 600) == []
    assert said == []


def test_a_component_of_this_machine_runs_as_long_as_its_keeper(engine: Engine):
    place, pid = processes.place(), os.getpid()
    component(engine, "running", place=place, keeper=pid, keeper_start=processes.start_of(pid))
    component(engine, "running", place=place, keeper=pid, keeper_start="another")
    component(engine, "stopped", place="elsewhere")
    component(engine, "running", place="elsewhere", host="far")

    found = look(engine)
    assert [words.split()[2] for words in found] == ["scheduler", "scheduler"]
    assert [words.split()[-1] for words in found] == ["host", "far"]


def test_a_database_without_our_tables_knows_of_nobody(tmp_path):
    engine = own_engine(f"sqlite:///{tmp_path}/empty.db")

    assert look(engine) == []
    engine.dispose()
