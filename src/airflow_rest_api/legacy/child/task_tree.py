"""`list_tasks` with `tree`, which no Airflow 3 prints."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import ordered

INDENT = "    "


@ordered
def main(order: dict[str, Any]) -> None:
    """Order: `dag_id`; `subdir`: take the DAG from its file there, and not from the database."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        dags.require(order["dag_id"], session)
        if order.get("subdir"):
            dag = dags.load(dags.place_of(order["subdir"]), order["dag_id"])
        else:
            dag = SerializedDagModel.get_dag(order["dag_id"], session=session)
        if dag is None:
            raise SystemExit(f"Dag {order['dag_id']!r} could not be found in the database.")
    for line in lines(dag):
        print(line)


def lines(dag: Any) -> Iterator[str]:
    """
    Yield the tree as the 1.x command printed it: each task under every task that it follows.

    What follows a task is printed the first time only: in full, a DAG of 40 tasks can have millions of paths.
    """
    seen: set[str] = set()
    roots = sorted(
        (task for task in dag.tasks if not task.upstream_task_ids), key=lambda task: str(task.task_id)
    )
    stack = [(task, 0) for task in reversed(roots)]
    while stack:
        task, depth = stack.pop()
        yield f"{INDENT * depth}<Task({task.task_type}): {task.task_id}>"
        if task.task_id in seen:
            continue
        seen.add(task.task_id)
        following = sorted(task.downstream_task_ids)
        stack += [(dag.get_task(task_id), depth + 1) for task_id in reversed(following)]
