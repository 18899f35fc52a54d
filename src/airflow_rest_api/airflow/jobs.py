"""Airflow's own table of jobs: the components that show by a heartbeat that they live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import select

from airflow_rest_api.airflow.queries import values

RECENT = timedelta(minutes=10)
"""For how long a job without a new heartbeat is still listed."""


@dataclass(frozen=True)
class AirflowJob:
    """
    A job with a heartbeat of the last minutes.

    :ivar healthy: for Airflow, by the thresholds of its configuration
    """

    id: int
    type: str
    state: str | None
    hostname: str
    started_at: datetime | None
    latest_heartbeat: datetime | None
    healthy: bool


def running_jobs(types: Collection[str]) -> list[AirflowJob]:
    """Return the jobs of these types whose state is running and whose heartbeat is recent. Blocks."""
    from airflow.jobs.job import Job

    since = datetime.now(timezone.utc) - RECENT
    chosen = (
        select(Job)
        .where(Job.job_type.in_(types), Job.state == "running", Job.latest_heartbeat >= since)
        .order_by(Job.id)
    )
    return [
        AirflowJob(
            id=job.id,
            type=str(job.job_type),
            state=job.state,
            hostname=str(job.hostname or ""),
            started_at=job.start_date,
            latest_heartbeat=job.latest_heartbeat,
            healthy=bool(job.is_alive()),
        )
        for job in values(chosen)
    ]
