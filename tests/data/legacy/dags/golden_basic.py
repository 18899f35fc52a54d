"""A DAG behind the recorded exchanges, written for today's Airflow: same tasks, parameters and outcomes."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def say(day: str) -> str:
    print("python says", day)
    return f"done {day}"


with DAG(
    "golden_basic",
    default_args={"owner": "golden", "retries": 0},
    start_date=datetime(2026, 11, 1),
    schedule=None,
    catchup=False,
):
    say_hello = BashOperator(
        task_id="say_hello",
        bash_command="echo hello {{ ds }} {{ params.who }} run={{ run_id }}",
        params={"who": "world"},
        env={"GOLDEN": "{{ ds_nodash }}"},
    )
    py_task = PythonOperator(task_id="py_task", python_callable=say, op_args=["{{ ds }}"])
    say_bye = BashOperator(task_id="say_bye", bash_command="echo bye")
    say_hello >> py_task >> say_bye
