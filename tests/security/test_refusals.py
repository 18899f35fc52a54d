from __future__ import annotations

from dataclasses import replace

from airflow_rest_api.airflow.event_log import Event
from airflow_rest_api.security.audit import MOST_REFUSALS, NO_USER, ONE_BY_ONE, OTHERS, WINDOW, Refusals

REFUSED = Event(
    "rest_api.dags pause", "ada", "a", extra={"state": "refused", "message": "no", "address": "::1"}
)


class Clock:
    """Stands still but for when it is put forward."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_is_a_row_at_once_and_its_repeats_are_one_with_their_number():
    clock = Clock()
    refusals = Refusals(clock)
    assert refusals.due_in() is None
    events = [replace(REFUSED) for _ in range(41)]
    for event in events[:1]:
        refusals.add(event)
    assert refusals.due_in() == 0
    assert refusals.take() == ([REFUSED], 0)
    for event in events[1:]:
        refusals.add(event)
    assert refusals.due_in() == WINDOW
    assert refusals.take() == ([], 0)

    clock.now += WINDOW
    [row], left_out = refusals.take()
    assert (row.name, row.owner, row.dag_id, row.at) == (REFUSED.name, "ada", "a", events[-1].at)
    assert row.extra == {**REFUSED.extra, "times": 40, "since": REFUSED.at.isoformat()}
    assert (left_out, len(refusals), refusals.due_in()) == (0, 0, None)


def test_one_that_is_not_repeated_is_one_row():
    clock = Clock()
    refusals = Refusals(clock)
    refusals.add(REFUSED)
    clock.now += WINDOW
    assert refusals.take() == ([REFUSED], 0)
    assert len(refusals) == 0


def test_another_user_command_object_or_reason_is_another_row():
    refusals = Refusals(Clock())
    others = [
        replace(REFUSED, owner="bob"),
        replace(REFUSED, name="rest_api.dags unpause"),
        replace(REFUSED, dag_id="b"),
        replace(REFUSED, extra={**REFUSED.extra, "message": "nobody"}),
    ]
    for event in (REFUSED, *others):
        refusals.add(event)
    assert refusals.take()[0] == [REFUSED, *others]


def test_many_different_ones_of_a_user_share_a_row_and_leave_other_users_theirs():
    clock = Clock()
    refusals = Refusals(clock)
    for number in range(ONE_BY_ONE + 500):
        refusals.add(replace(REFUSED, dag_id=str(number)))
    refusals.add(replace(REFUSED, owner="bob"))
    now, _ = refusals.take()
    assert [event.owner for event in now] == ["ada"] * ONE_BY_ONE + ["bob"]

    clock.now += WINDOW
    [rest], _ = refusals.take()
    assert (rest.name, rest.owner, rest.dag_id, rest.extra["times"]) == (OTHERS, "ada", None, 500)
    # In the next minute there is room again.
    refusals.add(replace(REFUSED, dag_id="new"))
    assert len(refusals.take()[0]) == 1


def test_there_is_an_end_to_what_is_kept_and_what_is_left_out_is_counted():
    clock = Clock()
    refusals = Refusals(clock)
    for number in range(MOST_REFUSALS + 300):
        refusals.add(replace(REFUSED, owner=str(number)))
    assert len(refusals) <= 2 * MOST_REFUSALS + 1
    assert len(refusals.take()[0]) == MOST_REFUSALS
    clock.now += WINDOW
    rows, left_out = refusals.take()
    assert left_out == 300
    assert [row.owner for row in rows] == [NO_USER]
    assert "300 refusals" in rows[0].extra["message"]
    assert refusals._different == {}


def test_at_the_end_everything_is_a_row():
    refusals = Refusals(Clock())
    for _ in range(3):
        refusals.add(REFUSED)
    refusals.take()
    [row], _ = refusals.take(everything=True)
    assert row.extra["times"] == 2
