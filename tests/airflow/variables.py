"""Variables of Airflow's in a database of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from tests.databases import database_of_our_own


@contextmanager
def airflow_in(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[None]:
    """Have Airflow keep its variables in a database of a kind, with some in it."""
    from airflow import settings
    from airflow.models import Variable
    from airflow.models.team import Team

    with database_of_our_own(kind, folder) as address:
        engine = create_engine(address)
        try:
            tables = [model.__table__ for model in (Team, Variable)]
            Variable.metadata.create_all(engine, tables=tables)  # type: ignore[arg-type]
            monkeypatch.setattr(settings, "Session", sessionmaker(bind=engine, expire_on_commit=False))
            with settings.Session() as session:
                session.add_all([Variable(key=key, val=value) for key, value in variables.items()])
                session.commit()
            yield
        finally:
            monkeypatch.undo()
            engine.dispose()
