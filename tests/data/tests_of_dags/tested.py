"""Active DAGs for `tasks test` and `dags test`; each task says in a file that it ran."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.exceptions import AirflowSkipException
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, Asset, BaseOperator, get_current_context, task, task_group

ACTIVE = {"schedule": None, "is_paused_upon_creation": False}


def ran(what: str) -> None:
    """Add a line to the file, with the run that it was in."""
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(f"{what} in {get_current_context()['run_id']}\n")


class Deferring(BaseOperator):
    """Waits for a moment in a triggerer."""

    def execute(self, context):
        self.defer(trigger=TimeDeltaTrigger(timedelta(milliseconds=100)), method_name="go_on")

    def go_on(self, context, event):
        ran(self.task_id)
        return "went on"


@task
def numbers():
    ran("numbers")
    return [10, 20, 30]


@task
def sees(value):
    context = get_current_context()
    ti, run = context["ti"], context["dag_run"]
    before = ti.xcom_pull(key="mine")
    ti.xcom_push(key="mine", value=value)
    seen = {"value": value, "run": context["run_id"], "dag_run": run.run_id, "state": str(run.state.value)}
    seen |= {"conf": run.conf, "ds": context.get("ds"), "before": before, "mine": ti.xcom_pull(key="mine")}
    print("Seen:", {**seen, "numbers": ti.xcom_pull(task_ids="numbers")})
    ran(f"sees {value}")


@task
def plain():
    # Long enough for a scheduler to look at what runs.
    time.sleep(1.5)
    ran("plain")


@task
def sibling():
    ran("sibling")


@task_group
def group(n):
    @task
    def inside(n):
        time.sleep(0.5)
        ran(f"inside {n}")

    @task
    def after():
        ran("after")

    inside(n) >> after()


@task
def counts():
    context = get_current_context()
    before = context["ti"].xcom_pull(task_ids="counts", include_prior_dates=True)
    print("Before:", before, "since", str(context["prev_data_interval_start_success"])[:10])
    return (before or 0) + 1


with DAG("tested", **ACTIVE):
    counts()
    sees.expand(value=numbers())
    plain() >> sibling()
    group.expand(n=[1, 2])

# Not in a run of the scheduler's: it fails a task that is resumed before the executor told of its first part.
with DAG("waits", **ACTIVE):
    Deferring(task_id="deferring") >> sibling()


@task
def fails():
    ran("fails")
    raise ValueError("on purpose")


@task
def leaves():
    ran("leaves")
    raise SystemExit(0)


@task
def skips():
    raise AirflowSkipException("on purpose")


with DAG("failing", **ACTIVE):
    fails() >> sibling()
    fails.override(task_id="tried_again", retries=3)()
    leaves()
    skips()

MADE = Asset("made")


@task(outlets=[MADE])
def makes():
    ran("makes")


with DAG("maker", **ACTIVE):
    makes()

with DAG("consumer", **{**ACTIVE, "schedule": MADE}):
    sibling()

with DAG("whole", **ACTIVE):
    sees.expand(value=numbers()) >> Deferring(task_id="deferring") >> plain() >> sibling()

with DAG("filled", schedule="@daily", is_paused_upon_creation=True):
    sibling()

with DAG("broken", **ACTIVE):
    plain() >> fails() >> sibling()


class Sleeps(BaseOperator):
    """Sleeps, and says so when it is told to end."""

    def execute(self, context):
        ran(self.task_id)
        time.sleep(300)

    def on_kill(self):
        ran("on_kill")


with DAG("long", **ACTIVE):
    # A test that went on after it was told to end would run the next.
    Sleeps(task_id="sleeps") >> sibling.override(trigger_rule="all_done")()
