"""A task that prints a line with the time of day, again and again, and leaves a trace of each run."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param


def work(params: dict[str, Any]) -> None:
    """Print the lines; beside the trace file nothing is touched, so that no database is needed meanwhile."""
    if params["helper"]:
        helper = subprocess.Popen(["sleep", "600"], start_new_session=True)
        print(f"helper {helper.pid}", flush=True)
    _trace("begins", params["marker"])
    told_to_end = Path(f"{os.environ['CLUSTER_TRACE']}.{params['marker']}")
    for number in range(1, params["lines"] + 1):
        if told_to_end.exists():
            break
        print(f"line {number} of {params['marker']} at {time.time():.6f}", flush=True)
        time.sleep(params["every"])
    _trace("ends", params["marker"])


def _trace(what: str, marker: str) -> None:
    with open(os.environ["CLUSTER_TRACE"], "a") as file:
        file.write(f"{marker} {what}\n")


with DAG(
    dag_id="ticker",
    schedule=None,
    params={
        "marker": Param("none", type="string"),
        "lines": Param(600, type="integer"),
        "every": Param(0.2, type="number"),
        "helper": Param(False, type="boolean", description="Start a program in a session of its own."),
    },
):
    PythonOperator(task_id="work", python_callable=work)
