from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from airflow_rest_api.airflow.event_log import (
    LINE_ROOM,
    LONGEST_EVENT,
    LONGEST_ID,
    LONGEST_ROW,
    MARK,
    Event,
    fitted,
    short_text,
    write,
)
from tests.standin import airflow_database


@pytest.fixture(autouse=True)
def _table():
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    airflow_database()
    yield
    # Others have these tables, too.
    with create_session() as session:
        session.execute(delete(Log))


def rows(*owners):
    # Other tests of this process may write events of their own, from a thread.
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(Log).where(Log.owner.in_(owners)).order_by(Log.id)).all()
        return [(row.event, row.owner, row.dag_id, row.dttm, json.loads(row.extra)) for row in found]


def stored():
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    columns = (Log.event, Log.owner, Log.extra, Log.dag_id, Log.task_id, Log.run_id, Log.owner_display_name)
    with create_session() as session:
        return [tuple(row) for row in session.execute(select(*columns))]


def test_events_become_rows_with_the_time_at_which_they_happened():
    at = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    write([Event("rest_api.dags pause", "ada", "a", extra={"state": "succeeded"}, at=at), Event("b", "bob")])

    assert rows("ada", "bob")[0] == ("rest_api.dags pause", "ada", "a", at, {"state": "succeeded"})
    assert rows("ada", "bob")[1][:3] == ("b", "bob", None)


def test_what_no_column_can_hold_is_cut_or_replaced():
    write([Event("e" * 100, "o\0\ud800", "d" * 300, extra={"what": "\ud800\0"})])

    [(event, owner, dag_id, _, extra)] = rows("o?")
    assert len(event) == LONGEST_EVENT
    assert owner == "o?"
    assert len(dag_id) == LONGEST_ID
    assert extra == {"what": "\ud800\0"}


@pytest.mark.parametrize("letter", ["x", "ä", "€", "😀", "\ud800", "\0", '"'])
def test_no_row_is_longer_than_it_may_be_and_no_character_is_cut(letter):
    long = letter * 50_000
    extra = {"message": long, "arguments": [long] * 3000, "exit_code": 1, "more": {long: [[long]] * 100}}
    event = Event(long, f"long{long}", long, long, long, extra)
    write([event])
    [found] = [row for row in stored() if row[1].startswith("long")]
    texts = [text for text in found if text]
    assert sum(len(text.encode()) for text in texts) <= LONGEST_ROW
    kept = json.loads(found[2])
    assert kept["exit_code"] == 1
    assert kept["cut" if "cut" in kept else "arguments"][-1] == MARK
    if letter not in "\0":
        assert found[1].endswith(MARK)
        assert set(found[3]) <= {letter, MARK, "?"}


def test_what_fits_is_not_touched():
    event = Event("rest_api.dags pause", "ada", "a" * 250, "t", "r", {"arguments": ["dags", "pause", "ä"]})
    assert fitted(event) == event
    assert fitted(fitted(event)) == fitted(event)
    assert short_text("dags pause ä", LINE_ROOM) == "dags pause ä"


@pytest.mark.parametrize("text", ["x" * 10**6, "'\"" * 1000, "😀" * 10**5, "\0" * 2000])
def test_a_text_of_any_length_gets_short(text):
    short = short_text(text, LINE_ROOM)
    assert LINE_ROOM / 4 < len(json.dumps(short)) <= LINE_ROOM
    assert short.endswith(MARK)
    assert text.startswith(short.removesuffix(MARK))


SCRIPT = """
import json, sys
from argparse import Namespace
from airflow_rest_api.airflow.event_log import shorten_command_rows
shorten_command_rows()
from airflow.utils import cli
sys.argv = ["airflow", *json.load(sys.stdin)]
made = cli._build_metrics("dag_pause", Namespace(dag_id=sys.argv[-1], task_id=None))
print(json.dumps({name: made[name] for name in ("full_command", "dag_id", "task_id", "sub_command")}))
"""


def built(*words: str) -> dict[str, str]:
    asked = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(asked, input=json.dumps(words), check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_a_row_of_airflows_own_is_as_it_was_where_it_is_short():
    assert built("dags", "pause", "a") == {
        "full_command": "['airflow', 'dags', 'pause', 'a']",
        "dag_id": "a",
        "task_id": None,
        "sub_command": "dag_pause",
    }


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "ä", "😀"])
def test_a_row_of_airflows_own_is_short_whatever_is_asked_for(letter: str):
    found = built(*[letter * 700] * 20)
    assert len(json.dumps(found["full_command"])) <= 1200
    assert len(found["dag_id"]) <= 250
    assert len(found["dag_id"].encode()) <= 500
    assert found["full_command"].endswith("…")
    assert found["dag_id"].endswith("…")
