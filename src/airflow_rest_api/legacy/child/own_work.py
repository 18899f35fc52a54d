"""What 1.x did and no command of today does: `run` one task instance, list, have DAG files parsed."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import ast
import asyncio
import json
import socket
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from airflow.cli.cli_parser import get_parser
from airflow.cli.simple_table import AirflowConsole
from airflow.configuration import conf
from airflow.executors import workloads
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.variable import Variable
from airflow.ti_deps.dep_context import DepContext
from airflow.ti_deps.dependencies_states import SCHEDULEABLE_STATES
from airflow.ti_deps.deps.dag_unpaused_dep import DagUnpausedDep
from airflow.ti_deps.deps.runnable_exec_date_dep import RunnableExecDateDep
from airflow.ti_deps.deps.trigger_rule_dep import TriggerRuleDep
from airflow.ti_deps.deps.valid_state_dep import ValidStateDep
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.child import output
from airflow_rest_api.airflow.compat.dags import database_read, stored_at_once
from airflow_rest_api.airflow.dag_processor import File
from airflow_rest_api.dag_files.child.parse import parse_files
from airflow_rest_api.dag_files.refresh import Parsed, request_parse, until_parsed
from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import (
    DEPENDENCY_FLAGS,
    OrderRefused,
    answer,
    ordered,
    unknown_dag,
    warn,
)
from airflow_rest_api.secret_names import MASK

COLUMNS = ("dag_id", "fileloc", "owners", "is_paused", "bundle_name", "bundle_version")
"""What `airflow dags list` shows."""
STATISTICS = ("file", "duration", "dag_num", "task_num", "dags")
"""What `airflow dags report` shows."""

AT_WORK = frozenset({"deferred", "queued", "restarting", "running"})
"""States of a task instance that is not started a second time."""
GONE_ON = frozenset({"deferred", "skipped", "success", "up_for_reschedule", "up_for_retry"})
"""States in which a task instance that was run here has been left as Airflow leaves it."""
LEFT_BEHIND = (TaskInstanceState.RUNNING, TaskInstanceState.RESTARTING)
"""States that a task which has ended must not stay in."""

INDENT = "    "
LONGEST_TREE = 10_000
"""Lines up to which a tree is in full: a DAG of 40 tasks can have millions of paths."""

PATIENCE = 20.0
"""Seconds to wait for the DAG processor while no file gets further."""

AT_MOST = 60.0
"""Seconds to wait in all: who calls this waits for the answer."""

NO_PROCESSOR = "No DAG processor is alive: "


@ordered
def run_task(order: dict[str, Any]) -> int:
    """
    Order: `dag_id`, `task_id`, `execution_date`; `mark_success`, `local`, `pool`, `DEPENDENCY_FLAGS`;
    `json`: what was done is printed as JSON as well, last.

    :return: exit code: 0 also where unmet dependencies kept it from starting, as 1.x did
    """
    dags.require(order["dag_id"])
    if order.get("subdir"):
        dags.require_in(dags.place_of(order["subdir"]), order["dag_id"])
    unmet: list[str] = []
    workload = None
    with create_session() as session:
        instance, dag = find(order, session)
        print(f"Task instance: {order['dag_id']}.{order['task_id']} of run {instance.run_id}")
        print(f"State before: {_name(instance.state)}")
        done = _summary(instance)
        if order.get("mark_success"):
            # As Airflow's own page does: what waited for it goes on.
            dag.set_task_instance_state(
                task_id=instance.task_id,
                run_id=instance.run_id,
                state=TaskInstanceState.SUCCESS,
                session=session,
            )
            after = "success"
        elif unmet := unmet_dependencies(instance, order, session):
            after = _name(instance.state)
        else:
            after, workload = hand_over(instance, order, session)
    if workload is not None:
        after = run_here(workload)
    print(f"State after: {after}")
    if unmet:
        print("The task instance was not started. Dependencies not met:")
        for sentence in unmet:
            print(sentence)
        warn(f"The task instance was not started: {unmet[0]}")
    if order.get("json"):
        print(json.dumps({**done, "state_after": done["state_before"] if unmet else after, "unmet": unmet}))
    if workload is not None and after not in GONE_ON:
        raise SystemExit(f"The task {order['task_id']} ended as {after}.")
    return 0


def _summary(instance: Any) -> dict[str, Any]:
    """Return the task instance as it is answered: its state in the words of today, None for none."""
    date = instance.dag_run.logical_date
    return {
        "dag_id": instance.dag_id,
        "task_id": instance.task_id,
        "run_id": instance.run_id,
        "logical_date": date and date.isoformat(),
        "state_before": None if instance.state is None else _name(instance.state),
    }


def find(order: dict[str, Any], session: Session) -> tuple[Any, Any]:
    """Return the task instance with its task set, and the DAG; exit in one sentence where there is none."""
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
    waits = instance.map_index < 0 and dag.get_task(task_id).get_needs_expansion()
    if waits and not order.get("mark_success"):
        raise SystemExit(f"Task {task_id} is mapped, and the run {run.run_id} has not expanded it yet")
    pool = order.get("pool")
    if pool and Pool.get_pool(pool, session=session) is None:
        raise OrderRefused(f"The pool '{pool}' does not exist")
    instance.refresh_from_task(dag.get_task(task_id), pool_override=pool)
    return instance, dag


def unmet_dependencies(instance: Any, order: dict[str, Any], session: Session) -> list[str]:
    """
    Return why a task instance must not be started now.

    The limits of pools and DAGs are not asked: the scheduler keeps to them. Nor is the state of the DAG run,
    which is set running.
    """
    if instance.state in AT_WORK:
        return [f"Task Instance Not Running: the task instance is {_name(instance.state)} already"]
    valid_state: Any = ValidStateDep
    ignored: Any = {name: bool(order.get(argument)) for argument, name in DEPENDENCY_FLAGS.items()}
    deps: set[Any] = {valid_state({*SCHEDULEABLE_STATES, TaskInstanceState.SCHEDULED}), RunnableExecDateDep()}
    if not order.get("local"):
        deps.add(DagUnpausedDep())
    context = DepContext(deps=deps, **ignored)
    found = instance.get_failed_dep_statuses(dep_context=context, session=session)
    unmet = sorted({f"{status.dep_name}: {status.reason}" for status in found})
    if not unmet and any(ignored.values()) and (state := taken_back(instance, order, session)):
        unmet = [
            f"{TriggerRuleDep.NAME}: by its upstream tasks the scheduler would make it {_name(state)}, "
            "whatever is ignored here: with 'local' it can be run once its DAG run has ended"
        ]
    return unmet


def taken_back(instance: Any, order: dict[str, Any], session: Session) -> TaskInstanceState | None:
    """
    Return the state that the scheduler would give a task instance in place of having it run, None for none.

    In a run that goes on it asks for the trigger rule again as long as a task instance has not ended
    (``DagRun.update_state``), and knows nothing of what was ignored.
    """
    goes_on = instance.dag_run.state == DagRunState.RUNNING and not instance.dag_model.is_paused
    if order.get("local") and not goes_on:
        return None
    states: list[TaskInstanceState] = []

    def note(state: TaskInstanceState, session: Session) -> bool:
        states.append(state)
        return False

    instance.set_state = note
    try:
        context = DepContext(flag_upstream_failed=True)
        list(TriggerRuleDep().get_dep_statuses(instance, dep_context=context, session=session))
    finally:
        del instance.set_state
    return states[-1] if states else None


def hand_over(instance: Any, order: dict[str, Any], session: Session) -> tuple[str, Any]:
    """
    Make a task instance ready to run: for the scheduler, or with `local` for this process.

    :return: its state, and the workload that this process is to run, if any
    """
    task, run = instance.task, instance.dag_run
    if instance.state is not None or instance.try_number > 0:
        # Archives the earlier try, so that its log and its times are kept.
        clear_task_instances([instance], session, dag_run_state=False)
        session.flush()
        instance.refresh_from_task(task, pool_override=order.get("pool"))
    run.schedule_tis([instance], session=session)
    session.flush()
    session.refresh(instance)
    instance.refresh_from_task(task, pool_override=order.get("pool"))
    if instance.state == TaskInstanceState.SUCCESS:  # an empty task needs no process
        return "success", None
    if order.get("local"):
        # Before Airflow 3.2 no task begins in a run that has not: a DAG that is paused leaves it queued.
        run.start_date = run.start_date or datetime.now(timezone.utc)
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


def run_here(workload: Any) -> str:
    """Run a task instance in this process as a worker would; return its state afterwards."""
    from airflow_rest_api.airflow.compat.tasks import run_workload

    print(f"Running on host {socket.gethostname()}", flush=True)
    failure: Exception | None = None
    try:
        run_workload(workload)
    except Exception as error:
        failure = error
    with create_session() as session:
        # Not by its id, which is another one when it is to be tried again.
        key = {name: getattr(workload.ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
        instance = session.scalar(select(TaskInstance).filter_by(**key))
        if failure is not None and instance is not None and instance.state == TaskInstanceState.QUEUED:
            # It never began: nothing else would take it out of the queue.
            instance.state = TaskInstanceState.FAILED
            session.flush()
        elif instance is not None and instance.state in LEFT_BEHIND:
            # Cleared while it ran, or its process was killed: no executor is there to tell the scheduler.
            instance.handle_failure("The task ended without a word on how.", session=session)
        state = _name(instance.state if instance else None)
    if failure is not None:
        warn(f"The task instance could not be run here: {failure}")
    return state


def _token_generator() -> Any:
    """Return the generator of the tokens with which tasks call the API server, as executors have it."""
    from airflow.api_fastapi.auth.tokens import JWTGenerator, get_signing_args

    return JWTGenerator(
        valid_for=conf.getint("execution_api", "jwt_expiration_time"),
        audience=conf.get_mandatory_list_value("execution_api", "jwt_audience")[0],
        issuer=conf.get("api_auth", "jwt_issuer", fallback=None),
        **get_signing_args(make_secret_key_if_needed=False),
    )


def _name(state: Any) -> str:
    return "none" if state is None else str(getattr(state, "value", state))


@ordered
def list_dags(order: dict[str, Any]) -> None:
    """Order: `subdir`; `report`: parse the files and show how long each took; `output`: table or json."""
    place = dags.place_of(order["subdir"])
    with create_session() as session:
        models = session.scalars(
            select(DagModel)
            .where(DagModel.bundle_name == place.bundle, DagModel.is_stale.is_(False))
            .order_by(DagModel.dag_id)
        )
        rows = [_row(model, COLUMNS) for model in models if place.holds(model.relative_fileloc)]
    output = order.get("output", "table")
    AirflowConsole().print_as(data=rows, output=output)
    if order.get("report"):
        rows = statistics(place, dags.parse(place).dagbag_stats)
        AirflowConsole().print_as(data=rows, output=output)


def statistics(place: dags.BundlePath, stats: Iterable[Any]) -> list[dict[str, Any]]:
    """Return how long each file of a place took: by its path in the bundle, and with its DAGs by name."""
    rows = []
    for stat in stats:
        row = _row(stat, STATISTICS)
        # From the place on, which may be the file itself; before Airflow 3.2 from the DAGs folder on.
        file = place.path / stat.file
        if file.is_relative_to(place.root):
            row["file"] = str(file.relative_to(place.root))
        rows.append({**row, "dags": sorted(ast.literal_eval(stat.dags))})
    return rows


def _row(of: Any, columns: Iterable[str]) -> dict[str, Any]:
    return {column: getattr(of, column) for column in columns}


@ordered
def show_tree(order: dict[str, Any]) -> None:
    """Order: `dag_id`; `subdir`: take the DAG from its file there, and not from the database."""
    dag_id, subdir = order["dag_id"], order.get("subdir")
    dags.require(dag_id)
    dag = dags.load(dags.place_of(subdir), dag_id) if subdir else SerializedDagModel.get_dag(dag_id)
    if dag is None:
        raise SystemExit(f"Dag {dag_id!r} could not be found in the database.")
    full = length(dag) <= LONGEST_TREE
    if not full:
        warn(f"The tree has more than {LONGEST_TREE} lines: what follows a task is shown once")
    for line in lines(dag, full=full):
        print(line)


def length(dag: Any) -> int:
    """Return how many lines the tree of a DAG has in full."""
    below: dict[str, int] = {}
    for task_id in reversed(dags.in_order(dag)):
        below[task_id] = 1 + sum(below[each] for each in dag.get_task(task_id).downstream_task_ids)
    return sum(below[task.task_id] for task in dag.tasks if not task.upstream_task_ids)


def lines(dag: Any, *, full: bool = True) -> Iterator[str]:
    """
    Yield the tree as the 1.x command printed it: each task under every task that it follows.

    :param full: what follows a task stands under it each time, and not the first time only
    """
    seen: set[str] = set()
    roots = sorted(
        (task for task in dag.tasks if not task.upstream_task_ids), key=lambda task: str(task.task_id)
    )
    stack = [(task, 0) for task in reversed(roots)]
    while stack:
        task, depth = stack.pop()
        yield f"{INDENT * depth}<Task({task.task_type}): {task.task_id}>"
        if task.task_id in seen and not full:
            continue
        seen.add(task.task_id)
        following = sorted(task.downstream_task_ids)
        stack += [(dag.get_task(task_id), depth + 1) for task_id in reversed(following)]


@ordered
def list_rows(order: dict[str, Any]) -> None:
    """Print rows as JSON, in the order in which they were made; order: `kind`, connections or variables."""
    with create_session() as session:
        if order["kind"] == "variables":
            rows = [{"key": key} for key in session.scalars(select(Variable.key).order_by(Variable.id))]
        else:
            rows = _connections(session)
    AirflowConsole().print_as(data=rows, output="json")


def _connections(session: Any) -> list[dict[str, Any]]:
    """Return the columns of 1.x; of what may hold a secret only whether it is there."""
    columns: dict[str, Any] = {
        "conn_id": Connection.conn_id,
        "conn_type": Connection.conn_type,
        "host": Connection.host,
        "port": Connection.port,
        "is_encrypted": Connection.is_encrypted,
        "is_extra_encrypted": Connection.is_extra_encrypted,
        "extra": Connection._extra,
    }
    # Columns, not objects: what is stored stays encrypted, and cannot fail to be decrypted.
    found = session.execute(select(*columns.values()).order_by(Connection.id))
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    return [{**row, "extra": MASK if row["extra"] else None} for row in rows]


@ordered
def refresh(order: dict[str, Any]) -> None:
    """Order: `dag_id`, or none for all; `here`: there is no DAG processor, and the caller may do its work."""
    dag_id = order.get("dag_id")
    files = [_file_of(dag_id)] if dag_id else sorted(dag_processor.all_files())
    if order.get("here"):
        with database_read(), stored_at_once():
            if dag_id:
                for sentence in (parse_files(files) or {}).values():
                    warn(sentence.removesuffix("."))
            else:
                output.dag_files_to_stderr()
                arguments = get_parser().parse_args(["dags", "reserialize"])
                arguments.func(arguments)
        warn(f"{NO_PROCESSOR}the files were parsed by the API server")
    else:
        _ask(files)
    _warn_of_errors(files)
    answer(f"DAG [{dag_id}] is now fresh as a daisy" if dag_id else "All DAGs are now up to date")


def _file_of(dag_id: str) -> File:
    try:
        file = dag_processor.file_of(dag_id)
    except LookupError:
        raise OrderRefused(unknown_dag(dag_id)) from None
    if file is None:
        raise OrderRefused(f"The file of the DAG '{dag_id}' is not known to Airflow")
    if not dags.has_file(file):
        # A DAG that is gone may be asked for where its file was put back by hand.
        dags.require(dag_id)
    return file


def _ask(files: list[File]) -> None:
    if not dag_processor.processor_alive():
        dag_processor.request_parsing(files)
        warn(f"{NO_PROCESSOR}the files will be parsed when one is started")
        return
    parsed = asyncio.run(_parsed(files))
    if late := [file for file in parsed.files if not file.parsed]:
        warn(
            f"The DAG processor has been asked to parse {len(files)} file(s); "
            f"it has yet to finish {len(late)} of them"
        )


async def _parsed(files: list[File]) -> Parsed:
    return await until_parsed(await request_parse(files), patience=PATIENCE, at_most=AT_MOST)


def _warn_of_errors(files: list[File]) -> None:
    for (_, path), seen in sorted(dag_processor.look(files).items()):
        if seen.error is not None:
            lines = seen.error.strip().splitlines()
            warn(f"{path}: {lines[-1] if lines else 'import error'}")
