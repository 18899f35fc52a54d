"""A small DAG file, of which the benchmark makes many: each has an id of its own."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def add(numbers: list[int]) -> int:
    """Return the sum of the numbers."""
    return sum(numbers)


with DAG(dag_id="one_of_many", schedule=None, tags=["bench"]):
    total = PythonOperator(task_id="total", python_callable=add, op_kwargs={"numbers": [1, 2, 3]})
    day = PythonOperator(task_id="day", python_callable=print, op_args=["{{ ds }}"])
    [total, day] >> EmptyOperator(task_id="end")
