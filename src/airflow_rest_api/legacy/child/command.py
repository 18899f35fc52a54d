"""Airflow's own commands, after a look at the DAG and the path that the client named."""

from __future__ import annotations

import traceback
from typing import Any

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import Refused, ordered, warn


@ordered
def main(order: dict[str, Any]) -> None:
    """
    Run commands one after the other; one that fails ends the process.

    Order: `argvs`; `dag_id` that must exist; `subdir`, a path inside a bundle; `load`: the command takes the
    DAG from its file there, and `params` are put on its task.
    """
    from airflow.cli.cli_parser import get_parser
    from airflow.utils.session import create_session

    if dag_id := order.get("dag_id"):
        with create_session() as session:
            dags.require(dag_id, session)
    place = dags.place_of(order["subdir"]) if order.get("subdir") else None
    for argv in order["argvs"]:
        arguments = get_parser().parse_args(argv)
        loaded: dict[str, Any] = {}
        if place is not None and hasattr(arguments, "bundle_name"):
            arguments.bundle_name = [place.bundle]
        elif place is not None:
            warn(f"subdir has no effect: 'airflow {' '.join(argv[:2])}' reads the database")
        if order.get("load") and (place or order.get("params")):
            loaded["dag"] = _load(arguments, place, order.get("params"))
        try:
            arguments.func(arguments, **loaded)
        except Refused:
            raise
        except Exception as error:
            # A client gets the reason; how Airflow came to it is of no use there.
            raise SystemExit("".join(traceback.format_exception_only(error)).rstrip()) from None


def _load(arguments: Any, place: dags.Place | None, params: dict[str, Any] | None) -> Any:
    from airflow.utils.cli import get_bagged_dag

    dag = dags.load(place, arguments.dag_id) if place else get_bagged_dag(None, arguments.dag_id)
    if params:
        dag.get_task(arguments.task_id).params.update(params)
    return dag
