from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_rest_api import processes
from airflow_rest_api.airflow.installation import AirflowJob
from airflow_rest_api.services import reconcile
from airflow_rest_api.services.model import DesiredState, Service
from airflow_rest_api.services.reconcile import paired
from airflow_rest_api.services.status import State, Status
from tests.keeping import a_service, sleeper

NOW = datetime.now(timezone.utc)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's business."""
    process = sleeper()
    yield process
    process.kill()
    process.wait()


def told(folder: Path, **values: object) -> Status:
    """Have a supervisor, which is this process, tell how its component is."""
    known: dict[str, object] = {
        "supervisor": os.getpid(),
        "supervisor_start": processes.start_of(os.getpid()),
        "started_at": NOW.timestamp(),
    }
    said = Status(**{**known, **values})  # type: ignore[arg-type]
    said.write(str(folder))
    return said


def seen(folder: Path, **values: object) -> Service:
    return a_service(folder=str(folder), created_at=NOW, **values)


def test_without_a_word_of_a_supervisor_nothing_is_known_for_a_while(tmp_path: Path) -> None:
    service = seen(tmp_path)
    assert reconcile.changes(service, NOW + timedelta(seconds=30)) == {}
    found = reconcile.changes(service, NOW + timedelta(minutes=10))
    assert found["state"] is State.FAILED
    assert found["message"] == reconcile.NO_START


