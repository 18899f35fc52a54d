from __future__ import annotations

from airflow.sdk import DAG, Asset, task

with DAG("dag_of_theirs", schedule=[Asset("asset_of_mine")]):

    @task(outlets=[Asset("asset_of_nobody")])
    def theirs() -> None:
        pass

    theirs()
