"""`list_dags` with `subdir`: the DAGs of one folder or file."""

from __future__ import annotations

from typing import Any

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import ordered

COLUMNS = ("dag_id", "fileloc", "owners", "is_paused", "bundle_name", "bundle_version")
"""What `airflow dags list` shows."""


@ordered
def main(order: dict[str, Any]) -> None:
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
