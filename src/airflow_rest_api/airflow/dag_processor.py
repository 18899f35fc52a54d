"""What the DAG processor is asked, and what it has made of DAG files. Blocks: for threads only."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import func, literal_column, or_, select

from airflow_rest_api.airflow.compat.version_compat import ERRORS_HAVE_WHOLE_PATHS, PARSES_ARE_TIMED
from airflow_rest_api.airflow.queries import rows, values
from airflow_rest_api.storage.schema import storable

File = tuple[str, str]
"""A bundle, and the path of a file in it with slashes; of a packaged DAG that of the archive."""

_ARCHIVE = re.compile(r"(.*?\.zip)/", re.IGNORECASE | re.DOTALL)

TOGETHER = 500
"""Values in one query."""

JOB = "DagProcessorJob"  # airflow.jobs.dag_processor_job_runner.DagProcessorJobRunner.job_type
RUNNING = "running"  # airflow.jobs.job.JobState


@dataclass(frozen=True)
class Parse:
    """
    The newest result of parsing that has a DAG in it.

    :ivar at: when it was recorded
    :ivar seconds: what it took, None where that was not recorded
    """

    at: datetime
    seconds: float | None

    @property
    def began(self) -> datetime | None:
        """When the file was read at the earliest."""
        return None if self.seconds is None else self.at - timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class FileState:
    """
    What Airflow has of a file.

    :ivar dags: the DAGs that came from it at some time, by id
    :ivar error: the import error, None where there is none
    """

    dags: dict[str, Parse] = field(default_factory=dict)
    error: str | None = None
    error_at: datetime | None = None

    @property
    def newest(self) -> Parse | None:
        """The newest parse of those of its DAGs."""
        return max(self.dags.values(), key=lambda parse: parse.at, default=None)


@dataclass(frozen=True)
class Stored:
    """The newest version of a DAG that Airflow runs, and when it was written."""

    version: int
    at: datetime


def request_parsing(files: Iterable[File]) -> None:
    """Ask the DAG processor to parse files before all others; the same again changes nothing."""
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    wanted = set(files)
    new = sorted(wanted - waiting(wanted))
    with create_session() as session:

        def add(some: Sequence[File]) -> None:
            asked = [DagPriorityParsingRequest(bundle_name=one, relative_fileloc=path) for one, path in some]
            with session.begin_nested():
                session.bulk_save_objects(asked)

        try:
            add(new)
        except IntegrityError:
            # Another asks for one of them at the same moment, and the table takes a file once.
            for file in new:
                with contextlib.suppress(IntegrityError):
                    add([file])


def waiting(files: Collection[File]) -> set[File]:
    """Return the files that the DAG processor has been asked for and has yet to take."""
    from airflow.models.dagbag import DagPriorityParsingRequest as Row

    found = _rows(files, Row.bundle_name, Row.relative_fileloc)
    return {(bundle, path) for bundle, path in found} & set(files)


def look(files: Collection[File]) -> dict[File, FileState]:
    """Return what Airflow has of files."""
    from airflow.models.dag import DagModel
    from airflow.models.errors import ParseImportError

    seen = {file: FileState() for file in files}
    dag, failed = DagModel, ParseImportError
    seconds_of = dag.last_parse_duration if PARSES_ARE_TIMED else literal_column("NULL")
    result = (dag.dag_id, dag.last_parsed_time, seconds_of)
    for bundle, path, dag_id, at, seconds in _rows(files, dag.bundle_name, dag.relative_fileloc, *result):
        file = (bundle, container(path))
        if file in seen and at is not None:
            seen[file].dags[dag_id] = Parse(at, seconds)
    failure = (failed.stacktrace, failed.timestamp)
    folders = _folders({bundle for bundle, _ in files}) if ERRORS_HAVE_WHOLE_PATHS else {}
    whole = [(bundle, f"{folders[bundle]}{path}") for bundle, path in files if bundle in folders]
    recorded = [*files, *whole]
    for bundle, path, error, at in _rows(recorded, failed.bundle_name, failed.filename, *failure):
        file = (bundle, container(path.removeprefix(folders.get(bundle, ""))))
        if file in seen:
            seen[file] = FileState(seen[file].dags, error or "", at)
    return seen


def _folders(bundles: Collection[str]) -> dict[str, str]:
    """Return the folders of bundles, with a slash at the end, as far as they are known here."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    manager: Any = DagBundlesManager
    configured, found = manager(), {}
    for name in bundles:
        # One that is no longer configured, or whose connection is missing.
        with contextlib.suppress(Exception):
            found[name] = f"{str(configured.get_bundle(name).path).rstrip('/')}/"
    return found


