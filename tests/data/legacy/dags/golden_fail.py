"""The DAGs behind the recorded exchanges, written for today's Airflow: same ids, tasks and outcomes."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

DEFAULTS = {"owner": "golden", "retries": 0}
START = datetime(2026, 11, 1)


def chatty(size: int) -> None:
    print("x" * size)


with DAG("golden_fail", default_args=DEFAULTS, start_date=START, schedule=None, catchup=False):
    ok = BashOperator(task_id="ok", bash_command="exit 0")
    boom = BashOperator(task_id="boom", bash_command="exit 3")
    after = BashOperator(task_id="after", bash_command="echo never")
    ok >> boom >> after

with DAG("golden_chatty", default_args=DEFAULTS, start_date=START, schedule=None, catchup=False):
    PythonOperator(task_id="small", python_callable=chatty, op_args=[100])
    PythonOperator(task_id="big", python_callable=chatty, op_args=[300000])
