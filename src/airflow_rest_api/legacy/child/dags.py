"""What of Airflow an order names: a DAG, its tasks, a path in a bundle, a DAG run by its id or date."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_rest_api.airflow import expressions
from airflow_rest_api.airflow.child import output
from airflow_rest_api.airflow.compat.dags import filled_bag
from airflow_rest_api.airflow.compat.dates import parse as parse_date
from airflow_rest_api.airflow.dag_processor import File
from airflow_rest_api.legacy.child.messages import OrderRefused, unknown_dag

SECOND = timedelta(seconds=1)
SOON = timedelta(seconds=5)
"""Longer than it takes to make a run for the moment of a request, and to say from when on it may run."""
_FRACTION = re.compile(r"[.,][0-9]")
"""In a date: it is written to less than a second."""
_OFFSET = re.compile(r"\A((?:\w+__)?[0-9]{4}[-/]?[0-9]{2}.*[0-9])\+([0-9]{2}(?::?[0-9]{2})?(?:_\w+)?)\Z")
"""A date with an offset, or an id that is made of one (`legacy.request`)."""
NAMED = 5
"""Runs that a refusal names."""


@dataclass(frozen=True)
class BundlePath:
    """A path inside a DAG bundle."""

    bundle: str
    root: Path
    path: Path

    @property
    def relative(self) -> str:
        """The path from the bundle's root; `.` for the bundle itself."""
        return os.path.relpath(self.path, self.root)

    def holds(self, relative_fileloc: str | None) -> bool:
        """Whether a file of the bundle is this file or inside this folder."""
        return self.relative == "." or Path(relative_fileloc or "").is_relative_to(self.relative)


def require(dag_id: str) -> None:
    """
    Raise OrderRefused where there is no such DAG, or no longer.

    One whose file cannot be imported at the moment is there, though Airflow calls it stale.
    """
    with create_session() as session:
        model = session.get(DagModel, dag_id)
        if model is None or (model.is_stale and not model.has_import_errors):
            raise OrderRefused(unknown_dag(dag_id))


def has_file(file: File) -> bool:
    """Return whether a file lies in its bundle now; not in one that is not configured or not yet fetched."""
    name, path = file
    manager: Any = DagBundlesManager
    try:
        return os.path.exists(os.path.join(manager().get_bundle(name).path, path))
    except ValueError:
        return False


def is_paused(dag_id: str) -> bool:
    """Return whether a DAG is paused: the scheduler begins none of its runs."""
    with create_session() as session:
        model = session.get(DagModel, dag_id)
        return model is not None and bool(model.is_paused)


def stale(dag_ids: Collection[str]) -> set[str]:
    """Return those DAGs that no file defines any more: Airflow keeps them."""
    with create_session() as session:
        return set(session.scalars(select(DagModel.dag_id).where(DagModel.is_stale.is_(True)))) & set(dag_ids)


def place_of(subdir: str) -> BundlePath:
    """
    Return the bundle that a path of the client's lies in.

    ``DAGS_FOLDER`` and ``~`` are what they were to the 1.x plugin; a relative path starts at the DAGs folder.

    :raises OrderRefused: the path is in no bundle, or does not exist
    """
    path = _resolved(subdir)
    places = []
    manager: Any = DagBundlesManager
    for bundle in manager().get_all_dag_bundles():
        root = Path(os.path.realpath(bundle.path))
        if path.is_relative_to(root):
            places.append((len(root.parts), root, bundle))
    if not places:
        raise OrderRefused(f"The path '{subdir[:200]}' is outside the DAG bundles")
    # Path.exists raises for a name that is too long.
    if not os.path.exists(path):
        raise OrderRefused(f"The path '{subdir[:200]}' does not exist")
    _, root, bundle = max(places, key=lambda place: place[0])
    bundle.initialize()
    return BundlePath(bundle.name, root, path)


def matching(dag: Any, expression: str | None, *, upstream: bool) -> set[str]:
    """
    Return the ids of a DAG's tasks in which an expression is found, or of all where there is none.

    :param upstream: also of those that these follow
    :raises OrderRefused: it is no regular expression
    """
    if expression is None:
        return set(dag.task_ids)
    try:
        chosen = expressions.matching(expression, [task.task_id for task in dag.tasks])
    except (re.error, ValueError, RecursionError, OverflowError) as error:
        raise OrderRefused(f"Argument 'task_regex' is no regular expression: {error}") from None
    tasks = [task for task in dag.tasks if task.task_id in chosen]
    if upstream:
        chosen.update(task_id for task in tasks for task_id in task.get_flat_relative_ids(upstream=True))
    return chosen


def in_order(dag: Any) -> list[str]:
    """Return the ids of a DAG's tasks, each behind those that it follows; else by name."""
    tasks = sorted(dag.tasks, key=lambda task: str(task.task_id))
    waits = {task.task_id: sorted(task.upstream_task_ids) for task in tasks}
    return list(TopologicalSorter(waits).static_order())


