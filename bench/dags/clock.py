"""A task that prints the time of day, again and again: how long does a line take to its reader?"""

from __future__ import annotations

import time
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param


def tell(params: dict[str, Any]) -> None:
    """Print the time of day in seconds, so many times."""
    for _ in range(params["lines"]):
        print(f"printed at {time.time():.6f}", flush=True)
        time.sleep(params["every"])


with DAG(
    dag_id="bench_clock",
    schedule=None,
    params={"lines": Param(1, type="integer"), "every": Param(1.0, type="number")},
):
    PythonOperator(task_id="tell", python_callable=tell)
