"""A deployment from what came in to what Airflow runs, and the report on it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files import bundles, refresh
from airflow_rest_api.dag_files.bundle_change import Writer, Written, new_deployment, plan
from airflow_rest_api.dag_files.bundles import IGNORE_FILE
from airflow_rest_api.dag_files.check import (
    BrokenFile,
    CheckLimits,
    Duplicate,
    Findings,
    FoundDag,
    check,
    duplicates,
)
from airflow_rest_api.dag_files.child.check import is_parsed
from airflow_rest_api.dag_files.upload import Bounds, Received, named
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.errors import (
    ApiError,
    CheckFailed,
    DuplicateDags,
    ImportErrors,
    Unavailable,
    UnknownVersion,
)
from airflow_rest_api.operations.runs import Failed, Refused
from airflow_rest_api.periodic import Periodic
from airflow_rest_api.storage.transient import foreseen

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundle_change import Change
    from airflow_rest_api.dag_files.bundles import BundleFolder
    from airflow_rest_api.dag_files.history import History
    from airflow_rest_api.dag_files.history_tables import Kind
    from airflow_rest_api.operations.runs import WorkContext

log = logging.getLogger(__name__)

RECOVERY_EVERY = 15.0
"""Seconds between two looks at whether a process left something unfinished in a bundle."""


@dataclass(frozen=True, kw_only=True)
class DeploymentOptions:
    """
    How files are deployed.

    :ivar overwrite: whether files that are there and differ may be replaced
    :ivar always_new: refuse those that are there and do not differ, too
    :ivar dry_run: do nothing more than to check them
    :ivar force_invalid: write them whatever was found
    :ivar paused: True pauses every DAG of the files, False resumes it, None leaves it
    :ivar wait: until Airflow has parsed them
    """

    overwrite: bool = False
    always_new: bool = False
    validate: bool = True
    dry_run: bool = False
    force_invalid: bool = False
    paused: bool | None = None
    wait: bool = False
    kind: Kind = "deploy"


@dataclass(frozen=True)
class DeploymentOrder(DeploymentOptions):
    """
    A deployment.

    :ivar covers: whether the user may know of a file of a bundle
    """

    place: BundleFolder
    received: Received
    user: str
    covers: Callable[[str, str], bool] = lambda bundle, path: True


@dataclass(kw_only=True)
class DeploymentReport:
    """What an operation reports of one deployment, which has an id where something was written."""

    deployment: str | None = None
    dry_run: bool
    bundle: str
    files: dict[str, Change] = field(default_factory=dict)
    dags: list[FoundDag] = field(default_factory=list)
    errors: list[BrokenFile] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """Return it as the result of an operation."""
        files = [{"path": path, "change": change} for path, change in self.files.items()]
        # Not `asdict`, which copies each text of thousands of DAGs, for seconds of the event loop.
        lists: dict[str, list[Any]] = {
            "dags": self.dags,
            "errors": self.errors,
            "duplicates": self.duplicates,
        }
        plain = {name: [vars(one) for one in found] for name, found in lists.items()}
        return {**vars(self), "files": files, **plain}

    @property
    def invalid(self) -> bool:
        """Whether files cannot be imported, or define DAGs that other files define."""
        return bool(self.errors or self.duplicates)

    def finding(self) -> str:
        """Return in a sentence what makes it invalid: the first of that, and how much more there is."""
        if self.errors:
            first = self.errors[0]
            place = f"{first.file}, line {first.line}" if first.line else first.file
            more = f", and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
            return f"{place}: {first.message}{more}."
        one = self.duplicates[0]
        return f"{one.file}: the DAG {one.dag_id!r} comes from {one.owner} already."


class DagFiles:
    """Deploys, rolls back and deletes files, each as the work of an operation; recovers in the background."""

    def __init__(self, history: History, bounds: Bounds, limits: CheckLimits) -> None:
        self.history = history
        self._bounds = bounds
        self._limits = limits
        self.recovery = Periodic("The recovery of bundles", RECOVERY_EVERY, self.recover)
        self._writer = Writer(history)

    def received(self, folder: str = "") -> Received:
        """Return a private folder for files of a folder of a bundle, for the caller to remove."""
        return Received(self._bounds, folder)

    @asynccontextmanager
    async def receive(self, folder: str = "") -> AsyncIterator[Received]:
        """Have a private folder for files of a folder of a bundle, until the end or until it is released."""
        received = self.received(folder)
        try:
            yield received
        finally:
            if not received.released:
                await asyncio.to_thread(received.remove)

    async def deploy(self, work: WorkContext, order: DeploymentOrder) -> dict[str, Any]:
        """
        Deploy files, or only check them; return the report.

        :raises Refused: nothing was written; the report is the result
        :raises Failed: it was only to be checked, and something was found; the report is the result
        """
        report = DeploymentReport(bundle=order.place.bundle.name, dry_run=order.dry_run)
        with refusing(report):
            return await self._deploy(work, order, report)

    async def rollback(
        self, work: WorkContext, order: DeploymentOrder, path: str, version: int
    ) -> dict[str, Any]:
        """Bring back a version of a file; the order comes without files."""
        with refusing(None):
            found = await self.history.version(order.place.bundle.name, path, version)
            if found.sha256 is None:
                raise UnknownVersion(path, version)
            # What did not come through us can be larger than anything that may.
            order.received.expect(found.size or 0)
            content = await self.history.content(found)
            await asyncio.to_thread(order.received.add, path, io.BytesIO(content))
        return await self.deploy(work, replace(order, overwrite=True, kind="rollback"))

    async def delete(
        self,
        work: WorkContext,
        place: BundleFolder,
        path: str,
        user: str,
        records_of: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Take a file away, and the records of some DAGs with it, as by `airflow dags delete`."""
        report = DeploymentReport(bundle=place.bundle.name, dry_run=False)
        deployment = new_deployment("delete", place.bundle.name, user, work.id, 1)
        with refusing(report):
            if path.rpartition("/")[2] == IGNORE_FILE:
                await self._require_nothing_uncovered(work, place, path)
            written = await self._writer.write(place.root, deployment, [], [path])
        _note(work, report, written)
        with _reporting(report, "The file is deleted"):
            await self._keep_dags(place.bundle.name, {path: []})
            for dag_id in () if written.interrupted else records_of:
                done = await work.run(Job(["dags", "delete", "--yes", "--", dag_id], mask=True))
                work.say(done.stdout)
                work.say(done.stderr, "stderr")
                if done.outcome.ending is not Ending.EXITED or done.outcome.exit_code:
                    report.warnings.append(f"The records of the DAG {dag_id!r} could not be deleted.")
        work.progress("ready")
        return report.result()

    async def _require_nothing_uncovered(self, work: WorkContext, place: BundleFolder, path: str) -> None:
        """Raise CheckFailed where Airflow would look at unchecked files once an `.airflowignore` is gone."""
        async with self.receive() as received:
            found = await check(work, place, received, self._limits, [path])
        if found.uncovered:
            raise CheckFailed(
                f"Without {path} Airflow would look at {named(found.uncovered)}, which has not been checked: "
                "deploy an empty one in its place, which is, and delete that. Nothing was deleted."
            )

    async def recover(self) -> None:
        """Complete or take back in each bundle what a process left unfinished when it was killed."""
        for root in await asyncio.to_thread(_roots):
            try:
                await self._writer.recover(root)
            except ApiError as error:
                log.warning("What was left unfinished in a bundle could not be settled: %s", error)
            except Exception:
                log.exception("What was left unfinished in a bundle could not be settled")

    async def _deploy(
        self, work: WorkContext, order: DeploymentOrder, report: DeploymentReport
    ) -> dict[str, Any]:
        received, place = order.received, order.place
        work.progress("received", files=len(received.files), bytes=received.size)
        report.warnings += received.warnings
        # Before the check, for an early answer; the writer does it again under the lock of the bundle.
        _, report.files = await asyncio.to_thread(
            plan, place.root, received.files, overwrite=order.overwrite, always_new=order.always_new
        )
        found = await self._check(work, order, report) if order.validate else None
        if order.dry_run:
            if report.invalid:
                # As any program that checks something: what it found is its result, and it ends with 1.
                raise Failed(report.finding(), result=report.result())
            return report.result()
        deployment = new_deployment(order.kind, place.bundle.name, order.user, work.id, len(received.files))
        written = await self._writer.write(
            place.root,
            deployment,
            received.files,
            overwrite=order.overwrite,
            always_new=order.always_new,
        )
        _note(work, report, written)
        if not written.interrupted:
            with _reporting(report, "The files are in place"):
                await self._go_live(work, order, report, found)
        work.progress("ready")
        return report.result()

    async def _check(self, work: WorkContext, order: DeploymentOrder, report: DeploymentReport) -> Findings:
        found = await check(work, order.place, order.received, self._limits)
        report.dags, report.errors = found.dags, found.errors
        report.warnings += found.warnings
        report.duplicates = await duplicates(
            order.place.bundle.name,
            found.dags,
            order.place.root,
            [file.path for file in order.received.files],
            order.covers,
        )
        if found.files and not found.dags and not found.errors:
            report.warnings.append("No DAG was found in the files.")
        work.progress(
            "checked", dags=len(report.dags), errors=len(report.errors), duplicates=len(report.duplicates)
        )
        if report.invalid and not order.force_invalid and not order.dry_run:
            kind = ImportErrors if report.errors else DuplicateDags
            raise kind(f"{report.finding()} Nothing was written.")
        return found

    async def _keep_dags(self, bundle: str, files: Mapping[str, Collection[str]]) -> None:
        try:
            await self.history.keep_dags(bundle, files)
        except Unavailable as error:
            log.warning("Which DAGs were deployed could not be recorded: %s", error)

    async def _go_live(
        self, work: WorkContext, order: DeploymentOrder, report: DeploymentReport, found: Findings | None
    ) -> None:
        bundle = order.place.bundle.name
        broken = {error.file for error in report.errors}
        dag_ids: dict[str, list[str]] = {}
        for dag in report.dags:
            dag_ids.setdefault(dag.file, []).append(dag.dag_id)
        if found is None:
            wanted, expected = await asyncio.to_thread(_likely, order), None
        else:
            # What a file that cannot be imported defines is not known: what it did before stays.
            sound = {file.path for file in order.received.files} & set(found.files) - broken
            await self._keep_dags(bundle, {path: dag_ids.get(path, []) for path in sound})
            wanted, expected = await _expected(order, found, dag_ids, broken)
        if not wanted:
            return
        parsed = await refresh.bring_up_to_date(
            work,
            [(bundle, path) for path in wanted],
            wait=order.wait or order.paused is not None,
            dag_ids=expected,
        )
        versions = {dag_id: number for file in parsed.files for dag_id, number in file.dags.items()}
        # Others were checked as well, which an `.airflowignore` has hidden: nobody asked to resume these.
        deployed = {file.path for file in order.received.files}
        if found is not None:
            report.dags = [replace(dag, version=versions.get(dag.dag_id)) for dag in report.dags]
        report.warnings += [
            f"{file.path}: {file.error.strip().splitlines()[-1]}"
            for file in parsed.files
            if file.parsed and file.error and file.error.strip() and file.path not in broken
        ]
        if order.paused is not None:
            checked = {dag.dag_id for dag in report.dags if dag.file in deployed}
            seen = {dag_id for file in parsed.files if file.path in deployed for dag_id in file.dags}
            await _set_paused(order.paused, checked or seen, report)