def parse(place: BundlePath) -> Any:
    """Import the DAG files of a place, here and now; return Airflow's bag of DAGs."""
    output.dag_files_to_stderr()
    return filled_bag(str(place.path), place.root, place.bundle)


def load(place: BundlePath, dag_id: str) -> Any:
    """Return a DAG from the files of a place; exit with Airflow's words where they do not define it."""
    bag = parse(place)
    dag = bag.dags.get(dag_id)
    if dag is None:
        for file, error in bag.import_errors.items():
            print(f"{file}: {error}")
        raise _not_found(dag_id)
    return dag


def require_in(place: BundlePath, dag_id: str) -> None:
    """Exit with Airflow's words where the files of a place do not define a DAG, as the database has it."""
    with create_session() as session:
        model = session.get(DagModel, dag_id)
        if model is None or model.bundle_name != place.bundle or not place.holds(model.relative_fileloc):
            raise _not_found(dag_id)


def _not_found(dag_id: str) -> SystemExit:
    return SystemExit(f"Dag {dag_id!r} could not be found; either it does not exist or it failed to parse.")


def find_run(dag_id: str, value: str, session: Session) -> Any:
    """
    Return the DAG run that a value names, None where there is none.

    Clients of the 1.x plugin keep dates to the second, which was all that a run of `trigger_dag` had: a date
    without a fraction stands for the whole second. So does one with a fraction of zeros, which some write
    always, unless it is exactly that of a run.

    :param value: the id of a run, or a logical date
    :raises OrderRefused: it is neither, or several runs lie in that second
    """
    of_dag = select(DagRun).where(DagRun.dag_id == dag_id)
    # As it was sent, too: the `+` of an offset, a blank in a query, was mended in what may be a date.
    for name in dict.fromkeys((value, _OFFSET.sub(r"\1 \2", value))):
        if run := session.scalar(of_dag.where(DagRun.run_id == name)):
            return run
    date = date_of(value)
    if date is None:
        raise OrderRefused(
            f"Argument 'execution_date': '{value[:200]}' is neither a date nor the id of a run "
            f"of DAG '{dag_id}'"
        )
    if date.microsecond or _FRACTION.search(value):
        exact = session.scalar(of_dag.where(DagRun.logical_date == date))
        if exact is not None or date.microsecond:
            return exact
    try:
        end = date + SECOND
    except OverflowError:
        return None
    within = of_dag.where(DagRun.logical_date >= date, DagRun.logical_date < end)
    runs = session.scalars(within.order_by(DagRun.logical_date).limit(NAMED + 1)).all()
    if len(runs) > 1:
        named = ", ".join(f"'{run.run_id}' ({run.logical_date})" for run in runs[:NAMED])
        more = " and more" if len(runs) > NAMED else ""
        raise OrderRefused(
            f"Argument 'execution_date': several runs of DAG '{dag_id}' lie in the second '{value}': "
            f"{named}{more}; give the id of one"
        )
    return runs[0] if runs else _made_at(of_dag, value, date, session)


def _made_at(of_dag: Any, value: str, date: datetime, session: Session) -> Any:
    """
    Return the run of a DAG that was made for the moment of its request, by that moment in GMT.

    So the answer says when it left, by which clients look for their run, without its zone; elsewhere it is
    Airflow's own zone that a date without one is in. None where there is none, or the date says its zone.
    """
    moment = date_of(value, "UTC")
    if moment is None or moment == date:
        return None
    within = of_dag.where(DagRun.logical_date >= moment, DagRun.logical_date < moment + SECOND)
    made = [
        run for run in session.scalars(within.limit(NAMED)) if abs(run.run_after - run.logical_date) < SOON
    ]
    return made[0] if len(made) == 1 else None


def date_of(value: str, zone: str | None = None) -> datetime | None:
    """
    Return the moment that a text says; None for another text.

    :param zone: in which it is where it says none; by default Airflow's own
    """
    try:
        moment: Any = parse_date(value, zone)
        # At the ends of the calendar a zone can lead out of it.
        in_calendar = isinstance(moment, datetime) and moment.astimezone(timezone.utc)
    except Exception:
        # pendulum raises what it comes across: ParserError, ValueError, OverflowError, TypeError.
        return None
    # A duration and a span of time are texts that it takes as well.
    return moment if in_calendar else None


def end_of_second(date: datetime | None) -> datetime | None:
    """Return the last moment of the second that a date without a fraction stands for."""
    if date is None or date.microsecond:
        return date
    return date.replace(microsecond=999_999)


def _resolved(subdir: str) -> Path:
    if "\0" in subdir:
        raise OrderRefused("The path has a NUL character in it")
    folder = str(settings.DAGS_FOLDER)
    path = os.path.expanduser(subdir.replace("DAGS_FOLDER", folder))
    return Path(os.path.realpath(os.path.join(folder, path)))
