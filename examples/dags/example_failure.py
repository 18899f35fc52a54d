"""The first task succeeds, the second fails, the third never runs."""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="example_failure",
    description="Fails in the middle, each time in the same way",
    schedule=None,
    tags=["example"],
    doc_md=__doc__,
) as dag:
    prepare = BashOperator(task_id="prepare", bash_command="echo 'All is well'")
    fail = BashOperator(task_id="fail", bash_command="echo 'No such customer' >&2; exit 3")
    report = BashOperator(task_id="report", bash_command="echo 'Never printed'")
    prepare >> fail >> report
