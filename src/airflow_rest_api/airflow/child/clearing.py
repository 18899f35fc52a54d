"""`tasks clear`: its regular expression as one, and what it cleared."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_rest_api.airflow.expressions import matching
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
    and every former version say regular expression. Where nothing is to clear, which the command does not
    mention, standard error says so.
    """
    from airflow_rest_api.airflow.compat.dags import CLEARS

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
