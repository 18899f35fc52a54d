from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_rest_api.airflow.dag_processor import FileState, Parse, Stored
from airflow_rest_api.dag_files.refresh import ALLOWANCE, Step, Watch

ASKED = datetime(2026, 1, 1, tzinfo=timezone.utc)
REST = timedelta(seconds=30)
NOTHING = FileState()


def at(seconds: float) -> datetime:
    return ASKED + timedelta(seconds=seconds)


def parsed(seconds: float, *dags: str, took: float | None = 0.5, error: str | None = None) -> FileState:
    error_at = None if error is None else at(seconds)
    return FileState({dag: Parse(at(seconds), took) for dag in dags or ("a",)}, error, error_at)


def failed(seconds: float, error: str = "SyntaxError") -> FileState:
    return FileState({}, error, at(seconds))


def stored(seconds: float, *dags: str) -> dict[str, Stored]:
    return {dag: Stored(1, at(seconds)) for dag in dags or ("a",)}


def look(
    watch: Watch, seen: FileState, versions: dict[str, Stored] | None = None, clock: float = 0.0
) -> Step:
    return watch.look(seen, versions or {}, REST, clock)


def test_nothing_is_done_before_there_is_a_result():
    watch = Watch(ASKED, parsed(-60))

    assert look(watch, parsed(-60), stored(-60)) == Step()


def test_a_new_file_is_done_with_its_first_result():
    watch = Watch(ASKED, NOTHING)

    assert look(watch, parsed(2, "a", "b"), stored(2, "a", "b")) == Step(done=True)
    assert watch.dag_ids == ["a", "b"]


def test_a_result_that_was_begun_before_the_file_was_written_does_not_count():
    watch = Watch(ASKED, parsed(-60))

    # Begun three seconds before, in the middle of which the request was dropped.
    assert look(watch, parsed(1, took=4), stored(1)) == Step(again=True)
    assert not look(watch, parsed(1, took=4), stored(1)).done
    assert look(watch, parsed(40, took=4), stored(1)) == Step(done=True)


def test_the_second_result_counts_even_where_nobody_knows_when_it_began():
    watch = Watch(ASKED, parsed(-60))

    assert look(watch, parsed(1, took=None), stored(1)) == Step(again=True)
    assert look(watch, parsed(2, took=None), stored(1)) == Step(done=True)


def test_the_clock_of_the_dag_processor_may_be_slow():
    watch = Watch(ASKED, parsed(-660))

    assert look(watch, parsed(-600), stored(-600)) == Step(again=True)
    assert look(watch, parsed(-565), stored(-600)) == Step(done=True)


def test_a_dag_that_was_stored_a_moment_ago_is_asked_for_once_airflow_stores_it_again():
    watch = Watch(ASKED, parsed(-10))

    step = look(watch, parsed(2), stored(-10), clock=100.0)
    assert step == Step(until=100.0 + 30 - 12 + ALLOWANCE)
    assert look(watch, parsed(2), stored(-10), clock=118.0) == Step()
    assert look(watch, parsed(2), stored(-10), clock=118.6) == Step(again=True)
    assert look(watch, parsed(21), stored(21), clock=121.0) == Step(done=True)


def test_a_dag_that_has_not_changed_for_long_is_done_without_a_new_version():
    watch = Watch(ASKED, parsed(-100))

    assert look(watch, parsed(2), stored(-100)) == Step(done=True)


def test_what_a_stale_result_stored_has_to_rest_as_well():
    watch = Watch(ASKED, parsed(-60))

    assert look(watch, parsed(1, took=4), stored(1)).again
    step = look(watch, parsed(3, took=0.5), stored(1), clock=10.0)
    assert step == Step(until=10.0 + 28 + ALLOWANCE)


def test_a_dag_that_is_no_longer_in_the_file_is_not_among_its_dags():
    watch = Watch(ASKED, parsed(-100, "a", "gone"))
    now = FileState({"a": Parse(at(2), 0.5), "gone": Parse(at(-100), 0.5)})

    assert look(watch, now, stored(-100, "a", "gone")).done
    assert watch.dag_ids == ["a"]


def test_the_import_error_of_a_new_file_is_its_result():
    watch = Watch(ASKED, NOTHING)

    assert look(watch, failed(1)) == Step(done=True)
    assert watch.dag_ids == []


def test_the_import_error_of_a_known_file_has_to_be_seen_twice():
    watch = Watch(ASKED, parsed(-60))
    dags = parsed(-60).dags

    assert look(watch, FileState(dags, "NameError", at(1))) == Step(again=True)
    assert look(watch, FileState(dags, "NameError", at(1))) == Step()
    assert look(watch, FileState(dags, "NameError", at(2))) == Step(done=True)


def test_a_file_whose_dag_cannot_be_stored_is_not_waited_for():
    watch = Watch(ASKED, parsed(-5))

    assert look(watch, parsed(2, error="SerializationError"), stored(-5)) == Step(done=True)


def test_a_repaired_file_without_a_dag_is_done_when_its_error_is_gone():
    watch = Watch(ASKED, failed(-60))

    assert look(watch, NOTHING) == Step(done=True)