async def _expected(
    order: DeploymentOrder, found: Findings, dag_ids: Mapping[str, list[str]], broken: Collection[str]
) -> tuple[list[str], dict[dag_processor.File, list[str]]]:
    """Return the files that leave a trace when they are parsed, and the DAGs in those that can be."""
    bundle = order.place.bundle.name
    # Of the others there is no trace: Airflow passes over what does not look like a DAG file.
    failed = {path for path in await asyncio.to_thread(_likely, order) if path in broken}
    known = await ask(dag_processor.dags_by_file, bundle, found.files)
    wanted = [path for path in found.files if path in dag_ids or path in failed or path in known]
    return wanted, {(bundle, path): dag_ids.get(path, []) for path in wanted if path not in failed}


async def _set_paused(paused: bool, dag_ids: set[str], report: DeploymentReport) -> None:
    known = await ask(dag_processor.set_paused, dag_ids, paused)
    for dag_id in sorted(dag_ids - known):
        done = "paused" if paused else "resumed"
        report.warnings.append(f"The DAG {dag_id!r} was not {done}: Airflow does not know it yet.")


def _note(work: WorkContext, report: DeploymentReport, written: Written) -> None:
    """Put what has been written on the report, and on the progress of the operation."""
    report.deployment, report.files = written.id, written.changes
    work.progress("written", deployment=written.id)
    if written.interrupted:
        report.warnings.append("The operation was to be ended when the files were being put in place.")
    if not written.recorded:
        report.warnings.append("The database went away: the history shows this deployment later.")


