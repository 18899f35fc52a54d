"""`run`: one task instance of a DAG run, as `airflow run` of 1.x did; no Airflow 3 has a command for it."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import OrderRefused, ordered, warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DEPENDENCY_FLAGS = {
    "ignore_all_dependencies": "ignore_all_deps",
    "ignore_dependencies": "ignore_task_deps",
    "ignore_depends_on_past": "ignore_depends_on_past",
    "force": "ignore_ti_state",
}
"""The arguments of 1.x and what Airflow's dependency checker calls them."""


@ordered
def run_task(order: dict[str, Any]) -> int:
    """
    Order: `dag_id`, `task_id`, `execution_date`; `mark_success`, `local`, `pool`, `DEPENDENCY_FLAGS`;
    `json`: what was done is printed as JSON as well, last.

    :return: exit code: 0 also where unmet dependencies kept it from starting, as 1.x did
    """
    from airflow.utils.session import create_session

    if order.get("subdir"):
        dags.place_of(order["subdir"])
    with create_session() as session:
        dags.require(order["dag_id"], session)
        instance, dag = find(order, session)
        print(f"Task instance: {order['dag_id']}.{order['task_id']} of run {instance.run_id}")
        print(f"State before: {_name(instance.state)}")
        done = _summary(instance)
        if order.get("mark_success"):
            mark_success(instance, dag, session)
            after, workload = "success", None
        else:
            unmet = unmet_dependencies(instance, order, session)
            if unmet:
                done["unmet"] = unmet
                return _finish(done, _not_started(instance, unmet), order)
            after, workload = hand_over(instance, order, session)
    if workload is not None:
        after = run_here(workload, instance.id)
    print(f"State after: {after}")
    done["state_after"] = after
    return _finish(done, 1 if workload is not None and after == "failed" else 0, order)


def _summary(instance: Any) -> dict[str, Any]:
    """Return the task instance as it is answered: states in the words of today, None for none."""
    date = instance.dag_run.logical_date
    state = None if instance.state is None else _name(instance.state)
    return {
        "dag_id": instance.dag_id,
        "task_id": instance.task_id,
        "run_id": instance.run_id,
        "logical_date": date and date.isoformat(),
        "state_before": state,
        "state_after": state,
        "unmet": [],
    }


def _finish(done: dict[str, Any], code: int, order: dict[str, Any]) -> int:
    if order.get("json"):
        print(json.dumps(done))
    return code


def find(order: dict[str, Any], session: Session) -> tuple[Any, Any]:
    """Return the task instance with its task set, and the DAG; exit in one sentence where there is none."""
    from airflow.models.serialized_dag import SerializedDagModel

    dag_id, task_id, date = order["dag_id"], order["task_id"], order["execution_date"]
    dag = SerializedDagModel.get_dag(dag_id, session=session)
    if dag is None or not dag.has_task(task_id):
        raise SystemExit(f"Task {task_id} not found in DAG {dag_id}")
    run = dags.find_run(dag_id, date, session)
    if run is None:
        raise SystemExit(
            f"There is no run of DAG {dag_id} with the run id or logical date {date}: trigger one first"
        )
    instance = run.get_task_instance(task_id, session=session)
    if instance is None:
        raise SystemExit(f"The run {run.run_id} has no instance of task {task_id}")
    run.dag = dag
    instance.refresh_from_task(dag.get_task(task_id), pool_override=_pool(order, session))
    return instance, dag


def mark_success(instance: Any, dag: Any, session: Session) -> None:
    """Set a task instance to success as Airflow's own page does: what waited for it goes on."""
    from airflow.utils.state import TaskInstanceState

    dag.set_task_instance_state(
        task_id=instance.task_id, run_id=instance.run_id, state=TaskInstanceState.SUCCESS, session=session
    )


