from __future__ import annotations

from airflow.sdk import DAG, Asset, task

with DAG("dag_of_mine"):

    @task(outlets=[Asset("asset_of_mine")])
    def mine() -> None:
        pass

    mine()
