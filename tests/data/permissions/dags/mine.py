from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, task

with DAG("dag_of_mine"):

    @task(outlets=[Asset("asset_of_mine")])
    def mine() -> None:
        pass

    mine()
    BashOperator(task_id="shown", bash_command="echo {{ var.value.env_conf }} {{ var.value.env_password }}")