def _likely(order: DeploymentOrder) -> list[str]:
    """Return the files in which Airflow would look for a DAG, by the words that are in them."""
    found = []
    for file in order.received.files:
        if not file.path.endswith(".py"):
            if is_parsed(file.path, file.content):
                found.append(file.path)
        else:
            text = file.content.read_bytes().lower()
            if b"airflow" in text and (b"dag" in text or b"asset" in text):
                found.append(file.path)
    return found


def _roots() -> list[Path]:
    found = [bundle.root for bundle in bundles.bundles() if bundle.writable and bundle.root is not None]
    return list(dict.fromkeys(root.resolve() for root in found))


@contextmanager
def _reporting(report: DeploymentReport, done: str) -> Iterator[None]:
    """Have an end of what follows a change of a bundle be a warning in the report on it, and no more."""
    try:
        yield
    except asyncio.CancelledError:
        report.warnings.append(f"{done}; the operation was ended while it waited.")
    except Exception as error:
        log.exception("What came after the deployment %s failed", report.deployment)
        # The words of other errors are for the log: those of a database have its address and the values.
        found = error if isinstance(error, ApiError) else foreseen(error)
        why = type(error).__name__ if found is None else found.message
        report.warnings.append(f"{done}; what came then failed: {why}")


@contextmanager
def refusing(report: DeploymentReport | None) -> Iterator[None]:
    """Have what keeps files from being written, or read, end their operation as `Refused`."""
    try:
        yield
    except Exception as error:
        found = error if isinstance(error, ApiError) else foreseen(error)
        if found is None:
            raise
        if report is not None and isinstance(found, Unavailable):
            found = Unavailable(message="The database cannot be reached. Nothing has changed.")
        raise Refused(found, _shown(report)) from (None if isinstance(error, ApiError) else error)


def _shown(report: DeploymentReport | None) -> dict[str, Any] | None:
    return None if report is None else report.result()