def stored(dag_ids: Iterable[str]) -> dict[str, Stored]:
    """Return the newest version of each of some DAGs that Airflow has stored."""
    from airflow.models.dag_version import DagVersion
    from airflow.models.serialized_dag import SerializedDagModel

    found: dict[str, Stored] = {}
    for some in _portions(dag_ids):
        newest = (
            select(DagVersion.dag_id, func.max(DagVersion.version_number).label("number"))
            .where(DagVersion.dag_id.in_(some))
            .group_by(DagVersion.dag_id)
            .subquery()
        )
        versions = (
            select(DagVersion.dag_id, DagVersion.version_number, SerializedDagModel.last_updated)
            .join(SerializedDagModel, SerializedDagModel.dag_version_id == DagVersion.id)
            .join(
                newest,
                (newest.c.dag_id == DagVersion.dag_id) & (newest.c.number == DagVersion.version_number),
            )
        )
        found.update({dag_id: Stored(version, at) for dag_id, version, at in rows(versions)})
    return found


def file_of(dag_id: str) -> File | None:
    """
    Return the file of a DAG, None where Airflow knows none.

    :raises LookupError: there is no such DAG
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        # No database has one with a NUL or half a character in it, and not all take the question.
        model = session.get(DagModel, dag_id) if storable(dag_id) == dag_id else None
        if model is None:
            raise LookupError(dag_id)
        if not model.bundle_name or not model.relative_fileloc:
            return None
        return model.bundle_name, container(model.relative_fileloc)


def is_runnable(dag_id: str) -> bool:
    """Return whether Airflow has a DAG with a version to run, from a file that it found without an error."""
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel

    runnable = (
        select(DagModel.dag_id)
        .join(SerializedDagModel, SerializedDagModel.dag_id == DagModel.dag_id)
        .where(
            DagModel.dag_id == dag_id,
            DagModel.is_stale.is_(False),
            DagModel.has_import_errors.is_not(True),
        )
        .limit(1)
    )
    return bool(rows(runnable))


def all_files() -> set[File]:
    """Return the files of all DAGs that are still there."""
    from airflow.models.dag import DagModel

    files = select(DagModel.bundle_name, DagModel.relative_fileloc).where(DagModel.is_stale.is_(False))
    return {(bundle, container(path)) for bundle, path in rows(files.distinct()) if bundle and path}


def dags_of(files: Collection[File]) -> set[str]:
    """Return the DAGs that came from files at some time."""
    return {dag_id for seen in look(files).values() for dag_id in seen.dags}


def owners(dag_ids: Iterable[str]) -> dict[str, File]:
    """Return the bundle and the file of those DAGs that Airflow knows, and that it still defines."""
    from airflow.models.dag import DagModel

    columns = (DagModel.dag_id, DagModel.bundle_name, DagModel.relative_fileloc)
    found = {
        dag_id: (bundle, container(path))
        for some in _portions(dag_ids)
        for dag_id, bundle, path in rows(select(*columns).where(DagModel.dag_id.in_(some)))
        if bundle and path
    }
    there = defined(set(found.values()))
    return {dag_id: file for dag_id, file in found.items() if dag_id in there[file]}


def dags_by_file(bundle: str, paths: Sequence[str]) -> dict[str, list[str]]:
    """Return the DAGs that Airflow knows from each of some files of a bundle, and that are still there."""
    found = defined([(bundle, path) for path in paths])
    return {path: sorted(dag_ids) for (_, path), dag_ids in found.items() if dag_ids}


def defined(files: Collection[File]) -> dict[File, set[str]]:
    """
    Return the DAGs that files define, as Airflow knows it.

    Those of a file that cannot be imported at the moment are among them, which Airflow calls stale. Those are
    not that it would call so if a DAG processor looked: that were last seen too long before the newest parse
    of their file (`DagFileProcessorManager.deactivate_stale_dags`).
    """
    from airflow.configuration import conf
    from airflow.models.dag import DagModel as Dag

    there: dict[File, dict[str, datetime | None]] = {file: {} for file in files}
    newest: dict[File, datetime] = {}
    place = (Dag.bundle_name, Dag.relative_fileloc)
    state = (Dag.dag_id, Dag.last_parsed_time, Dag.is_stale, Dag.has_import_errors)
    for bundle, path, dag_id, at, stale, failed in _rows(files, *place, *state):
        file = (bundle, container(path))
        if file in there:
            if at is not None:
                newest[file] = max(at, newest.get(file, at))
            if failed or not stale:
                # Where one DAG of a file cannot be stored, Airflow renews the time of the others alone.
                there[file][dag_id] = None if failed else at
    age = timedelta(seconds=conf.getint("dag_processor", "stale_dag_threshold", fallback=50))
    return {
        file: {dag_id for dag_id, at in dags.items() if at is None or at + age >= newest[file]}
        for file, dags in there.items()
    }


def set_paused(dag_ids: Iterable[str], paused: bool) -> set[str]:
    """Pause or resume DAGs; return those that Airflow knows."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    done: set[str] = set()
    with create_session() as session:
        for some in _portions(dag_ids):
            for model in session.scalars(select(DagModel).where(DagModel.dag_id.in_(some))):
                model.is_paused = paused
                done.add(model.dag_id)
    return done


