"""Params with types and defaults: a run that breaks them is refused when it is triggered."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param


def repeat(params: dict[str, Any]) -> list[str]:
    """Print the greeting as often as asked, and return the lines."""
    word = params["greeting"].upper() if params["loud"] else params["greeting"]
    lines = [f"{number}: {word}" for number in range(1, params["times"] + 1)]
    print("\n".join(lines))
    return lines


with DAG(
    dag_id="example_params",
    description="A text, a number and a switch, checked by Airflow",
    schedule=None,
    tags=["example"],
    params={
        "greeting": Param("hello", type="string", minLength=1, description="What to say"),
        "times": Param(3, type="integer", minimum=1, maximum=100, description="How often"),
        "loud": Param(False, type="boolean", description="In capital letters"),
    },
    doc_md=__doc__,
) as dag:
    PythonOperator(task_id="repeat", python_callable=repeat)
