from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from airflow_rest_api.hosts.event_log import LONGEST_EVENT, LONGEST_ID, Event, write
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
