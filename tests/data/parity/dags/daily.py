"""A scheduled DAG with a dependency, a template and an asset, for the comparison with the command line."""

from __future__ import annotations

import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

with DAG(
    dag_id="daily",
    schedule="@daily",
    start_date=datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
    catchup=False,
    tags=["parity"],
) as dag:
    greet = BashOperator(task_id="greet", bash_command="echo 'Run {{ run_id }} on {{ ds }}'")
    part = BashOperator(
        task_id="part", bash_command="echo done", outlets=[Asset("parity_asset", uri="file://parity/asset")]
    )
    greet >> part