def test_a_component_whose_folder_cannot_be_read_is_what_its_supervisor_is(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    start = processes.start_of(stranger.pid)
    service = seen(tmp_path, state=State.RUNNING, supervisor=stranger.pid, supervisor_start=start)
    much_later = NOW + timedelta(minutes=10)
    assert reconcile.changes(service, much_later) == {}
    stranger.kill()
    stranger.wait()
    found = reconcile.changes(service, much_later)
    assert (found["state"], found["message"]) == (State.LOST, reconcile.SUPERVISOR_GONE)


def test_a_component_is_starting_until_its_supervisor_reports_that_it_runs(tmp_path: Path) -> None:
    said = told(tmp_path, pid=1, pid_start=processes.start_of(1))
    found = reconcile.changes(seen(tmp_path), NOW + timedelta(seconds=1))
    assert (found["supervisor"], found["pid"], found["pid_start"]) == (said.supervisor, 1, said.pid_start)
    assert "state" not in found  # as it was
    told(tmp_path, pid=1, pid_start=processes.start_of(1), state=State.RUNNING)
    assert reconcile.changes(seen(tmp_path), NOW)["state"] is State.RUNNING


def test_what_runs_does_not_begin_to_start_again(tmp_path: Path) -> None:
    start = processes.start_of(1)
    told(tmp_path, pid=1, pid_start=start)
    service = seen(tmp_path, state=State.RUNNING, pid=1, pid_start=start)
    assert "state" not in reconcile.changes(service, NOW)


@pytest.mark.parametrize(("said", "state"), [("stopped", State.STOPPED), ("failed", State.FAILED)])
def test_an_end_is_taken_over_and_lets_the_claim_go(tmp_path: Path, said: str, state: State) -> None:
    told(tmp_path, state=said, exit_code=3, message="why", ended_at=NOW.timestamp())
    service = seen(tmp_path, claim="c", state=State.RUNNING, pid=1, pid_start="x", desired=DesiredState.STOP)
    found = reconcile.changes(service, NOW)
    assert found["state"] is state
    assert (found["exit_code"], found["message"], found["ended_at"]) == (3, "why", NOW)
    assert found["claim"] is found["pid"] is found["desired"] is None
    assert reconcile.changes(a_service(state=state, folder=str(tmp_path)), NOW) == {}


def test_the_desire_to_start_again_outlives_an_end(tmp_path: Path) -> None:
    told(tmp_path, state="failed", ended_at=NOW.timestamp())
    assert "desired" not in reconcile.changes(seen(tmp_path, desired=DesiredState.RESTART), NOW)


def test_between_a_failure_and_the_next_start_it_is_restarting(tmp_path: Path) -> None:
    told(tmp_path, state=State.RESTARTING, restarts=2)
    found = reconcile.changes(seen(tmp_path, state=State.RUNNING), NOW)
    assert (found["state"], found["restarts"]) == (State.RESTARTING, 2)


def test_one_that_was_asked_to_stop_is_stopping(tmp_path: Path) -> None:
    for state in (State.STOPPING, State.RESTARTING):
        told(tmp_path, state=state, pid=1, pid_start="x")
        assert reconcile.changes(seen(tmp_path, state=State.RUNNING), NOW)["state"] is state
    told(tmp_path, pid=1, pid_start="x")
    found = reconcile.changes(seen(tmp_path, state=State.RUNNING, desired=DesiredState.STOP), NOW)
    assert found["state"] is State.STOPPING


def test_one_that_stops_is_stopping_also_while_it_is_to_be_started_again(tmp_path: Path) -> None:
    # Its supervisor has not obeyed yet.
    told(tmp_path, state=State.RUNNING, pid=1, pid_start="x")
    service = seen(tmp_path, state=State.STOPPING, desired=DesiredState.RESTART, pid=1, pid_start="x")
    assert "state" not in reconcile.changes(service, NOW)


def test_without_its_supervisor_and_its_process_it_is_lost(tmp_path: Path) -> None:
    told(tmp_path, supervisor_start="another boot:1", pid=2**22 + 1, pid_start="x")
    found = reconcile.changes(seen(tmp_path, state=State.RUNNING, claim="c"), NOW)
    assert (found["state"], found["claim"], found["ended_at"]) == (State.LOST, None, NOW)


def test_a_recycled_process_id_is_not_taken_for_the_component(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    # Both numbers are in use, by another process.
    told(tmp_path, supervisor=stranger.pid, supervisor_start="b:1", pid=stranger.pid, pid_start="b:2")
    found = reconcile.changes(seen(tmp_path, state=State.RUNNING), NOW)
    assert found["state"] is State.LOST
    assert found.get("pid") is None


def test_a_component_whose_supervisor_is_gone_is_stopping(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    told(tmp_path, supervisor_start="b:1", pid=stranger.pid, pid_start=processes.start_of(stranger.pid))
    found = reconcile.changes(seen(tmp_path, state=State.RUNNING, claim="c"), NOW)
    assert found["state"] is State.STOPPING
    assert "claim" not in found


def test_elsewhere_what_nobody_looks_after_is_shown_as_lost() -> None:
    service = a_service(host="far", state=State.RUNNING, seen_at=NOW)
    assert reconcile.as_seen(service, NOW + timedelta(seconds=30)) == service
    lost = reconcile.as_seen(service, NOW + timedelta(minutes=2))
    assert lost.state is State.LOST
    assert "No API server of far has looked after it" in str(lost.message)
    ended = a_service(host="far", state=State.STOPPED, seen_at=NOW)
    assert reconcile.as_seen(ended, NOW + timedelta(days=1)) == ended


MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


def heartbeat_of(identifier: int, started: float, kind: str = "SchedulerJob", **values: object) -> AirflowJob:
    known = {"state": "running", "hostname": "here", "latest_heartbeat": MOMENT, "healthy": True, **values}
    return AirflowJob(id=identifier, type=kind, started_at=at(started), **known)  # type: ignore[arg-type]


def scheduler(created: float, **values: object) -> Service:
    known: dict[str, object] = {"kind": "scheduler", "hostname": "here", "state": State.RUNNING}
    known |= {"created_at": at(created), "started_at": at(created + 1)}
    return a_service(**{**known, **values})


def test_a_service_has_the_job_that_its_process_began() -> None:
    service = scheduler(0)
    [seen] = paired([service], [heartbeat_of(1, 4)])
    assert seen.managed
    assert seen.job is not None
    assert seen.job.id == 1


def test_after_a_restart_it_has_the_newer_one_and_the_older_one_is_nobodys() -> None:
    service = scheduler(0, started_at=at(100))
    [seen] = paired([service], [heartbeat_of(1, 4), heartbeat_of(2, 103)])
    assert seen.job is not None
    assert seen.job.id == 2


def test_the_job_of_a_service_that_was_killed_is_not_taken_for_a_component() -> None:
    service = scheduler(0, state=State.STOPPED, ended_at=at(50))
    [seen] = paired([service], [heartbeat_of(1, 4)])
    assert seen.job is None


def test_what_others_have_started_is_shown_and_not_managed() -> None:
    jobs = [
        heartbeat_of(1, -100),
        heartbeat_of(2, 4, hostname="there"),
        heartbeat_of(3, 4, "TriggererJob", healthy=False),
    ]
    ours, *others = paired([scheduler(0)], jobs)
    assert ours.job is None
    assert [other.service.id for other in others] == ["job-1", "job-2", "job-3"]
    assert [other.service.kind for other in others] == ["scheduler", "scheduler", "triggerer"]
    assert [other.service.state for other in others] == [State.RUNNING, State.RUNNING, State.LOST]
    assert not any(other.managed or other.service.pid for other in others)


def test_a_component_without_jobs_has_none() -> None:
    [ours, other] = paired([a_service(hostname="here", created_at=MOMENT)], [heartbeat_of(1, 4)])
    assert ours.job is None
    assert other.service.id == "job-1"


def test_two_of_a_kind_have_a_job_each() -> None:
    first, second = scheduler(0), scheduler(60)
    seen = paired([second, first], [heartbeat_of(1, 4), heartbeat_of(2, 64)])
    assert [one.job and one.job.id for one in seen] == [2, 1]


@pytest.mark.parametrize(
    "later",
    [
        {"state": State.FAILED, "ended_at": at(6)},
        {"state": State.STARTING},
        {"state": State.FAILED, "created_at": at(3), "started_at": at(3.5), "ended_at": at(9)},
        {"state": State.STARTING, "created_at": at(3), "started_at": at(3.5)},
    ],
    ids=["failed after it", "after it", "failed meanwhile", "meanwhile"],
)
def test_the_job_of_one_that_runs_is_not_that_of_one_started_since(
    later: dict[str, object],
) -> None:
    first, second = scheduler(0), scheduler(5, **later)
    seen = paired([second, first], [heartbeat_of(1, 4)])
    assert [one.job and one.job.id for one in seen] == [None, 1]
