"""
`tasks test` of a task alone: its run exists in this process only, and a task that fails fails the command.

Airflow makes a temporary run in the database, state running: a scheduler takes it for a real one and runs
the task's siblings. Where a run of that id or date exists, Airflow takes that, and overwrites how its task
instance ended. Here nothing of the task instance or its run is written at all, whatever ends this process.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psutil
import structlog
from airflow.api_fastapi.execution_api.datamodels.taskinstance import DagRun
from airflow.cli.commands import task_command
from airflow.sdk.api.datamodels import _generated as models
from airflow.sdk.definitions.dag import log
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.utils.session import create_session
from sqlalchemy.orm.attributes import set_committed_value
from uuid6 import uuid7

from airflow_rest_api.airflow.child.dag_test import Interruption
from airflow_rest_api.airflow.child.task_test_api import client_of
from airflow_rest_api.airflow.compat.tasks import RENDERS_AS_SDK, event_of, trigger_of, use_client
from airflow_rest_api.engine.patches import patch
from airflow_rest_api.secret_names import maskers

NEEDED = (
    (task_command, "task_test"),
    (task_command, "_get_ti"),
    (task_command, "_run_task"),
    (task_command, "_generate_temporary_run_id"),
    (supervisor, "InProcessTestSupervisor"),
    (supervisor, "run_task_in_process"),
)
"""What of Airflow, by its module, is replaced or used here; 3.0.0 and 3.0.1 have not all of it."""

GOOD = ("success", "skipped")


Key = tuple[str, str, str, str]
"""DAG, run, task and key of XComs."""


@dataclass
class Tested:
    """
    The task instance under test, in place of Airflow's row.

    :ivar task: Airflow's operator
    :ivar run: Airflow's `DagRun` of the execution API
    :ivar temporary: whether there is no such run in the database
    :ivar pushed: the XComs that it has pushed, by map index
    :ivar stored: what it keeps from one try to the next
    """

    task: Any
    id: UUID
    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    try_number: int
    max_tries: int
    dag_version_id: UUID
    run: Any
    temporary: bool
    state: str | None = None
    next_method: str | None = None
    next_kwargs: Any = None
    start_date: Any = None
    pushed: dict[Key, dict[int, Any]] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)

    @property
    def dag_run(self) -> Any:
        """Its run, by the name that Airflow's row has for it."""
        return self.run

    def is_of(self, dag_id: str, run_id: str) -> bool:
        """Return whether it is one of a run."""
        return (dag_id, run_id) == (self.dag_id, self.run_id)

    def shown_run(self) -> Any:
        """Return its run as a client of the execution API has it."""
        return models.DagRun.model_validate_json(self.run.model_dump_json())

    def __str__(self) -> str:
        """Return it as Airflow's log lines name it."""
        index = f"map_index={self.map_index} " if self.map_index >= 0 else ""
        what = f"{self.dag_id}.{self.task_id} {self.run_id} {index}[{self.state}]"
        return f"<TaskInstance: {what} ti_id={self.id}>"


