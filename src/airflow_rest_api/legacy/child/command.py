"""Airflow's own commands, after a look at the DAG, the path and the run that the client named."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import json
import traceback
from typing import Any

from airflow_rest_api.airflow.child import clearing
from airflow_rest_api.legacy.child import dags, runs
from airflow_rest_api.legacy.child.messages import Refused, ordered, warn
from airflow_rest_api.legacy.child.trigger import trigger

MANY = 1000
"""DAGs from which only their ids are listed."""

MOST_CLEARED = 1000
"""Task instances that an answer lists: a list that is too long for the output would be none."""


@ordered
def main(order: dict[str, Any]) -> None:
    """
    Run commands one after the other; one that fails ends the process.

    Order: `argvs`; `dag_id` that must exist; `subdir`, a path inside a bundle; `load`: the command takes the
    DAG from its file there, and `params` are put on its task; `date`, by which the client names a run, and
    `without_run`: ``None`` is printed where there is none; `pool` that is shown before it is deleted;
    `json`: what today's command does not print is printed as JSON.
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
            _run(arguments, argv, order, loaded)
        except Refused:
            raise
        except Exception as error:
            # A client gets the reason; how Airflow came to it is of no use there.
            raise SystemExit("".join(traceback.format_exception_only(error)).rstrip()) from None


def _run(arguments: Any, argv: list[str], order: dict[str, Any], loaded: dict[str, Any]) -> None:
    command = " ".join(argv[:2])
    if order.get("date") and not _names_run(arguments, order):
        print(None)
        return
    if command == "dags trigger":
        trigger(arguments)
        return
    if command == "dags list" and order.get("json") and _many_dags():
        # All that the text is made of: with the rest of their columns they may be more than is kept.
        arguments.columns = ["dag_id"]
    if command == "tasks clear":
        arguments.end_date = runs.end_of_second(arguments.end_date)
        # The answer says it in the words of 1.10, whose clients want an empty stderr.
        clearing.quiet = bool(order.get("json"))
    if name := order.get("pool"):
        _show_pool(name)
    arguments.func(arguments, **loaded)
    if command == "tasks clear" and order.get("json"):
        _show_cleared()
    if command == "backfill create" and arguments.dry_run and order.get("json"):
        _show_dry_run(arguments, order)


def _many_dags() -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return (session.scalar(select(func.count()).select_from(DagModel)) or 0) > MANY


def _names_run(arguments: Any, order: dict[str, Any]) -> bool:
    """Have the arguments name the run that the client means; return whether the command is to be run."""
    from airflow.utils.session import create_session

    with create_session() as session:
        run = runs.find(arguments.dag_id, order["date"], session)
        if run is not None:
            arguments.logical_date_or_run_id = run.run_id
            return True
    # A task that does not exist is the command's to refuse.
    return not (order.get("without_run") and _has_task(arguments))


def _has_task(arguments: Any) -> bool:
    from airflow.models.serialized_dag import SerializedDagModel

    task_id = getattr(arguments, "task_id", None)
    if task_id is None:
        return True
    dag: Any = SerializedDagModel.get_dag(arguments.dag_id)
    return dag is not None and dag.has_task(task_id)


def _show_pool(name: str) -> None:
    from airflow.cli.simple_table import AirflowConsole
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session

    with create_session() as session:
        pool: Any = Pool.get_pool(name, session=session)
        if pool is not None:
            row = {"pool": pool.pool, "slots": pool.slots, "description": pool.description}
            AirflowConsole().print_as(data=[row], output="json")


def _show_cleared() -> None:
    more = len(clearing.cleared) - MOST_CLEARED
    if more > 0:
        warn(f"Of {len(clearing.cleared)} task instances that were cleared, {MOST_CLEARED} are listed")
    print(json.dumps([_cleared(one) for one in clearing.cleared[:MOST_CLEARED]]))


def _cleared(one: clearing.Cleared) -> dict[str, Any]:
    return {**vars(one), "logical_date": one.logical_date and one.logical_date.isoformat()}


def _show_dry_run(arguments: Any, order: dict[str, Any]) -> None:
    """Print the tasks of the run of the first date, which 1.x did, in the order in which they run."""
    from airflow.models.serialized_dag import SerializedDagModel

    dag: Any = SerializedDagModel.get_dag(arguments.dag_id)
    chosen = dags.matching(dag, order.get("task_regex"), upstream=not order.get("ignore_dependencies"))
    tasks = [task_id for task_id in dags.in_order(dag) if task_id in chosen]
    date = arguments.from_date.isoformat()
    print(json.dumps({"dag_id": arguments.dag_id, "logical_date": date, "tasks": tasks}))


def _load(arguments: Any, place: dags.Place | None, params: dict[str, Any] | None) -> Any:
    from airflow.utils.cli import get_bagged_dag

    dag = dags.load(place, arguments.dag_id) if place else get_bagged_dag(None, arguments.dag_id)
    if params:
        dag.get_task(arguments.task_id).params.update(params)
    return dag
