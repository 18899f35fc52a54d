"""Compare services with the reports of their supervisors, with processes, and with Airflow's own jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api import processes
from airflow_rest_api.services import status
from airflow_rest_api.services.model import BY_JOB_TYPE, KINDS, DesiredState, Service
from airflow_rest_api.services.status import State, Status, is_ready

if TYPE_CHECKING:
    from airflow_rest_api.airflow.installation import AirflowJob


START_LIMIT = timedelta(minutes=3)
"""After this, a service without a supervisor will not get one any more."""
UNSEEN = timedelta(minutes=1)
"""After this, no API server looks after a service any more."""

NO_START = "Never started: the API server ended before it could start the component."
SUPERVISOR_GONE = "Its supervisor was killed, or the machine was restarted."
ORPHAN = "Its supervisor was killed; the component itself is being stopped."


def changes(service: Service, now: datetime) -> dict[str, Any]:
    """Return the fields of a service of this machine that are not as they were; blocks for a moment."""
    if service.state.ended:
        return {}
    found = _found(service, status.read(Path(service.folder)), now)
    if found.get("state", service.state).ended:
        found["claim"] = None
        if service.desired in (DesiredState.STOP, DesiredState.KILL):
            found["desired"] = None
    return {name: value for name, value in found.items() if getattr(service, name) != value}


def awaits_restart(service: Service, report: Status) -> bool:
    """Return whether the supervisor of a service that is to be restarted has not begun to."""
    return report.state in (State.STARTING, State.RUNNING) and _is_same(service, report)


def as_seen(service: Service, now: datetime) -> Service:
    """Return a service of elsewhere as it is shown: lost where no API server looks after it any more."""
    since = service.seen_at or service.created_at
    if service.state.ended or now - since < UNSEEN:
        return service
    message = f"No API server of {service.host} has looked after it since {since:%Y-%m-%d %H:%M:%S} UTC."
    return replace(service, state=State.LOST, message=message)


def _found(service: Service, report: Status | None, now: datetime) -> dict[str, Any]:
    if report is None:
        if service.supervisor is not None and processes.is_alive(
            service.supervisor, service.supervisor_start
        ):
            # Its folder cannot be read at the moment.
            return {}
        if now - (service.started_at or service.created_at) < START_LIMIT:
            return {}
        if service.supervisor is None:
            return {"state": State.FAILED, "message": NO_START, "ended_at": now}
        return _lost(now)
    found: dict[str, Any] = {
        **asdict(report),
        "started_at": _moment(report.started_at),
        "ended_at": _moment(report.ended_at) if report.state.ended else service.ended_at,
    }
    del found["job"]
    if report.state.ended:
        return found
    if not processes.is_alive(report.supervisor, report.supervisor_start):
        if processes.is_alive(report.pid, report.pid_start):
            return {**found, "state": State.STOPPING, "message": ORPHAN}
        return {**found, **_lost(now)}
    return {**found, "state": _living(service, report)}


def _lost(now: datetime) -> dict[str, Any]:
    lost = {"state": State.LOST, "message": SUPERVISOR_GONE, "ended_at": now}
    return {**lost, "pid": None, "pid_start": None, "exit_code": None}


def _living(service: Service, report: Status) -> State:
    """Return the state of a service: what is asked for shows before its supervisor has reported it."""
    if report.state not in (State.STARTING, State.RUNNING):
        return report.state
    if service.desired in (DesiredState.STOP, DesiredState.KILL):
        return State.STOPPING
    # One that stops does so until it has ended, whatever is wanted of it meanwhile.
    if _is_same(service, report) and service.state in (State.RUNNING, State.RESTARTING, State.STOPPING):
        return service.state
    return State.RUNNING if is_ready(report, Path(service.folder)) else State.STARTING


def _is_same(service: Service, report: Status) -> bool:
    """Return whether the component runs as the process that it was when it was last looked at."""
    return report.pid == service.pid and report.pid_start == service.pid_start


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


@dataclass(frozen=True)
class ServiceView:
    """
    A component as it is shown.

    :ivar managed: whether we started it; of another one, the service holds what Airflow knows
    """

    service: Service
    job: AirflowJob | None = None
    managed: bool = True


def paired(services: Sequence[Service], jobs: Iterable[AirflowJob]) -> list[ServiceView]:
    """Return our services with their jobs, and after them the jobs of components that others have started."""
    left = {job.id: job for job in jobs}
    found: dict[str, AirflowJob] = {}
    # Those that are ready have the first choice, and of them the oldest, which has the oldest job.
    by_age = sorted(services, key=lambda service: service.started_at or service.created_at)
    for service in sorted(by_age, key=lambda service: service.state is State.STARTING):
        since = [job for job in left.values() if _is_of_last_start(service, job)]
        if since:
            found[service.id] = left.pop(since[0].id)
    # Only now: a job that one may have left behind can as well be that of another one, which lives.
    left = {job.id: job for job in left.values() if not any(_is_over(service, job) for service in services)}
    ours = [ServiceView(service, found.get(service.id)) for service in services]
    return [*ours, *(ServiceView(_stranger(job), job, managed=False) for job in left.values())]


def _is_of_last_start(service: Service, job: AirflowJob) -> bool:
    """Return whether a job may be that of a living service."""
    if service.state.ended or service.started_at is None or job.started_at is None:
        return False
    return _is_of_kind(service, job) and job.started_at >= service.started_at


def _is_over(service: Service, job: AirflowJob) -> bool:
    """Return whether a job may be of a start before the last one, or of a service that ended in silence."""
    until = service.ended_at if service.state.ended else service.started_at
    if not _is_of_kind(service, job) or job.started_at is None or job.started_at < service.created_at:
        return False
    return service.state.ended if until is None else job.started_at <= until


def _is_of_kind(service: Service, job: AirflowJob) -> bool:
    kind = KINDS.get(service.kind)
    return kind is not None and kind.job_type == job.type and job.hostname == service.hostname


def _stranger(job: AirflowJob) -> Service:
    kind = BY_JOB_TYPE[job.type]
    started = job.started_at or datetime.fromtimestamp(0, timezone.utc)
    return Service(
        id=f"job-{job.id}",
        kind=kind.name,
        command=kind.command,
        argv=(),
        secret=False,
        user="",
        host=job.hostname,
        place="",
        hostname=job.hostname,
        folder="",
        logs="",
        stdout="",
        stderr="",
        created_at=started,
        started_at=started,
        state=State.RUNNING if job.healthy else State.LOST,
        message=None if job.healthy else "It does not report any more.",
    )
