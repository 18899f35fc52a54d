from __future__ import annotations

import itertools
from datetime import datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

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
