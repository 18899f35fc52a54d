"""Many small DAGs: what makes listing and parsing cost something."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

COUNT = 110

for number in range(COUNT):
    with DAG(dag_id=f"bench_{number:03}", schedule=None, tags=["bench"]) as dag:
        EmptyOperator(task_id="first") >> EmptyOperator(task_id="second")
    globals()[dag.dag_id] = dag
