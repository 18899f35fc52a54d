"""`trigger_dag`: a run with a date to the second, as 1.x made it, wherever that is free."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

from airflow_rest_api.legacy.child.messages import Refused

PATTERN = "[scheduler] allowed_run_id_pattern"
LONG_CONF = 64 * 1024
"""Characters of a configuration with which the output of the command may be more than is kept."""
ATTEMPTS = 5
"""How often a date is chosen: others may trigger the same DAG in the same second."""


def trigger(arguments: Any) -> None:
    """
    Run `airflow dags trigger` with the arguments of its parser.

    Without a date of the client's the run is for the moment of the request, as it was in 1.x: templates use
    it, and a run of today's Airflow has none unless it is told. Its id shows the same moment. That moment is
    a whole second, which clients keep, unless another run of the DAG has it.

    :raises Refused: the run id is one that Airflow is configured not to take
    """
    if arguments.run_id is not None:
        check_run_id(arguments.run_id)
    arguments.replace_microseconds = False
    if arguments.logical_date is not None:
        _show_again(_run(arguments, arguments.logical_date), arguments)
        return
    for attempt in range(ATTEMPTS):
        now = datetime.now(timezone.utc)
        whole = now.replace(microsecond=0)
        date = now if attempt or _exists(arguments.dag_id, whole) else whole
        try:
            run = _run(arguments, date)
        except _taken():
            if attempt == ATTEMPTS - 1 or not _exists(arguments.dag_id, date):
                raise
        else:
            _show_again(run, arguments)
            return


def check_run_id(run_id: str) -> None:
    """Raise Refused where Airflow would not take the id of a run (`SerializedDAG.create_dagrun`)."""
    from airflow.configuration import conf
    from airflow.models.dagrun import RUN_ID_REGEX

    pattern = conf.get("scheduler", "allowed_run_id_pattern").strip()
    if not re.match(RUN_ID_REGEX, run_id) and not (pattern and re.match(pattern, run_id)):
        raise Refused(
            f"Argument 'run_id': this Airflow does not take '{run_id[:200]}': its {PATTERN} is {pattern!r}"
        )


def _run(arguments: Any, date: datetime) -> dict[str, Any]:
    """Create the run, and return it; an id of Airflow's making shows its date, not when it was created."""
    given, arguments.logical_date = arguments.run_id, date
    try:
        if given is None:
            arguments.run_id = _run_id(arguments.dag_id, date)
        arguments.func(arguments)
        return {"dag_id": arguments.dag_id, "dag_run_id": arguments.run_id, "logical_date": date.isoformat()}
    finally:
        arguments.run_id, arguments.logical_date = given, None


def _show_again(run: dict[str, Any], arguments: Any) -> None:
    """Print a run once more, without its configuration, where what the command printed may be cut."""
    if len(arguments.conf or "") > LONG_CONF and arguments.output == "json":
        print(json.dumps([run]))


def _run_id(dag_id: str, date: datetime) -> str | None:
    from airflow._shared.timezones.timezone import coerce_datetime
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.types import DagRunType

    dag: Any = SerializedDagModel.get_dag(dag_id)
    if dag is None:
        return None
    moment = coerce_datetime(date)
    interval = dag.timetable.infer_manual_data_interval(run_after=moment)
    run_id: str = dag.timetable.generate_run_id(
        run_type=DagRunType.MANUAL, run_after=moment, data_interval=interval
    )
    return run_id


def _taken() -> tuple[type[Exception], ...]:
    """Return what is raised where another run has the id or the date, so that none was made."""
    from airflow.exceptions import DagRunAlreadyExists
    from sqlalchemy.exc import IntegrityError

    return DagRunAlreadyExists, IntegrityError


def _exists(dag_id: str, date: datetime) -> bool:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        same = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.logical_date == date)
        return session.scalar(same.limit(1)) is not None
