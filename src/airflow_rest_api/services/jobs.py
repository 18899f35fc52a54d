"""Our services beside Airflow's own jobs: which belong together, and which were started by others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_rest_api.services.kinds import BY_JOB_TYPE, KINDS
from airflow_rest_api.services.model import Service, State

if TYPE_CHECKING:
    from airflow_rest_api.airflow.jobs import Beat

SLACK = timedelta(seconds=2)
"""Between two clocks of one machine: that of the keeper, and that of the database's rows."""


@dataclass(frozen=True)
class Seen:
    """
    A component as it is shown.

    :ivar managed: whether we started it; of another one, the service holds what Airflow knows
    """

    service: Service
    job: Beat | None = None
    managed: bool = True


def paired(services: Sequence[Service], beats: Iterable[Beat]) -> list[Seen]:
    """Return our services with their jobs, and after them the jobs of components that others have started."""
    left = {beat.id: beat for beat in beats}
    found: dict[str, Beat] = {}
    for service in services:
        job_type = KINDS[service.kind].job_type if service.kind in KINDS else None
        if job_type is None:
            continue
        here = [b for b in left.values() if b.type == job_type and b.hostname == service.hostname]
        own = [beat for beat in here if _during(service, beat)]
        if own and not service.state.ended:
            newest = max(own, key=lambda beat: beat.id)
            if service.started_at and newest.started_at and newest.started_at >= service.started_at - SLACK:
                found[service.id] = newest
        for beat in own:
            # Of a start before the last one, or of a component that has ended without saying so.
            if found.get(service.id) is beat or _ended_before(service, beat):
                del left[beat.id]
    ours = [Seen(service, found.get(service.id)) for service in services]
    return [*ours, *(Seen(_stranger(beat), beat, managed=False) for beat in left.values())]


def _during(service: Service, beat: Beat) -> bool:
    """Return whether a job was begun while a service was there."""
    if beat.started_at is None or beat.started_at < service.created_at - SLACK:
        return False
    return service.ended_at is None or beat.started_at <= service.ended_at + SLACK


def _ended_before(service: Service, beat: Beat) -> bool:
    if service.state.ended:
        return True
    started = service.started_at
    return bool(started and beat.started_at and beat.started_at < started - SLACK)


def _stranger(beat: Beat) -> Service:
    kind = BY_JOB_TYPE[beat.type]
    started = beat.started_at or datetime.fromtimestamp(0, timezone.utc)
    return Service(
        id=f"job-{beat.id}",
        kind=kind.name,
        command=kind.command,
        argv=(),
        secret=False,
        user="",
        host=beat.hostname,
        place="",
        hostname=beat.hostname,
        folder="",
        logs="",
        stdout="",
        stderr="",
        created_at=started,
        started_at=started,
        state=State.RUNNING if beat.healthy else State.LOST,
        message=None if beat.healthy else "It does not report any more.",
    )