def unmet_dependencies(instance: Any, order: dict[str, Any], session: Session) -> list[str]:
    """
    Return why a task instance must not be started now.

    The limits of pools and DAGs are not asked: the scheduler keeps to them. Nor is the state of the DAG run,
    which is set running.
    """
    from airflow.ti_deps.dep_context import DepContext
    from airflow.ti_deps.dependencies_states import SCHEDULEABLE_STATES
    from airflow.ti_deps.deps.dag_unpaused_dep import DagUnpausedDep
    from airflow.ti_deps.deps.runnable_exec_date_dep import RunnableExecDateDep
    from airflow.ti_deps.deps.valid_state_dep import ValidStateDep
    from airflow.utils.state import TaskInstanceState

    at_work = {
        TaskInstanceState.QUEUED,
        TaskInstanceState.RUNNING,
        TaskInstanceState.RESTARTING,
        TaskInstanceState.DEFERRED,
    }
    if instance.state in at_work:
        return [f"Task Instance Not Running: the task instance is {_name(instance.state)} already"]
    valid_state: Any = ValidStateDep
    ignored: Any = {name: bool(order.get(argument)) for argument, name in DEPENDENCY_FLAGS.items()}
    deps: set[Any] = {valid_state({*SCHEDULEABLE_STATES, TaskInstanceState.SCHEDULED}), RunnableExecDateDep()}
    if not order.get("local"):
        deps.add(DagUnpausedDep())
    context = DepContext(deps=deps, **ignored)
    found = instance.get_failed_dep_statuses(dep_context=context, session=session)
    return sorted({f"{status.dep_name}: {status.reason}" for status in found})


def hand_over(instance: Any, order: dict[str, Any], session: Session) -> tuple[str, Any]:
    """
    Make a task instance ready to run: for the scheduler, or with `local` for this process.

    :return: its state, and the workload that this process is to run, if any
    """
    from airflow.executors import workloads
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.state import DagRunState, TaskInstanceState

    task, run = instance.task, instance.dag_run
    if instance.state is not None or instance.try_number > 0:
        # Archives the earlier try, so that its log and its times are kept.
        clear_task_instances([instance], session, dag_run_state=False)
        session.flush()
        instance.refresh_from_task(task, pool_override=_pool(order, session))
    run.schedule_tis([instance], session=session)
    session.flush()
    session.refresh(instance)
    instance.refresh_from_task(task, pool_override=_pool(order, session))
    if instance.state == TaskInstanceState.SUCCESS:  # an empty task needs no process
        return "success", None
    if order.get("local"):
        instance.state = TaskInstanceState.QUEUED
        instance.queued_dttm = datetime.now(timezone.utc)
        session.flush()
        return "queued", workloads.ExecuteTask.make(instance, generator=_token_generator())
    if run.state not in (DagRunState.RUNNING, DagRunState.QUEUED):
        run.set_state(DagRunState.RUNNING)
    print("Handed to the scheduler")
    if instance.dag_model.is_paused:
        warn(f"DAG {instance.dag_id} is paused: the task instance waits until it is not")
    return _name(instance.state), None


def run_here(workload: Any, instance_id: Any) -> str:
    """Run a task instance in this process as a worker would; return its state afterwards."""
    import socket

    from airflow.executors.base_executor import BaseExecutor
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    print(f"Running on host {socket.gethostname()}", flush=True)
    failure: Exception | None = None
    try:
        BaseExecutor.run_workload(workload, subprocess_logs_to_stdout=True)
    except Exception as error:
        failure = error
    with create_session() as session:
        instance = session.get(TaskInstance, instance_id)
        if failure is not None and instance is not None and instance.state == TaskInstanceState.QUEUED:
            # It never began: nothing else would take it out of the queue.
            instance.state = TaskInstanceState.FAILED
            session.flush()
        state = _name(instance.state if instance else None)
    if failure is not None:
        warn(f"The task instance could not be run here: {failure}")
    return state


def _not_started(instance: Any, unmet: list[str]) -> int:
    print(f"State after: {_name(instance.state)}")
    print("The task instance was not started. Dependencies not met:")
    for sentence in unmet:
        print(sentence)
    warn(f"The task instance was not started: {unmet[0]}")
    return 0


def _pool(order: dict[str, Any], session: Session) -> str | None:
    from airflow.models.pool import Pool

    name: str | None = order.get("pool")
    if name and Pool.get_pool(name, session=session) is None:
        raise OrderRefused(f"The pool '{name}' does not exist")
    return name


def _token_generator() -> Any:
    """Return the generator of the tokens with which tasks call the API server, as executors have it."""
    from airflow.api_fastapi.auth.tokens import JWTGenerator, get_signing_args
    from airflow.configuration import conf

    return JWTGenerator(
        valid_for=conf.getint("execution_api", "jwt_expiration_time"),
        audience=conf.get_mandatory_list_value("execution_api", "jwt_audience")[0],
        issuer=conf.get("api_auth", "jwt_issuer", fallback=None),
        **get_signing_args(make_secret_key_if_needed=False),
    )


def _name(state: Any) -> str:
    return "none" if state is None else str(getattr(state, "value", state))
