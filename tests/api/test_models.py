"""The JSON text of what the API answers with."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from airflow_rest_api.api.models import Model, as_json
from airflow_rest_api.operations.model import State


class Answer(Model):
    at: datetime
    state: State
    result: Any


def test_half_a_surrogate_pair_changes_nothing_else_of_an_answer():
    at = datetime(2026, 11, 29, 12, 36, 50, tzinfo=timezone.utc)
    halves = json.loads(r'{"\ud800": "\udfff", "\ud801": 1}')
    usual, odd = (
        json.loads(as_json(Answer(at=at, state=State.SUCCEEDED, result=result))) for result in ({}, halves)
    )

    assert usual["at"] == "2026-11-29T12:36:50Z"
    assert odd == {**usual, "result": halves}
