from __future__ import annotations

import time
import uuid

from airflow_rest_api.operations.model import State, new_id


def test_ids_are_uuids_of_version_7_in_the_order_of_time():
    first = new_id()
    time.sleep(0.002)
    second = new_id()

    assert first < second
    assert {uuid.UUID(new_id()).version for _ in range(200)} == {7}
    assert {uuid.UUID(new_id()).variant for _ in range(200)} == {uuid.RFC_4122}
    assert len({new_id() for _ in range(1000)}) == 1000


def test_all_states_but_two_are_an_end():
    assert {state for state in State if not state.ended} == {State.QUEUED, State.RUNNING}
