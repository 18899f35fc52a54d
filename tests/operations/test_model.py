from __future__ import annotations

import time
import uuid

import pytest

from airflow_rest_api.operations.model import State, is_id, new_id


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


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "G" * 32, "0" * 31 + "\n", None, 7, ["0" * 32]])
def test_what_is_no_id_is_none(text: object):
    assert not is_id(text)
    assert is_id(new_id())