class _Bytes:
    """Where bytes are written that a stream of text takes, and redacts."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(data.decode(errors="replace"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


def test_in_memory() -> None:
    """
    Have `tasks test` do so, for the rest of this process.

    :raises SystemExit: this Airflow has another `tasks test`
    """
    command: Any = task_command
    if lacking := [name for module, name in NEEDED if not hasattr(module, name)]:
        raise SystemExit(f"The tasks test of this Airflow is not known here: it has no {', '.join(lacking)}.")
    for module in maskers():
        if (redacting := getattr(module, "RedactedIO", None)) is not None:
            # A log in JSON is written in bytes, for which Airflow's stream has no place.
            patch(redacting, "buffer", functools.cached_property(_Bytes))
            redacting.buffer.__set_name__(redacting, "buffer")
    found: list[Tested] = []
    airflows, get_ti = command.task_test, command._get_ti

    @functools.wraps(airflows)
    def task_test(*args: Any, **kwargs: Any) -> None:
        Interruption()
        airflows(*args, **kwargs)
        for tested in found:
            if tested.state not in GOOD:
                raise SystemExit(f"The task {tested.task_id} ended as {_name(tested.state)}.")

    def find(task: Any, map_index: int, **more: Any) -> tuple[Tested, bool]:
        found[:] = [_look(get_ti, task, map_index, run_id=command._generate_temporary_run_id(), **more)]
        # False: there is nothing to delete.
        return found[0], False

    command.task_test, command._get_ti, command._run_task = task_test, find, run_task


def render_as_in_a_run() -> None:
    """
    Have `tasks render` answer its templates, for the rest of this process.

    Since Airflow 3.2 nothing does: a variable, a connection and what another task has pushed are not there,
    and neither are the assets of a run that one has triggered. Before, they come from the database, and 3.1
    cannot render for a run that waits in the queue.
    """
    command: Any = task_command
    get_ti = command._get_ti

    @functools.wraps(get_ti)
    def begun(*args: Any, **more: Any) -> Any:
        instance, made = get_ti(*args, **more)
        _begin(instance.dag_run)
        return instance, made

    @functools.wraps(get_ti)
    def answered(task: Any, map_index: int, **more: Any) -> tuple[Tested, bool]:
        tested = _look(get_ti, task, map_index, **more)
        _answer(tested)
        return tested, False

    command._get_ti = answered if RENDERS_AS_SDK else begun


def depend_as_stored() -> None:
    """
    Have `tasks failed-deps` of Airflow 3.0 take the DAG from the database, until that is taken back.

    It parses the file, whose DAG has not what is asked of it (`get_is_paused`).
    """
    command: Any = task_command
    patch(command, "get_dag", functools.partial(command.get_dag, from_db=True))


def _answer(tested: Tested) -> None:
    """Have what is asked about a task instance answered in this process, without the task being run."""
    use_client(client_of(tested))
    here: Any = supervisor.InProcessTestSupervisor
    one = here(
        id=tested.id,
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger(logger_name="task"),
        client=here._api_client(tested.task.dag),
    )
    one.comms = supervisor.InProcessSupervisorComms(supervisor=one)
    one.ti = models.TaskInstance.model_validate(tested, from_attributes=True)
    module: Any = task_runner
    module.SUPERVISOR_COMMS = one.comms


def _begin(run: Any) -> None:
    """Have a run have begun, also one that waits in the queue: before Airflow 3.2 a task takes no other."""
    if run.start_date is None:
        # Nothing of it is written.
        set_committed_value(run, "start_date", run.logical_date or run.run_after)


def run_task(*, ti: Tested, task: Any = None, run_triggerer: bool = False) -> Any:
    """
    Run a task as Airflow's function of that name, without its row; the log lines are those of that one.

    :param task: that of the instance where it is not named, as Airflow 3.0 does not
    :return: Airflow's result, None where the task could not be run
    """
    use_client(client_of(ti))
    instance = models.TaskInstance.model_validate(ti, from_attributes=True)
    result: Any = None
    log.info("[DAG TEST] starting task_id=%s map_index=%s", ti.task_id, ti.map_index)
    try:
        while True:
            log.info("[DAG TEST] running task %s", ti)
            result = supervisor.run_task_in_process(ti=instance, task=task or ti.task)
            ti.state = _name(result.ti.state)
            if ti.state != "deferred" or not run_triggerer:
                break
            log.info("[DAG TEST] running trigger in line")
            _trigger(ti, instance, result.msg)
            log.info("[DAG TEST] Trigger completed")
    except Exception:
        log.exception("[DAG TEST] Error running task %s", ti)
        ti.state = "failed"
    log.info("[DAG TEST] end task task_id=%s map_index=%s", ti.task_id, ti.map_index)
    return result


def _trigger(tested: Tested, instance: Any, deferral: Any) -> None:
    """Run the trigger that a task waits for; its event is for the task's next part."""
    event = event_of(trigger_of(deferral), instance)
    tested.next_method = deferral.next_method
    tested.next_kwargs = deferral.next_kwargs if event is None else event


def _look(get_ti: Any, task: Any, map_index: int, *, run_id: str | None = None, **more: Any) -> Tested:
    """
    Return the task instance to test, of the run that the client names or of a temporary one.

    :param get_ti: Airflow's function, which also checks the map index
    :param run_id: of the temporary run, if there is to be one; by default what the client names it by
    """
    with create_session() as session, session.no_autoflush:
        # "memory" makes a run that is not in the database, where there is none yet; what is there is read.
        row, temporary = get_ti(
            task, map_index, **{**more, "create_if_necessary": "memory", "session": session}
        )
        run = row.dag_run
        if temporary and run_id is not None:
            run.run_id = run_id
        _begin(run)
        tested = Tested(
            task=task,
            id=uuid7(),
            dag_id=task.dag_id,
            task_id=task.task_id,
            run_id=run.run_id,
            map_index=map_index,
            try_number=row.try_number,
            max_tries=row.max_tries,
            dag_version_id=row.dag_version_id,
            run=DagRun.model_validate(run, from_attributes=True),
            temporary=temporary,
        )
        # Airflow has put its own into what it has read: nothing of that is to be written.
        session.expunge_all()
    return tested


def _name(state: Any) -> str:
    return "none" if state is None else str(getattr(state, "value", state))
