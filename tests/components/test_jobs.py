from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_rest_api.airflow.jobs import Beat
from airflow_rest_api.services.jobs import paired
from airflow_rest_api.services.model import Service, State
from tests.keeping import a_service

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def beat(identifier: int, started: float, kind: str = "SchedulerJob", **values: object) -> Beat:
    known = {"state": "running", "hostname": "here", "latest_heartbeat": NOW, "healthy": True, **values}
    return Beat(id=identifier, type=kind, started_at=at(started), **known)  # type: ignore[arg-type]


def scheduler(created: float, **values: object) -> Service:
    known: dict[str, object] = {"kind": "scheduler", "hostname": "here", "state": State.RUNNING}
    known |= {"created_at": at(created), "started_at": at(created + 1)}
    return a_service(**{**known, **values})


def test_a_service_has_the_job_that_its_process_began() -> None:
    service = scheduler(0)
    [seen] = paired([service], [beat(1, 4)])
    assert seen.managed
    assert seen.job is not None
    assert seen.job.id == 1


def test_after_a_restart_it_has_the_newer_one_and_the_older_one_is_nobodys() -> None:
    service = scheduler(0, started_at=at(100))
    [seen] = paired([service], [beat(1, 4), beat(2, 103)])
    assert seen.job is not None
    assert seen.job.id == 2


def test_the_job_of_a_service_that_was_killed_is_not_taken_for_a_component() -> None:
    service = scheduler(0, state=State.STOPPED, ended_at=at(50))
    [seen] = paired([service], [beat(1, 4)])
    assert seen.job is None


def test_what_others_have_started_is_shown_and_not_managed() -> None:
    jobs = [
        beat(1, -100),
        beat(2, 4, hostname="there"),
        beat(3, 4, "TriggererJob", healthy=False),
    ]
    ours, *others = paired([scheduler(0)], jobs)
    assert ours.job is None
    assert [other.service.id for other in others] == ["job-1", "job-2", "job-3"]
    assert [other.service.kind for other in others] == ["scheduler", "scheduler", "triggerer"]
    assert [other.service.state for other in others] == [State.RUNNING, State.RUNNING, State.LOST]
    assert not any(other.managed or other.service.pid for other in others)


def test_a_component_without_jobs_has_none() -> None:
    [ours, other] = paired([a_service(hostname="here", created_at=NOW)], [beat(1, 4)])
    assert ours.job is None
    assert other.service.id == "job-1"


def test_two_of_a_kind_have_a_job_each() -> None:
    first, second = scheduler(0), scheduler(60)
    seen = paired([second, first], [beat(1, 4), beat(2, 64)])
    assert [one.job and one.job.id for one in seen] == [2, 1]
