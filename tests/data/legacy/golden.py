"""The DAGs behind the recorded exchanges, written for Airflow 3 and 2: same ids, tasks and parameters."""

from __future__ import annotations

from datetime import datetime

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import PythonOperator
except ImportError:
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import PythonOperator

DEFAULTS = {"owner": "golden", "retries": 0}
START = datetime(2026, 11, 1)


def say(ds: str) -> str:
    print("python says", ds)
    return f"done {ds}"


def chatty(size: int) -> None:
    print("x" * size)


with DAG("golden_basic", default_args=DEFAULTS, start_date=START, schedule=None, catchup=False):
    say_hello = BashOperator(
        task_id="say_hello",
        bash_command="echo hello {{ ds }} {{ params.who }} run={{ run_id }}",
        params={"who": "world"},
        env={"GOLDEN": "{{ ds_nodash }}"},
    )
    py_task = PythonOperator(task_id="py_task", python_callable=say, op_args=["{{ ds }}"])
    say_bye = BashOperator(task_id="say_bye", bash_command="echo bye")
    say_hello >> py_task >> say_bye

with DAG(
    "golden_param",
    default_args=DEFAULTS,
    start_date=START,
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

with DAG("golden_fail", default_args=DEFAULTS, start_date=START, schedule=None, catchup=False):
    ok = BashOperator(task_id="ok", bash_command="exit 0")
    boom = BashOperator(task_id="boom", bash_command="exit 3")
    after = BashOperator(task_id="after", bash_command="echo never")
    ok >> boom >> after

with DAG("golden_chatty", default_args=DEFAULTS, start_date=START, schedule=None, catchup=False):
    PythonOperator(task_id="small", python_callable=chatty, op_args=[100])
    PythonOperator(task_id="big", python_callable=chatty, op_args=[300000])
