"""A DAG behind the recorded exchanges, written for today's Airflow: same tasks, parameters and outcomes."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG(
    "golden_param",
    default_args={"owner": "golden", "retries": 0},
    start_date=datetime(2026, 11, 1),
    schedule="@daily",
    catchup=False,
    params={"name": "default-name"},
):
    greet = BashOperator(
        task_id="greet",
        bash_command="echo greet "
        "{{ (dag_run.conf or {}).get('name', params.name) if dag_run else params.name }}",
    )
    greet >> EmptyOperator(task_id="end")
