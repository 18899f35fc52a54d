"""Airflow's own table of jobs: the components that tell by a heartbeat that they live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

RECENT = timedelta(minutes=10)
"""For how long one that has fallen silent is still told of."""


@dataclass(frozen=True)
class Beat:
    """
    One row.

    :ivar healthy: Airflow's own word, by the thresholds of its configuration
    """

    id: int
    type: str
    state: str | None
    hostname: str
    started_at: datetime | None
    latest_heartbeat: datetime | None
    healthy: bool


def beats(types: Collection[str]) -> list[Beat]:
    """Return the jobs of these types that run, by their own word and lately. Blocks."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session
    from sqlalchemy import select

    since = datetime.now(timezone.utc) - RECENT
    chosen = (
        select(Job)
        .where(Job.job_type.in_(types), Job.state == "running", Job.latest_heartbeat >= since)
        .order_by(Job.id)
    )
    with create_session() as session:
        return [
            Beat(
                id=job.id,
                type=str(job.job_type),
                state=job.state,
                hostname=str(job.hostname or ""),
                started_at=job.start_date,
                latest_heartbeat=job.latest_heartbeat,
                healthy=bool(job.is_alive()),
            )
            for job in session.scalars(chosen)
        ]
