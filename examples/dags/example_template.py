"""Templates: what `tasks render` shows and `tasks test` runs.

The shell task gets its command from a template, the Python task its arguments.
"""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def add(left: str, right: str) -> int:
    """Print and return the sum of two numbers, which arrive as rendered text."""
    total = int(left) + int(right)
    print(f"{left} + {right} = {total}")
    return total


with DAG(
    dag_id="example_template",
    description="A shell task and a Python task with templated arguments",
    schedule=None,
    tags=["example"],
    doc_md=__doc__,
) as dag:
    greet = BashOperator(
        task_id="greet",
        bash_command="echo 'Run {{ run_id }} of {{ dag.dag_id }}, in the hands of {{ params.name }}'",
        params={"name": "Ada"},
    )
    total = PythonOperator(
        task_id="total",
        python_callable=add,
        op_kwargs={"left": "{{ 6 * 6 }}", "right": "{{ dag_run.conf.get('right', 6) }}"},
    )
    greet >> total
