"""A deployment from what came in to what Airflow runs."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import parsing
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.dag_files import bundles, refresh
from airflow_rest_api.dag_files.check import CheckLimits, check, duplicates
from airflow_rest_api.dag_files.lock import Locks
from airflow_rest_api.dag_files.orders import Order, Refused, finding, invalid
from airflow_rest_api.dag_files.report import Findings, Report
from airflow_rest_api.dag_files.upload import Bounds, Received
from airflow_rest_api.dag_files.writer import Writer, changes_of, new_deployment, present
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.errors import ApiError, Unavailable, UnknownVersion
from airflow_rest_api.operations.conduct import Failed
from airflow_rest_api.periodic import Periodic
from airflow_rest_api.room import of_disk

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import Place
    from airflow_rest_api.dag_files.history import History
    from airflow_rest_api.operations.conduct import Conductor

log = logging.getLogger(__name__)

ROUND = 15.0
"""Seconds between two looks at whether a process left something unfinished in a bundle."""


@dataclass(frozen=True)
class DeploymentLimits:
    """What a deployment may have, and what its check may take."""

    bounds: Bounds
    check: CheckLimits


class DagFiles:
    """
    Deploys, rolls back and deletes files; each is the work of an operation.

    :ivar history: what was deployed
    :ivar recovery: does what `recover` does, in the background
    """

    def __init__(self, history: History, limits: DeploymentLimits, locks: Locks | None = None) -> None:
        self.history = history
        self.limits = limits
        self.recovery = Periodic("The recovery of bundles", ROUND, self.recover)
        self._writer = Writer(history, locks)

    def receive(self, folder: str = "") -> Received:
        """Return a private folder for the files of one deployment; whoever calls removes it in the end."""
        return Received(self.limits.bounds, folder)

    async def deploy(self, conductor: Conductor, order: Order) -> dict[str, Any]:
        """
        Deploy files, or only check them; return the report. What came in is removed in the end.

        :raises Refused: nothing was written; the report is the result
        :raises Failed: it was only to be checked, and something was found; the report is the result
        """
        report = Report(order.place.bundle.name, order.dry_run)
        try:
            return await self._deploy(conductor, order, report)
        except ApiError as error:
            raise Refused(_unchanged(error), report) from None
        except OSError as error:
            raise _without_room(error, report) from error
        finally:
            await asyncio.to_thread(order.received.remove)

    async def rollback(self, conductor: Conductor, order: Order, path: str, version: int) -> dict[str, Any]:
        """Bring back a version of a file; the order comes without files."""
        try:
            found = await self.history.version(order.place.bundle.name, path, version)
            if found.sha256 is None:
                raise UnknownVersion(path, version)
            # What did not come through us can be larger than anything that may.
            order.received.expect(found.size or 0)
            content = await self.history.content(found)
            await asyncio.to_thread(order.received.add, path, io.BytesIO(content))
        except ApiError as error:
            await asyncio.to_thread(order.received.remove)
            raise Refused(_unchanged(error), None) from None
        except OSError as error:
            await asyncio.to_thread(order.received.remove)
            raise _without_room(error, None) from error
        return await self.deploy(conductor, replace(order, overwrite=True, kind="rollback"))

    async def delete(
        self, conductor: Conductor, place: Place, path: str, user: str, records_of: Sequence[str] = ()
    ) -> dict[str, Any]:
        """
        Take a file away, and the records of DAGs with it.

        :param records_of: the DAGs whose records go, as by `airflow dags delete`
        """
        report = Report(place.bundle.name, dry_run=False)
        try:
            deployment = new_deployment("delete", place.bundle.name, user, conductor.id, 1)
            written = await self._writer.write(place.root, deployment, [], [path])
        except ApiError as error:
            raise Refused(_unchanged(error), report) from None
        report.deployment, report.files = written.id, written.changes
        _tell_interrupted(conductor, report, written.recorded, written.interrupted)
        conductor.progress("written", deployment=written.id)
        await self._keep_dags(place.bundle.name, {path: []})
        for dag_id in () if written.interrupted else records_of:
            done = await conductor.run(Job(["dags", "delete", "--yes", "--", dag_id], mask=True))
            conductor.say(done.stdout.decode(errors="replace"))
            conductor.say(done.stderr.decode(errors="replace"), "stderr")
            if done.outcome.ending is not Ending.EXITED or done.outcome.exit_code:
                report.warnings.append(f"The records of the DAG {dag_id!r} could not be deleted.")
        conductor.progress("ready")
        return report.shown()

    async def recover(self) -> None:
        """Complete or take back in each bundle what a process left unfinished when it was killed."""
        for root in await asyncio.to_thread(_roots):
            try:
                await self._writer.recover(root)
            except (ApiError, Unavailable) as error:
                log.warning("What was left unfinished in a bundle could not be settled: %s", error)
            except Exception:
                log.exception("What was left unfinished in a bundle could not be settled")

    async def _deploy(self, conductor: Conductor, order: Order, report: Report) -> dict[str, Any]:
        received, place = order.received, order.place
        conductor.progress("received", files=len(received.files), bytes=received.size)
        report.warnings += received.warnings
        there = await asyncio.to_thread(present, place.root, [file.path for file in received.files])
        report.files = changes_of(
            received.files, there, overwrite=order.overwrite, always_new=order.always_new
        )
        found = await self._check(conductor, order, report) if order.validate else None
        if order.dry_run:
            if report.errors or report.duplicates:
                # As any program that checks something: what it found is its result, and it ends with 1.
                raise Failed(finding(report), result=report.shown())
            return report.shown()
        deployment = new_deployment(
            order.kind, place.bundle.name, order.user, conductor.id, len(received.files)
        )
        written = await self._writer.write(
            place.root,
            deployment,
            received.files,
            overwrite=order.overwrite,
            always_new=order.always_new,
        )
        report.deployment, report.files = written.id, written.changes
        conductor.progress("written", deployment=written.id)
        _tell_interrupted(conductor, report, written.recorded, written.interrupted)
        if not written.interrupted:
            try:
                await self._go_live(conductor, order, report, found)
            except asyncio.CancelledError:
                report.warnings.append("The files are in place; the operation was ended while it waited.")
            except Exception as error:
                log.exception("What came after the deployment %s failed", written.id)
                report.warnings.append(f"The files are in place; what came then failed: {error}")
        conductor.progress("ready")
        return report.shown()

    async def _check(self, conductor: Conductor, order: Order, report: Report) -> Findings:
        found = await check(conductor, order.place, order.received, self.limits.check)
        report.dags, report.errors = list(found.dags), list(found.errors)
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
        conductor.progress(
            "checked", dags=len(report.dags), errors=len(report.errors), duplicates=len(report.duplicates)
        )
        if (report.errors or report.duplicates) and not order.force_invalid and not order.dry_run:
            raise invalid(report)
        return found

    async def _keep_dags(self, bundle: str, files: Mapping[str, Collection[str]]) -> None:
        try:
            await self.history.keep_dags(bundle, files)
        except Unavailable as error:
            log.warning("Which DAGs were deployed could not be recorded: %s", error)

    async def _go_live(
        self, conductor: Conductor, order: Order, report: Report, found: Findings | None
    ) -> None:
        bundle = order.place.bundle.name
        dag_ids = report.dag_ids()
        broken = {error.file for error in report.errors}
        if found is None:
            wanted = await asyncio.to_thread(_likely, order)
            expected = None
        else:
            # What a file that cannot be imported defines is not known: what it did before stays.
            sound = {path: dag_ids.get(path, []) for path in found.files if path not in broken}
            await self._keep_dags(bundle, sound)
            # Nobody hears of the others: Airflow passes over what does not look like a DAG file.
            failed = broken & set(await asyncio.to_thread(_likely, order))
            known = await ask(parsing.dags_by_file, bundle, list(found.files))
            wanted = [path for path in found.files if path in dag_ids or path in failed or path in known]
            expected = {(bundle, path): dag_ids.get(path, []) for path in wanted if path not in failed}
        if not wanted:
            return
        parsed = await refresh.bring_up_to_date(
            conductor,
            [(bundle, path) for path in wanted],
            wait=order.wait or order.paused is not None,
            dag_ids=expected,
        )
        versions = {dag_id: number for file in parsed.files for dag_id, number in file.dags.items()}
        if found is not None:
            report.dags = [replace(dag, version=versions.get(dag.dag_id)) for dag in report.dags]
        report.warnings += [
            f"{file.path}: {file.error.strip().splitlines()[-1]}"
            for file in parsed.files
            if file.parsed and file.error and file.error.strip() and file.path not in broken
        ]
        if order.paused is not None:
            await _set_paused(order.paused, {dag.dag_id for dag in report.dags} or set(versions), report)


async def _set_paused(paused: bool, dag_ids: set[str], report: Report) -> None:
    known = await ask(parsing.set_paused, dag_ids, paused)
    for dag_id in sorted(dag_ids - known):
        words = "paused" if paused else "resumed"
        report.warnings.append(f"The DAG {dag_id!r} was not {words}: Airflow does not know it yet.")


def _tell_interrupted(conductor: Conductor, report: Report, recorded: bool, interrupted: bool) -> None:
    if interrupted:
        report.warnings.append("The operation was to be ended when the files were being put in place.")
    if not recorded:
        report.warnings.append("The database went away: the history shows this deployment later.")


def _likely(order: Order) -> list[str]:
    """Return the files in which Airflow would look for a DAG, by the words that are in them."""
    found = []
    for file in order.received.files:
        if file.path.endswith(".zip"):
            found.append(file.path)
        elif file.path.endswith(".py"):
            text = file.content.read_bytes().lower()
            if b"airflow" in text and (b"dag" in text or b"asset" in text):
                found.append(file.path)
    return found


def _roots() -> list[Path]:
    found = [bundle.root for bundle in bundles.bundles() if bundle.writable and bundle.root is not None]
    return list(dict.fromkeys(root.resolve() for root in found))


def _without_room(error: OSError, report: Report | None) -> Exception:
    """Return what to raise where the files cannot be kept for want of room; any other error as it is."""
    found = of_disk(error)
    return error if found is None else Refused(found, report)


def _unchanged(error: ApiError) -> ApiError:
    """Return the error to record; of a database that is away, with what that means for the files."""
    if isinstance(error, Unavailable):
        return Unavailable(message="The database cannot be reached. Nothing has changed.")
    return error
