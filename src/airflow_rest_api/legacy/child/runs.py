"""The DAG run that a client means: by its id, or by its date to the second."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_rest_api.legacy.child.messages import Refused

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SECOND = timedelta(seconds=1)
NAMED = 5
"""Runs that a refusal names."""


def find(dag_id: str, value: str, session: Session, argument: str = "execution_date") -> Any:
    """
    Return the DAG run that a value names, None where there is none.

    Clients of the 1.x plugin keep dates to the second, which was all that a run of `trigger_dag` had: a date
    without a fraction stands for the whole second.

    :param value: the id of a run, or a logical date
    :raises Refused: it is neither, or several runs lie in that second
    """
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    of_dag = select(DagRun).where(DagRun.dag_id == dag_id)
    if run := session.scalar(of_dag.where(DagRun.run_id == value)):
        return run
    date = date_of(value)
    if date is None:
        raise Refused(
            f"Argument '{argument}': '{value[:200]}' is neither a date nor the id of a run of DAG '{dag_id}'"
        )
    if date.microsecond:
        return session.scalar(of_dag.where(DagRun.logical_date == date))
    try:
        end = date + SECOND
    except OverflowError:
        return None
    within = of_dag.where(DagRun.logical_date >= date, DagRun.logical_date < end)
    runs = session.scalars(within.order_by(DagRun.logical_date).limit(NAMED + 1)).all()
    if len(runs) > 1:
        named = ", ".join(f"'{run.run_id}' ({run.logical_date})" for run in runs[:NAMED])
        more = " and more" if len(runs) > NAMED else ""
        raise Refused(
            f"Argument '{argument}': several runs of DAG '{dag_id}' lie in the second '{value}': "
            f"{named}{more}; give the id of one"
        )
    return runs[0] if runs else None


def date_of(value: str) -> datetime | None:
    """Return the moment that a text says, in Airflow's time zone where it has none; None for another text."""
    from airflow._shared.timezones.timezone import parse

    try:
        moment: Any = parse(value)
    except Exception:
        # pendulum raises what it comes across: ParserError, ValueError, OverflowError, TypeError.
        return None
    # A duration and a span of time are texts that it takes as well.
    return moment if isinstance(moment, datetime) and is_in_calendar(moment) else None


def is_in_calendar(moment: datetime) -> bool:
    """Return whether a moment has a date in UTC: at the ends of the calendar a zone can lead out of it."""
    try:
        moment.astimezone(timezone.utc)
    except (OverflowError, ValueError):
        return False
    return True


def end_of_second(date: datetime | None) -> datetime | None:
    """Return the last moment of the second that a date without a fraction stands for."""
    if date is None or date.microsecond:
        return date
    return date.replace(microsecond=999_999)
