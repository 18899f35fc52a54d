"""`tasks clear`: its regular expression as one, and what it cleared."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_rest_api.airflow.expressions import dags_found, matching, or_exit
from airflow_rest_api.engine.patches import patch

NOTHING = "Nothing to clear."

NOT_SELECTING = ("dag_run_state", "confirm_prompt")
"""Arguments of `clear_dags` that say nothing about which task instances are cleared."""


@dataclass(frozen=True)
class Cleared:
    """
    One task instance that was cleared.

    :ivar state: the one that it had before, None where it had none
    :ivar map_index: -1 where the task is not mapped
    """

    dag_id: str
    task_id: str
    run_id: str
    logical_date: datetime | None
    map_index: int
    state: str | None


cleared: list[Cleared] = []
"""What the command of this process has cleared."""

quiet = False
"""Whether it is left to the caller to say that nothing was."""


def as_asked() -> None:
    """
    Have `--task-regex` select the tasks in whose id the expression is found, and remember what is cleared.

    Airflow 3 looks for the expression's text in the id (`SerializedDAG.partial_subset`), where its help
    and every former version say regular expression. For `--dag-regex` see `_finding`. Where nothing is to
    clear, which the command does not mention, standard error says so.
    """
    from airflow.cli.commands import task_command

    from airflow_rest_api.airflow.compat.dags import CLEARS, CLEARS_BY_FILE

    selects, clears = CLEARS
    partial_subset, clear_dags = selects.partial_subset, clears.clear_dags

    @functools.wraps(partial_subset)
    def subset(self: Any, task_ids: Any, *args: Any, **options: Any) -> Any:
        if isinstance(task_ids, str):
            task_ids = matching(task_ids, [task.task_id for task in self.tasks])
        return partial_subset(self, task_ids, *args, **options)

    @functools.wraps(clear_dags)
    def clear(dags: Any, *, dry_run: bool = False, **options: Any) -> Any:
        dags = list(dags)
        if not dry_run:
            selecting = {name: value for name, value in options.items() if name not in NOT_SELECTING}
            instances = clear_dags(dags, dry_run=True, **selecting)
            cleared.extend(map(_cleared, instances))
            if not instances and not quiet:
                sys.stderr.write(f"{NOTHING}\n")
        return clear_dags(dags, dry_run=dry_run, **options)

    cleared.clear()
    patch(selects, "partial_subset", subset)
    patch(clears, "clear_dags", clear)
    commands: Any = task_command
    patch(commands, "get_dags", _finding(commands.get_dags))
    if CLEARS_BY_FILE:
        patch(commands, CLEARS_BY_FILE, _stored(getattr(commands, CLEARS_BY_FILE)))


def _stored(by_file: Any) -> Any:
    """
    Return what takes a DAG from the database, as Airflow does since 3.2.

    Its file need not be on this host, nor need it be importable where its bundle is not on the path.
    """

    @functools.wraps(by_file)
    def found(dag_id: str) -> Any:
        from airflow.models.dag import DagModel

        from airflow_rest_api.airflow.compat.dags import stored_dag

        model = DagModel.get_current(dag_id)
        # What there is not is told by Airflow.
        return by_file(dag_id) if model is None else stored_dag(str(model.bundle_name), dag_id)

    return found


def _finding(get_dags: Any) -> Any:
    """
    Return what finds the DAGs of an expression, after it was tried on all of them, and in the database.

    Airflow's looks for them in the files (airflow/utils/cli.py: `get_dags`, whose `from_db` does nothing
    there): that parses all of them, and since 3.1 gives DAGs that have no method to be cleared. Those of
    3.0 forget on the way to `clear_dags` (`DAG.from_sdk_dag`) which of their tasks were selected.
    """

    @functools.wraps(get_dags)
    def found(bundle_names: Any, dag_id: str, use_regex: bool = False, **options: Any) -> Any:
        if use_regex:
            names = or_exit(dags_found, dag_id)
            if not (dags := _in_first_bundle(bundle_names or [], frozenset(names))):
                raise SystemExit(f"dag_id could not be found with regex: {dag_id}")
            return dags
        return get_dags(bundle_names, dag_id, use_regex=use_regex, **options)

    return found


def _in_first_bundle(named: list[str], dag_ids: frozenset[str]) -> list[Any]:
    """Return those of DAGs that are in the first bundle which has any: of the named ones, then of all."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_rest_api.airflow.compat.dags import stored_dag

    manager: Any = DagBundlesManager
    with create_session() as session:
        there = select(DagModel.dag_id, DagModel.bundle_name).where(DagModel.is_stale.is_(False))
        bundle_of = {one.dag_id: one.bundle_name for one in session.execute(there.order_by(DagModel.dag_id))}
    for bundle in (*named, *(one.name for one in manager().get_all_dag_bundles())):
        wanted = [dag_id for dag_id, name in bundle_of.items() if name == bundle and dag_id in dag_ids]
        if wanted:
            return [stored_dag(bundle, dag_id) for dag_id in wanted]
    return []


def _cleared(instance: Any) -> Cleared:
    state = instance.state
    return Cleared(
        instance.dag_id,
        instance.task_id,
        instance.run_id,
        instance.logical_date,
        instance.map_index,
        None if state is None else str(getattr(state, "value", state)),
    )
