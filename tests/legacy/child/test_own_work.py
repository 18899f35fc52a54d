from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_rest_api.airflow.dag_processor import rest_between_versions
from airflow_rest_api.legacy.child import own_work
from airflow_rest_api.legacy.child.own_work import lines


def test_each_task_stands_under_the_tasks_it_follows() -> None:
    with DAG("d", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        a, b, c, d, other = (EmptyOperator(task_id=name) for name in ("a", "b", "c", "d", "other"))
        a >> [b, c] >> d
        assert other
    assert "\n".join(lines(dag)).replace("<Task(EmptyOperator): ", "").replace(">", "") == (
        "a\n    b\n        d\n    c\n        d\nother"
    )


def test_a_dag_with_millions_of_paths_is_a_short_tree() -> None:
    with DAG("d", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        layers = [[EmptyOperator(task_id=f"t{layer}_{i}") for i in range(3)] for layer in range(15)]
        for upper, lower in itertools.pairwise(layers):
            for task in upper:
                task >> lower
    assert len(list(lines(dag))) == 3 + 14 * 9


@pytest.mark.parametrize("order", [{"dag_id": "d"}, {}])
def test_what_is_parsed_here_is_stored_even_if_airflow_has_stored_it_only_just_now(
    order: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[timedelta] = []

    def parse(_: object) -> None:
        rests.append(rest_between_versions())

    every = SimpleNamespace(parse_args=lambda _: SimpleNamespace(func=parse))
    monkeypatch.setattr(own_work, "get_parser", lambda: every)
    monkeypatch.setattr(own_work, "parse_files", parse)
    monkeypatch.setattr(own_work.dag_processor, "file_of", lambda _: ("bundle", "file.py"))
    monkeypatch.setattr(own_work.dag_processor, "all_files", set)
    monkeypatch.setattr(own_work.dag_processor, "look", lambda _: {})

    assert own_work.refresh([json.dumps({**order, "here": True})]) == 0
    assert rests == [timedelta(0)] != [rest_between_versions()]
