from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow.installation import AirflowJob, configured, places, running_jobs

pytestmark = pytest.mark.airflow


@pytest.fixture
def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture
def add(now: datetime) -> Iterator[Callable[..., int]]:
    """Return what adds a job to Airflow's table, as a component would."""
    from airflow import settings
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    Job.__table__.create(settings.engine, checkfirst=True)  # type: ignore[attr-defined]
    added: list[int] = []

    def of(job_type: str, **values: Any) -> int:
        known = {"state": "running", "latest_heartbeat": now, "start_date": now, "hostname": "here"}
        with create_session() as session:
            job = Job(job_type=job_type)
            for name, value in {**known, **values}.items():
                setattr(job, name, value)
            session.add(job)
            session.flush()
            added.append(job.id)
            return added[-1]

    yield of
    with create_session() as session:
        session.execute(Job.__table__.delete().where(Job.id.in_(added)))  # type: ignore[attr-defined]


def found(*types: str) -> dict[int, AirflowJob]:
    return {one.id: one for one in running_jobs(types)}


def test_a_component_that_reports_in_time_is_healthy(add: Callable[..., int], now: datetime) -> None:
    job = add("SchedulerJob")
    seen = found("SchedulerJob")[job]
    assert seen.healthy
    assert (seen.type, seen.state, seen.hostname) == ("SchedulerJob", "running", "here")
    assert seen.started_at == now


@pytest.mark.parametrize("kind", ["SchedulerJob", "TriggererJob", "DagProcessorJob"])
def test_one_that_has_fallen_silent_is_told_of_for_a_while(
    add: Callable[..., int], now: datetime, kind: str
) -> None:
    silent = add(kind, latest_heartbeat=now - timedelta(minutes=5))
    forgotten = add(kind, latest_heartbeat=now - timedelta(minutes=20))
    listed = found(kind)
    assert not listed[silent].healthy
    assert forgotten not in listed


def test_what_has_ended_and_what_is_no_component_is_left_out(add: Callable[..., int]) -> None:
    ended, other = add("SchedulerJob", state="success"), add("LocalTaskJob")
    assert not {ended, other} & found("SchedulerJob", "TriggererJob").keys()


def test_the_places_are_those_of_the_configuration() -> None:
    from airflow.configuration import conf

    here = places()
    assert here.home == os.environ["AIRFLOW_HOME"]
    assert Path(here.logs) == Path(conf.get("logging", "base_log_folder"))
    assert here.hostname
    assert configured("logging", "worker_log_server_port") == "8793"
    assert configured("logging", "no_such_option") is None


LOADED = """
import threading
from airflow_rest_api.airflow.installation import load_models

load_models()

def record():
    from airflow.models.log import Log
    Log(event="test")

def look():
    from airflow.models.dagrun import DagRun
    DagRun.__mapper__

threads = [threading.Thread(target=one, daemon=True) for one in (record, look)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
assert not any(thread.is_alive() for thread in threads), "they wait for each other"
"""


def test_threads_that_use_the_models_first_do_not_wait_for_each_other() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True, timeout=120)