def processor_alive() -> bool:
    """Return whether a DAG processor runs and its heartbeat is no older than Airflow allows it to be."""
    from airflow.jobs.job import Job

    running: Any = select(Job).where(Job.job_type == JOB, Job.state == RUNNING)
    # A processor that was killed leaves such a row for ever.
    newest = values(running.order_by(Job.latest_heartbeat.desc()).limit(1))
    return bool(newest) and newest[0].is_alive()


def rest_between_versions() -> timedelta:
    """Return the time that must have passed before Airflow stores a DAG anew, even one that has changed."""
    from airflow.configuration import conf

    return timedelta(seconds=conf.getint("core", "min_serialized_dag_update_interval", fallback=30))


def container(path: str) -> str:
    """Return the file that is parsed for a DAG's own path: the archive of one that is packaged."""
    archive = _ARCHIVE.match(path)
    return archive[1] if archive else path


def now() -> datetime:
    """Return the time as Airflow stamps it."""
    return datetime.now(timezone.utc)


def _rows(files: Collection[File], bundles: Any, paths: Any, *more: Any) -> Iterator[Any]:
    """
    Yield the rows of files, and of what is inside those that are archives.

    :param bundles: the column with the bundle, and `paths` that with the path in it; they come first
    """
    wanted: dict[str, list[str]] = {}
    for bundle, path in files:
        wanted.setdefault(bundle, []).append(path)
    for bundle, names in sorted(wanted.items()):
        for some in _portions(names):
            archives = [name for name in some if name.lower().endswith(".zip")]
            packed = [paths.startswith(f"{name}/", autoescape=True) for name in archives]
            of_them = or_(paths.in_(some), *packed)
            yield from rows(select(bundles, paths, *more).where(bundles == bundle, of_them))


def _portions(names: Iterable[str]) -> Iterator[Sequence[str]]:
    wanted = sorted(set(names))
    for start in range(0, len(wanted), TOGETHER):
        yield wanted[start : start + TOGETHER]
