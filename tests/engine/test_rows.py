from __future__ import annotations

from types import SimpleNamespace

from airflow_rest_api.engine.rows import select


def names(**allowed: set[str]) -> dict[str, frozenset[str]]:
    return {key.replace("inside_", "*."): frozenset(value) for key, value in allowed.items()}


def test_rows_of_others_are_left_out_before_the_mapper_sees_them():
    seen = []

    def mapper(dag: SimpleNamespace) -> dict[str, str]:
        seen.append(dag.dag_id)
        return {"file": "x"}

    dags = [SimpleNamespace(dag_id="a"), SimpleNamespace(dag_id="b")]

    assert select(dags, mapper, names(dag_id={"b"})) == [{"file": "x"}]
    assert seen == ["b"]


def test_a_row_is_known_by_what_the_mapper_makes_of_it_when_it_does_not_say_itself():
    pools = [("one", 1), ("two", 2)]

    def mapper(pool: tuple[str, int]) -> dict[str, object]:
        return {"pool": pool[0], "slots": pool[1]}

    assert select(pools, mapper, names(pool={"two"})) == [{"pool": "two", "slots": 2}]


def test_a_row_that_names_nothing_is_left_out():
    assert select([{"x": 1}], None, names(dag_id={"a"})) == []


def test_a_job_without_a_dag_stays():
    jobs = [{"dag_id": "None"}, {"dag_id": "a"}, {"dag_id": "b"}]
    assert select(jobs, None, names(dag_id={"a"})) == [{"dag_id": "None"}, {"dag_id": "a"}]


def test_a_file_is_shown_to_who_may_see_all_that_it_defines():
    stats = [
        SimpleNamespace(file="1", dags="['a', 'b']"),
        SimpleNamespace(file="2", dags="['a']"),
        SimpleNamespace(file="3", dags="[]"),
    ]
    assert select(stats, lambda stat: {"file": stat.file}, names(dags={"a"})) == [{"file": "2"}]


def test_an_import_error_is_shown_by_bundle_and_file():
    errors = [
        {"bundle_name": "one", "filepath": "x.py"},
        {"bundle_name": "two", "filepath": "x.py"},
        {"filepath": "x.py"},
    ]
    assert select(errors, None, names(filepath={"two:x.py"})) == [{"bundle_name": "two", "filepath": "x.py"}]


def test_what_is_mentioned_inside_a_row_is_taken_out_of_it():
    asset = {"name": "x", "tasks": [{"dag_id": "a"}, {"dag_id": "b"}], "more": {"tasks": [{"dag_id": "b"}]}}
    details = [{"property_name": "tasks", "property_value": [{"dag_id": "b"}]}]

    allowed = names(inside_dag_id={"a"})
    assert select([asset], None, allowed) == [
        {"name": "x", "tasks": [{"dag_id": "a"}], "more": {"tasks": []}}
    ]
    assert select(details, None, allowed) == [{"property_name": "tasks", "property_value": []}]
