"""The components that outlive their request, after a look at the DAG and the path that it names."""

from __future__ import annotations

from typing import Any

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import Refused, ordered
from airflow_rest_api.services.start import Order, StartRefused, start


@ordered
def main(order: dict[str, Any]) -> int:
    """
    Start a component, print its process id, and wait until it is ready or has failed.

    Order: that of `services.child`, `dag_id` that must exist, and `subdir`, a path inside a bundle.
    """
    from airflow.utils.session import create_session

    if dag_id := order.pop("dag_id", None):
        with create_session() as session:
            dags.require(dag_id, session)
    if subdir := order.pop("subdir", None):
        dags.place_of(subdir)
    try:
        return start(Order(**order))
    except StartRefused as refusal:
        raise Refused(str(refusal)) from None
