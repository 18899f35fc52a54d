from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_rest_api.settings import Settings
from airflow_rest_api.storage.engines import own_engine


@pytest.mark.parametrize(
    "address",
    ["postgresql+psycopg2://u@h/d", "mysql+pymysql://u@h/d", "mariadb+pymysql://u@h/d", "sqlite:////a/b"],
)
def test_nothing_is_connected_to_before_the_first_use(address: str):
    own_engine(address).dispose()


def test_the_address_is_a_secret():
    settings = Settings.load(lambda _, name: "sqlite:////a/b" if name == "operations_database" else None)
    assert settings.shown()["operations_database"] == "***"


def test_a_new_sqlite_file_that_somebody_else_is_writing_to_can_be_opened(tmp_path: Path):
    engine = own_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE theirs (a INTEGER)")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        other.execute("COMMIT")
    engine.dispose()

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
