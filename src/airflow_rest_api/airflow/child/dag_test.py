"""
`dags test` beside a scheduler: no other process takes its run, and the run carries the user of the request.

Airflow's run of a test is state running in the database, where a scheduler takes it and its task instances
as its own. Here it is failed there from its first moment to its end, which no scheduler takes and which is
true should this process be killed; this process alone sees it running. Where the test is asked to end, so is
the task, and no other is begun.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NoReturn

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.api.client import TaskInstanceOperations
from airflow.sdk.definitions import dag as definitions
from airflow.sdk.definitions.dag import DAG
from airflow.utils import net
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import and_, event, exists, or_, select, update
from sqlalchemy.orm.attributes import set_committed_value

from airflow_rest_api.airflow.compat.dates import coerce_datetime
from airflow_rest_api.airflow.compat.tasks import (
    CREATES_RUN,
    RUNS_NAME_USER,
    client_class,
    creator,
    use_client,
)

TASK_ENDS_WITHIN = 2.0
"""Seconds that the task which runs has to end when the test is asked to end."""


@dataclass
class Run:
    """
    The run of a test.

    :ivar id: of its row, None where there is none yet
    :ivar over: whether its state in the database is what it is
    """

    id: int | None = None
    over: bool = False


class Interruption:
    """
    Whether this process was interrupted, from now on.

    Airflow's task runner makes a failed task of an interrupt and goes on (`_run_task_and_map_outcome` of
    `airflow.sdk.execution_time.task_runner`); for TERM it calls the task's `on_kill` and goes on as well.

    :ivar asked: it was
    """

    def __init__(self) -> None:
        self.asked = False
        # What is there for TERM beside a task is not the task's.
        self._idle = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGINT, self._interrupt)

    def ends(self, begin: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function `begin` such that it raises KeyboardInterrupt after an interrupt."""

        @functools.wraps(begin)
        def begin_unless_asked(*args: Any, **kwargs: Any) -> Any:
            if self.asked:
                raise KeyboardInterrupt
            return begin(*args, **kwargs)

        return begin_unless_asked

    def _interrupt(self, number: int, frame: Any) -> NoReturn:
        self.asked = True
        of_task = signal.getsignal(signal.SIGTERM)
        if of_task is not self._idle and callable(of_task):
            # What a task started elsewhere, such as a query or a pod, is ended by its `on_kill` alone.
            with contextlib.suppress(Exception):
                of_task(signal.SIGTERM, frame)
        raise KeyboardInterrupt


def test_unseen(user: str) -> None:
    """
    Have `dags test` do so, for the rest of this process.

    :param user: who triggers the run
    :raises SystemExit: this Airflow has another `dags test`
    """
    for owner, name in (
        (DAG, "test"),
        (definitions, "_run_task"),
        (creator, CREATES_RUN),
    ):
        if not hasattr(owner, name):
            raise SystemExit(f"The dags test of this Airflow is not known here: it has no {name}.")
    run = Run()
    airflows: Any = DAG.test
    create = getattr(creator, CREATES_RUN)
    named = {"triggering_user_name": user} if RUNS_NAME_USER else {}

    @functools.wraps(airflows)
    def test(dag: Any, *args: Any, **kwargs: Any) -> Any:
        _end_what_was_killed(dag.dag_id)
        _refuse_to_replace_what_runs(dag.dag_id, kwargs.get("logical_date"))
        _end_on_term(run)
        definitions._run_task = Interruption().ends(definitions._run_task)
        try:
            return airflows(dag, *args, **kwargs)
        except BaseException:
            _end(run)
            raise

    @functools.wraps(create)
    def get_or_create_dagrun(*, session: Any, **kwargs: Any) -> Any:
        made = create(session=session, **{**kwargs, **named})
        # Nothing of it is committed yet: as running, no other process will have seen it.
        session.flush()
        run.id = made.id
        session.execute(DagRun.__table__.update().where(_row(run)).values(state="failed"))
        return made

    DAG.test = test  # type: ignore[assignment, method-assign]
    setattr(creator, CREATES_RUN, get_or_create_dagrun)
    use_client(_client())
    _show_running(run)


