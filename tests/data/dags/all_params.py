"""Params of every kind that Airflow's own form knows, and a task that fails when it is told to."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param


def work(params: dict[str, Any]) -> None:
    """Fail in the words of the params."""
    print("The work has begun.")
    if params["fail"]:
        raise ValueError(f"It failed for {params['text']}.")


with DAG(
    dag_id="all_params",
    schedule=None,
    is_paused_upon_creation=False,
    params={
        "text": Param("hello", type="string", minLength=2, title="A text", description="What to say"),
        "proposed": Param("one", type="string", examples=["one", "two"]),
        "long": Param("first\nsecond", type="string", format="multiline"),
        "secret": Param(None, type=["null", "string"], format="password"),
        "number": Param(1.5, type="number", minimum=1, maximum=10),
        "count": Param(3, type="integer", exclusiveMaximum=100),
        "maybe": Param(None, type=["null", "integer"]),
        "fail": Param(False, type="boolean", section="Ways to fail"),
        "choice": Param("b", enum=["a", "b", 3], values_display={"a": "The first"}),
        "several": Param(["x"], type="array", examples=["x", "y", "z"]),
        "lines": Param(["a", "b"], type="array"),
        "numbers": Param([1, 2], type="array", items={"type": "number"}),
        "object": Param({"key": [1]}, type="object"),
        "moment": Param("2026-01-02T03:04:05+00:00", type="string", format="date-time"),
        "day": Param("2026-01-02", type="string", format="date"),
        "time": Param("03:04:05", type="string", format="time"),
        "any": Param(1, type=["integer", "string", "object"]),
        "fixed": Param("never asked", const="never asked"),
        "plain": 7,
        "untyped": ["a", 1],
    },
) as dag:
    PythonOperator(task_id="work", python_callable=work)
