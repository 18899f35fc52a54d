"""What 1.x listed and no command of today does so: DAGs of a folder, trees of tasks, rows without a verb."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import ordered
from airflow_rest_api.secret_names import MASK

COLUMNS = ("dag_id", "fileloc", "owners", "is_paused", "bundle_name", "bundle_version")
"""What `airflow dags list` shows."""

INDENT = "    "


@ordered
def list_dags(order: dict[str, Any]) -> None:
    """Order: `subdir`; `report`: parse the files and show how long each took; `output`: table or json."""
    from airflow.cli.simple_table import AirflowConsole
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    place = dags.place_of(order["subdir"])
    with create_session() as session:
        models = session.scalars(
            select(DagModel)
            .where(DagModel.bundle_name == place.bundle, DagModel.is_stale.is_(False))
            .order_by(DagModel.dag_id)
        )
        rows = [
            {column: getattr(model, column) for column in COLUMNS}
            for model in models
            if place.holds(model.relative_fileloc)
        ]
    output = order.get("output", "table")
    AirflowConsole().print_as(data=rows, output=output)
    if order.get("report"):
        statistics = [_statistics(stat) for stat in dags.parse(place).dagbag_stats]
        AirflowConsole().print_as(data=statistics, output=output)


def _statistics(stat: Any) -> dict[str, Any]:
    return {name: getattr(stat, name) for name in ("file", "duration", "dag_num", "task_num", "dags")}


@ordered
def show_tree(order: dict[str, Any]) -> None:
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


@ordered
def list_rows(order: dict[str, Any]) -> None:
    """Print rows as JSON, in the order in which they were made; order: `kind`, connections or variables."""
    from airflow.cli.simple_table import AirflowConsole
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = _variables(session) if order["kind"] == "variables" else _connections(session)
    AirflowConsole().print_as(data=rows, output="json")


def _variables(session: Any) -> list[dict[str, Any]]:
    from airflow.models.variable import Variable
    from sqlalchemy import select

    return [{"key": key} for key in session.scalars(select(Variable.key).order_by(Variable.id))]


def _connections(session: Any) -> list[dict[str, Any]]:
    """Return the columns of 1.x; of what may hold a secret only whether it is there."""
    from airflow.models.connection import Connection
    from sqlalchemy import select

    columns: Any = (
        Connection.conn_id,
        Connection.conn_type,
        Connection.host,
        Connection.port,
        Connection.is_encrypted,
        Connection.is_extra_encrypted,
        Connection._extra,
    )
    names = ("conn_id", "conn_type", "host", "port", "is_encrypted", "is_extra_encrypted", "extra")
    # Columns, not objects: what is stored stays encrypted, and cannot fail to be decrypted.
    found = session.execute(select(*columns).order_by(Connection.id))
    rows = [dict(zip(names, row, strict=True)) for row in found]
    return [{**row, "extra": MASK if row["extra"] else None} for row in rows]