def _show_running(run: Run) -> None:
    """Have this process see the run running until it sets how it ended."""

    def is_it(row: Any) -> bool:
        return run.id is not None and row.__dict__.get("id") == run.id

    def read(row: Any, *_: Any) -> None:
        if is_it(row) and not run.over and row.__dict__.get("_state") == DagRunState.FAILED:
            set_committed_value(row, "_state", DagRunState.RUNNING)

    def write(row: Any, state: Any, *_: Any) -> None:
        if is_it(row) and state != DagRunState.RUNNING:
            run.over = True

    event.listen(DagRun, "load", read)
    event.listen(DagRun, "refresh", read)
    event.listen(DagRun._state, "set", write)


def _client() -> Any:
    """Return the class of clients that keeps a deferral to itself: a triggerer would run it as well."""

    class InlineDeferral(TaskInstanceOperations):
        def defer(self, id: Any, msg: Any) -> None:
            """Leave it to Airflow's loop, which runs the trigger itself and then the task's next part."""

    # Which class that is depends on the version: it is known when this runs.
    base: Any = client_class()

    class Client(base):  # type: ignore[misc]
        @property
        def task_instances(self) -> TaskInstanceOperations:
            return InlineDeferral(self)

    return Client


def _refuse_to_replace_what_runs(dag_id: str, logical_date: Any) -> None:
    """Raise SystemExit where the run of a date is active, or is that of another test at work."""
    active = DagRun.state.in_((DagRunState.QUEUED, DagRunState.RUNNING))
    tested = and_(
        DagRun.triggered_by == DagRunTriggeredByType.TEST,
        exists().where(
            TaskInstance.dag_id == DagRun.dag_id,
            TaskInstance.run_id == DagRun.run_id,
            TaskInstance.state == TaskInstanceState.RUNNING,
        ),
    )
    with create_session() as session:
        found = session.execute(
            select(DagRun.run_id, DagRun.state).where(
                DagRun.dag_id == dag_id,
                DagRun.logical_date == coerce_datetime(logical_date),
                or_(active, tested),
            )
        ).first()
    if found is not None:
        run_id, state = found
        how = "being tested" if state == DagRunState.FAILED else state
        raise SystemExit(
            f"dags test would replace the run {run_id} of that logical date, which is {how}: "
            "choose another logical date, or wait for the end of the run."
        )


def _end(run: Run) -> None:
    """Have a run that did not come to its end look like it, and its task instances."""
    if run.id is not None and not run.over:
        with create_session() as session:
            _end_rows(run, session)


def _end_rows(run: Run, session: Any) -> None:
    now = datetime.now(timezone.utc)
    begun = [state for state in State.unfinished if state is not None]
    row = session.execute(select(DagRun.dag_id, DagRun.run_id).where(_row(run))).one_or_none()
    if row is None:
        return
    session.execute(
        update(TaskInstance)
        .where(
            TaskInstance.dag_id == row.dag_id,
            TaskInstance.run_id == row.run_id,
            TaskInstance.state.in_(begun),
        )
        .values(state=TaskInstanceState.FAILED, end_date=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(DagRun.__table__.update().where(_row(run)).values(state="failed", end_date=now))


def _end_on_term(run: Run) -> None:
    """
    End the run also when the command is asked to end.

    A task has a handler of its own for that signal, which asks it to end and lets the test go on: a thread
    gets the signal whatever the handler does.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def stop(*_: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    def listen() -> None:
        while signal.SIGTERM not in os.read(reader, 64):
            pass
        time.sleep(TASK_ENDS_WITHIN)
        with contextlib.suppress(Exception):
            _end(run)
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=listen, name="ends the test", daemon=True).start()


def _end_what_was_killed(dag_id: str) -> None:
    """End earlier tests of a DAG whose process on this machine is gone: their tasks hold pool slots."""
    hostname = net.get_hostname()  # type: ignore[no-untyped-call]
    with create_session() as session:
        rows = session.execute(
            select(DagRun.id, TaskInstance.pid)
            .join(TaskInstance, TaskInstance.dag_id == DagRun.dag_id)
            .where(
                TaskInstance.run_id == DagRun.run_id,
                TaskInstance.state == TaskInstanceState.RUNNING,
                TaskInstance.hostname == hostname,
                DagRun.dag_id == dag_id,
                DagRun.triggered_by == DagRunTriggeredByType.TEST,
                DagRun.state == DagRunState.FAILED,
                DagRun.end_date.is_(None),
            )
        ).all()
        for identifier, pid in rows:
            if pid and not os.path.exists(f"/proc/{pid}"):
                _end_rows(Run(identifier), session)


def _row(run: Run) -> Any:
    return DagRun.__table__.c.id == run.id
