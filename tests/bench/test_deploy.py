from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bench.deploy import BUNDLE, Deployments, request, write


def test_the_difference_is_that_of_each_round() -> None:
    found = Deployments(rest=[1.0, 2.0, 9.0], asked=[0.5, 1.9, 8.8])

    assert [cells[1:] for cells in found.cells()] == [["2000", "9000"], ["1900", "8800"], ["200", "500"]]


def test_a_file_is_never_seen_half(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "old")
    write(tmp_path, "a.py", "new")

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.py", "new")]


def test_the_dag_processor_is_asked_as_airflow_asks_it(tmp_path: Path) -> None:
    from airflow.models.dagbag import DagPriorityParsingRequest
    from sqlalchemy import create_engine, select
    from sqlalchemy.orm import Session

    path = tmp_path / "airflow.db"
    engine = create_engine(f"sqlite:///{path}")
    DagPriorityParsingRequest.__table__.create(engine)
    request(path, "a.py")

    with Session(engine) as session:
        [ours] = session.scalars(select(DagPriorityParsingRequest))
        assert (ours.bundle_name, ours.relative_fileloc) == (BUNDLE, "a.py")
        session.delete(ours)
        session.flush()
        session.add(DagPriorityParsingRequest(BUNDLE, "a.py"))
        session.commit()
    with closing(sqlite3.connect(path)) as connection:
        [(identifier,)] = connection.execute("SELECT id FROM dag_priority_parsing_request").fetchall()
        connection.execute("DELETE FROM dag_priority_parsing_request")
        connection.commit()
        request(path, "a.py")
        assert connection.execute("SELECT id FROM dag_priority_parsing_request").fetchall() == [(identifier,)]
