"""Regular expressions of clients, in each kind of database."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert
from sqlalchemy.orm import Session

from airflow_rest_api.airflow import expressions
from airflow_rest_api.storage.database import own_engine
from tests.databases import KINDS, database_of_our_own

NAMES = ["attacked", "example", "a" * 200]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "sqlite" not in kind])
def test_an_expression_is_applied_by_the_database_in_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table("names", MetaData(), Column("name", String(250), primary_key=True))
    with database_of_our_own(kind, tmp_path) as address:
        engine = own_engine(address)
        with engine.begin() as connection:
            table.create(connection)
            connection.execute(insert(table), [{"name": name} for name in NAMES])
        with Session(engine) as session:
            assert expressions.in_database(session, table.c.name, "^e.*e$") == ["example"]
        monkeypatch.setattr(expressions, "TIME_LIMIT", 0.5)
        began = time.monotonic()
        with Session(engine) as session:
            # A back reference is what no database finds in linear time. MariaDB gives up by itself.
            try:
                found = expressions.in_database(session, table.c.name, r"^((a*)(a*)(a*)(a*)(a*)\2)*!$")
            except expressions.TooSlow:
                found = []
        engine.dispose()

    assert found == []
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_an_expression_over_names_is_killed_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(expressions.TooSlow):
        expressions._by_python(".?" * 60 + "!", NAMES)
    assert time.monotonic() - began < 30
    assert expressions._by_python("^e.*e$", NAMES) == ["example"]


LONG_NAMES = ["a" * 200 + "!x", "a b" * 60, "task"]

ENDLESS = [
    r"(a+)+$",
    r"(a|aa)+$",
    r"^(\w+\s?)*$!",
    r"(?:(?:a*)*)*b",
    r"(a*)*\1b",
    r"(?=(a+)+b)a",
    "a*" * 30 + "b",
    r"(.*a){25}!",
    ".*" * 20 + "!",
]


@pytest.mark.slow
@pytest.mark.parametrize("expression", ENDLESS)
def test_an_expression_that_takes_for_ever_is_given_up(
    expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "TIME_LIMIT", 0.2)
    began = time.monotonic()
    with pytest.raises(SystemExit, match="takes longer than"):
        expressions.matching(expression, LONG_NAMES)
    assert time.monotonic() - began < 20


def test_one_that_makes_sense_finds_its_names() -> None:
    assert expressions.matching("^ta", LONG_NAMES) == {"task"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "postgresql" in kind])
def test_what_one_of_the_commands_takes_for_a_match_is_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table("names", MetaData(), Column("name", String(250), primary_key=True))

    def by_the_database(pattern: str) -> list[str]:
        with Session(engine) as session:
            return expressions.in_database(session, table.c.name, pattern)

    monkeypatch.setattr(expressions, "_database_has_expressions", lambda: True)
    monkeypatch.setattr(expressions, "dags_matching", by_the_database)
    monkeypatch.setattr(expressions, "values", lambda statement: NAMES)
    with database_of_our_own(kind, tmp_path) as address:
        engine = own_engine(address)
        with engine.begin() as connection:
            table.create(connection)
            connection.execute(insert(table), [{"name": name} for name in NAMES])
        # A word's border to Python, and a backspace to PostgreSQL.
        assert by_the_database(r"^example$|\battacked") == ["example"]
        assert expressions.dags_matching_somehow(r"^example$|\battacked") == ["attacked", "example"]
        # Of a class of letters only PostgreSQL knows, and of a name for a group only Python.
        assert expressions.dags_matching_somehow("^[[:alpha:]]+e$") == ["example"]
        assert expressions.dags_matching_somehow("^(?P<first>e).*e$") == ["example"]
        with pytest.raises(re.error):
            expressions.dags_matching_somehow("(")
        engine.dispose()
