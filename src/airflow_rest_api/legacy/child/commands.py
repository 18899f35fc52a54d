"""Airflow's own commands and components, after a look at what an order names: DAG, path, run."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow.cli.cli_parser import get_parser
from airflow.cli.simple_table import AirflowConsole
from airflow.configuration import conf
from airflow.exceptions import DagRunAlreadyExists
from airflow.models.backfill import InvalidReprocessBehavior
from airflow.models.dag import DagModel
from airflow.models.dagrun import RUN_ID_REGEX, DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.airflow.child import clearing
from airflow_rest_api.airflow.compat.dags import has_no_run, newest_listed, parsed_dag
from airflow_rest_api.airflow.compat.dates import coerce_datetime
from airflow_rest_api.airflow.compat.variables import Exported, json_read_as
from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import OrderRefused, ordered, warn
from airflow_rest_api.services.child_start import StartRefused, start
from airflow_rest_api.services.supervisor import Order

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MANY = 1000
"""DAGs from which only their ids are listed."""

MOST_CLEARED = 1000
"""Task instances that an answer lists: a list that is too long for the output would be none."""

READ_BY_ENDING = frozenset({".env", ".yaml", ".yml"})
"""The names of files with variables that Airflow imports in another form than JSON."""
OF_AN_EXPORT = frozenset({"value", "description"})

PATTERN = "[scheduler] allowed_run_id_pattern"
LONG_CONF = 64 * 1024
"""Characters of a configuration with which the output of the command may be more than is kept."""
ATTEMPTS = 5
"""How often a date is chosen: others may trigger the same DAG in the same second."""


@ordered
def run_commands(order: dict[str, Any]) -> None:
    """
    Run commands one after the other; one that fails ends the process.

    Order: `argvs`; `dag_id` that must exist; `subdir`, a path inside a bundle; `load`: the command takes the
    DAG from its file there, and `params` are put on its task; `date`, by which the client names a run, and
    `without_run`: ``None`` is printed where there is none; `pool` that is shown before it is deleted;
    `json`: what today's command does not print is printed as JSON.
    """
    place = _named(order)
    for argv in order["argvs"]:
        arguments = get_parser().parse_args(argv)
        loaded: dict[str, Any] = {}
        if place is not None and hasattr(arguments, "bundle_name"):
            arguments.bundle_name = [place.bundle]
        elif place is not None:
            warn(f"subdir has no effect: 'airflow {' '.join(argv[:2])}' reads the database")
        try:
            if order.get("load") and (place or order.get("params")):
                loaded["dag"] = _load(arguments, place, order.get("params"))
            elif place is not None and hasattr(arguments, "bundle_name"):
                dags.require_in(place, arguments.dag_id)
            _run(arguments, argv, order, loaded)
        except OrderRefused:
            raise
        except Exception as error:
            # A client gets the reason; how Airflow came to it is of no use there.
            raise SystemExit("".join(traceback.format_exception_only(error)).rstrip()) from None


def _named(order: dict[str, Any]) -> dags.BundlePath | None:
    """Take DAG and path out of an order, both of which must exist; return the path."""
    if dag_id := order.pop("dag_id", None):
        dags.require(dag_id)
    subdir = order.pop("subdir", None)
    return dags.place_of(subdir) if subdir else None


def _run(arguments: Any, argv: list[str], order: dict[str, Any], loaded: dict[str, Any]) -> None:
    command = " ".join(argv[:2])
    if order.get("date") and not _names_run(arguments, order):
        print(None)
        return
    if hasattr(arguments, "from_date"):
        if arguments.from_date > arguments.to_date:
            # Before Airflow 3.3 a backfill without runs is stored, and keeps others off for minutes.
            raise OrderRefused("Argument 'start_date' is after 'end_date'")
        if command == "backfill create" and not arguments.dry_run:
            _require_run(arguments)
    if command == "dags trigger":
        trigger(arguments)
        return
    if command == "dags list" and order.get("json") and _many_dags():
        # All that the text is made of: with the rest of their columns they may be more than is kept.
        arguments.columns = ["dag_id"]
    if command == "tasks clear":
        arguments.end_date = dags.end_of_second(arguments.end_date)
        # The answer says it in the words of 1.10, whose clients want an empty stderr.
        clearing.quiet = bool(order.get("json"))
    if name := order.get("pool"):
        _show_pool(name)
    with _readable_file(arguments, command), _present_dags(command, order):
        try:
            arguments.func(arguments, **loaded)
        except InvalidReprocessBehavior:
            # What becomes of runs that are there, Airflow wants to be told, and no argument of 1.x can.
            warn(f"DAG {arguments.dag_id} has tasks that depend on past runs: runs that failed are run again")
            arguments.reprocess_behavior = "failed"
            arguments.func(arguments, **loaded)
    if command == "tasks clear" and order.get("json"):
        _show_cleared()
    if command == "backfill create" and arguments.dry_run and order.get("json"):
        _show_dry_run(arguments, order)
    if command == "backfill create" and not arguments.dry_run and dags.is_paused(arguments.dag_id):
        warn(f"DAG {arguments.dag_id} is paused: the runs wait until it is not")


def _require_run(arguments: Any) -> None:
    """Raise SystemExit where a backfill would have no run, with the words of Airflow 3.3."""
    dag_id, start, end = arguments.dag_id, arguments.from_date, arguments.to_date
    if has_no_run(dag_id, start, end):
        raise SystemExit(f"No runs to create for Dag {dag_id} in the range [{start}, {end}]")


@contextmanager
def _readable_file(arguments: Any, command: str) -> Iterator[None]:
    """Have variables imported as by 1.x: a file of any other name as JSON, and each value of it as it is."""
    ending = Path(arguments.file).suffix.lower() if command == "variables import" else ""
    if command != "variables import" or ending in READ_BY_ENDING:
        yield
        return
    with TemporaryDirectory() as folder, json_read_as(_as_texts):
        if ending != ".json":
            link = os.path.join(folder, "variables.json")
            os.symlink(arguments.file, link)
            arguments.file = link
        yield


def _as_texts(variables: Any) -> Any:
    """
    Return variables with the text that 1.x stored for each that is none.

    Today's command takes the `value` out of every object that has one, whatever else is in it, and that of
    Airflow 3.1 the only item out of a list; one of several is an error to it.
    """
    if not isinstance(variables, dict):
        return variables
    return {key: _as_text(value) for key, value in variables.items()}


def _as_text(value: Any) -> Any:
    if not _is_taken(value):
        return json.dumps(value, indent=2)
    return Exported(value) if isinstance(value, dict) else value


def _is_taken(value: Any) -> bool:
    """Return whether it is a text, or what Airflow itself exports of a variable with a description."""
    return isinstance(value, str) or (
        isinstance(value, dict) and "value" in value and value.keys() <= OF_AN_EXPORT
    )


@contextmanager
def _present_dags(command: str, order: dict[str, Any]) -> Iterator[None]:
    """Have only DAGs listed that a file defines, which were all that 1.x knew."""
    if command != "dags list" or not order.get("json"):
        yield
        return
    console: Any = AirflowConsole
    print_as = console.print_as

    def print_present(self: Any, data: Iterable[Any], *args: Any, **more: Any) -> None:
        # Some versions of Airflow have a DAG there once for each of its own versions.
        found = {dag.dag_id: dag for dag in data}
        gone = dags.stale(found)
        print_as(self, [dag for dag_id, dag in found.items() if dag_id not in gone], *args, **more)

    console.print_as = print_present
    try:
        with newest_listed():
            yield
    finally:
        console.print_as = print_as


def _many_dags() -> bool:
    with create_session() as session:
        return (session.scalar(select(func.count()).select_from(DagModel)) or 0) > MANY


def _names_run(arguments: Any, order: dict[str, Any]) -> bool:
    """Have the arguments name the run that the client means; return whether the command is to be run."""
    with create_session() as session:
        run = dags.find_run(arguments.dag_id, order["date"], session)
        if run is not None:
            arguments.logical_date_or_run_id = run.run_id
            found = not order.get("without_run") or _has_instance(arguments, run, session)
            return found or not _has_task(arguments)
    # A command that makes a run for itself calls it so, and not every way to write a date is an id.
    date = dags.date_of(order["date"])
    if date is not None:
        arguments.logical_date_or_run_id = date.isoformat()
    # A task that does not exist is the command's to refuse.
    return not (order.get("without_run") and _has_task(arguments))


def _has_task(arguments: Any) -> bool:
    task_id = getattr(arguments, "task_id", None)
    if task_id is None:
        return True
    dag: Any = SerializedDagModel.get_dag(arguments.dag_id)
    return dag is not None and dag.has_task(task_id)


def _has_instance(arguments: Any, run: Any, session: Session) -> bool:
    """Return whether a run has what is asked for: not each task of a DAG, such as one that starts later."""
    task_id = getattr(arguments, "task_id", None)
    if task_id is None:
        return True
    of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    found = select(TaskInstance.task_id).where(*of_run, TaskInstance.task_id == task_id).limit(1)
    return session.scalar(found) is not None


def _show_pool(name: str) -> None:
    with create_session() as session:
        pool: Any = Pool.get_pool(name, session=session)
        if pool is not None:
            row = {"pool": pool.pool, "slots": pool.slots, "description": pool.description}
            AirflowConsole().print_as(data=[row], output="json")


def _show_cleared() -> None:
    more = len(clearing.cleared) - MOST_CLEARED
    if more > 0:
        warn(f"Of {len(clearing.cleared)} task instances that were cleared, {MOST_CLEARED} are listed")
    rows = [vars(one) for one in clearing.cleared[:MOST_CLEARED]]
    print(json.dumps(rows, default=lambda date: date.isoformat()))


def _show_dry_run(arguments: Any, order: dict[str, Any]) -> None:
    """Print the tasks of the run of the first date, which 1.x did, in the order in which they run."""
    dag: Any = SerializedDagModel.get_dag(arguments.dag_id)
    chosen = dags.matching(dag, order.get("task_regex"), upstream=not order.get("ignore_dependencies"))
    tasks = [task_id for task_id in dags.in_order(dag) if task_id in chosen]
    date = arguments.from_date.isoformat()
    print(json.dumps({"dag_id": arguments.dag_id, "logical_date": date, "tasks": tasks}))


def _load(arguments: Any, place: dags.BundlePath | None, params: dict[str, Any] | None) -> Any:
    dag = dags.load(place, arguments.dag_id) if place else parsed_dag(arguments.dag_id)
    if params:
        dag.get_task(arguments.task_id).params.update(params)
    return dag


@ordered
def start_component(order: dict[str, Any]) -> int:
    """
    Start a component, print its process id, and wait until it is ready or has failed.

    Order: that of `services.supervisor`, `dag_id` that must exist, and `subdir`, a path inside a bundle.
    """
    _named(order)
    try:
        return start(Order(**order))
    except StartRefused as refusal:
        raise OrderRefused(str(refusal)) from None


def trigger(arguments: Any) -> None:
    """
    Run `airflow dags trigger` with the arguments of its parser.

    Without a date of the client's the run is for the moment of the request, as it was in 1.x: templates use
    it, and a run of today's Airflow has none unless it is given. Its id shows the same moment. That moment is
    a whole second, which clients keep, unless another run of the DAG has it.

    :raises OrderRefused: the run id is one that Airflow is configured not to take
    """
    if arguments.run_id is not None:
        check_run_id(arguments.run_id)
    arguments.replace_microseconds = False
    if arguments.logical_date is not None:
        _show_again(_create_run(arguments, arguments.logical_date), arguments)
        return
    for attempt in range(ATTEMPTS):
        now = datetime.now(timezone.utc)
        whole = now.replace(microsecond=0)
        date = now if attempt or _run_exists(arguments.dag_id, whole) else whole
        try:
            run = _create_run(arguments, date)
        except (DagRunAlreadyExists, IntegrityError):
            if attempt == ATTEMPTS - 1 or not _run_exists(arguments.dag_id, date):
                raise
        else:
            _show_again(run, arguments)
            return


def check_run_id(run_id: str) -> None:
    """Raise OrderRefused where Airflow would not take the id of a run (`SerializedDAG.create_dagrun`)."""
    pattern = conf.get("scheduler", "allowed_run_id_pattern").strip()
    if not re.match(RUN_ID_REGEX, run_id) and not (pattern and re.match(pattern, run_id)):
        raise OrderRefused(
            f"Argument 'run_id': this Airflow does not take '{run_id[:200]}': its {PATTERN} is {pattern!r}"
        )
    try:
        # The model refuses more than the pattern does: two dots, from 3.3 on.
        DagRun().run_id = run_id
    except ValueError as error:
        raise OrderRefused(f"Argument 'run_id': {str(error)[:500]}") from None


def _create_run(arguments: Any, date: datetime) -> dict[str, Any]:
    """Create the run, and return it; an id of Airflow's making shows its date, not when it was created."""
    given, arguments.logical_date = arguments.run_id, date
    try:
        if given is None:
            arguments.run_id = _run_id(arguments.dag_id, date)
        arguments.func(arguments)
        return {"dag_id": arguments.dag_id, "dag_run_id": arguments.run_id, "logical_date": date.isoformat()}
    finally:
        arguments.run_id, arguments.logical_date = given, None


def _show_again(run: dict[str, Any], arguments: Any) -> None:
    """Print a run once more, without its configuration, where what the command printed may be cut."""
    if len(arguments.conf or "") > LONG_CONF and arguments.output == "json":
        print(json.dumps([run]))


def _run_id(dag_id: str, date: datetime) -> str | None:
    dag: Any = SerializedDagModel.get_dag(dag_id)
    if dag is None:
        return None
    moment = coerce_datetime(date)
    interval = dag.timetable.infer_manual_data_interval(run_after=moment)
    run_id: str = dag.timetable.generate_run_id(
        run_type=DagRunType.MANUAL, run_after=moment, data_interval=interval
    )
    return run_id


def _run_exists(dag_id: str, date: datetime) -> bool:
    with create_session() as session:
        same = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.logical_date == date)
        return session.scalar(same.limit(1)) is not None
