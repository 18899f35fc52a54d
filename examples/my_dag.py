"""A DAG to deploy: see deploy_and_run.sh."""

from __future__ import annotations

from airflow.sdk import dag, task


@dag(schedule=None, tags=["example"])
def my_dag():
    @task
    def hello() -> str:
        return "hello"

    @task
    def tell(word: str) -> None:
        print(word)

    tell(hello())


my_dag()
