"""A task that takes its time and prints progress: something to watch and to cancel."""

from __future__ import annotations

import time
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param


def work(params: dict[str, Any]) -> int:
    """Print one line a second, and return how many."""
    seconds: int = params["seconds"]
    for second in range(1, seconds + 1):
        time.sleep(1)
        print(f"{second} of {seconds} seconds", flush=True)
    return seconds


with DAG(
    dag_id="example_slow",
    description="Sleeps for as many seconds as asked",
    schedule=None,
    tags=["example"],
    params={"seconds": Param(30, type="integer", minimum=0, maximum=3600, description="How long it takes")},
    doc_md=__doc__,
) as dag:
    PythonOperator(task_id="work", python_callable=work)
