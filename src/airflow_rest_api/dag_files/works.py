"""What is done with DAG files, each by a name and with values: on this host, or on that of a runner."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.model import Invocation
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.dag_files import bundles, refresh
from airflow_rest_api.dag_files.deployment import DagFiles, DeploymentOptions, DeploymentOrder, refusing
from airflow_rest_api.dag_files.grants import Scope
from airflow_rest_api.dag_files.reading import DagFileAnswer, DagFileReader, place_of
from airflow_rest_api.dag_files.upload import Received
from airflow_rest_api.errors import UnknownDagFile
from airflow_rest_api.operations.files import removed
from airflow_rest_api.operations.runs import Failed
from airflow_rest_api.operations.work_orders import NamedWork, NotTaken
from airflow_rest_api.placement import LOCAL

if TYPE_CHECKING:
    from airflow_rest_api.airflow.dag_processor import File
    from airflow_rest_api.operations.files import Upload
    from airflow_rest_api.operations.runs import WorkContext
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.access import Permit

READ = "read_dag_files"
"""The command of reading them: see `grants.COMMANDS`."""

CONTENT = "content"
"""The name of the file with the content that was asked for."""

Step = Callable[["WorkContext", Mapping[str, Any], "Received | None"], Awaitable[Any]]


class DagFileWorks:
    """
    The works on DAG files: made for a request, and made again, by their names, on the runner that does them.

    :param operations: by which what is read elsewhere is asked for
    :param limit: bytes of a file that did not come through us
    """

    def __init__(self, files: DagFiles, operations: Operations, limit: int) -> None:
        self._files = files
        self._operations = operations
        self._reader = DagFileReader(files.history, limit)
        self._steps: Mapping[str, Step] = {
            "deploy": self._deploy,
            "rollback": self._rollback,
            "delete": self._delete,
            "refresh": self._refresh,
        }
        self._reads: Mapping[str, Callable[..., Awaitable[DagFileAnswer]]] = {
            name: getattr(self._reader, name)
            for name in ("bundles", "files", "file", "exists", "content", "versions", "difference")
        }

    def deployment(
        self,
        bundle: str | None,
        folder: str,
        received: Received,
        options: DeploymentOptions,
        *,
        user: str,
        scope: Scope,
    ) -> NamedWork:
        """Return the deployment of the files that came in: see `DagFiles.deploy`."""
        values = {
            "bundle": bundle,
            "folder": folder,
            "user": user,
            "scope": scope.values,
            "options": asdict(options),
            "warnings": received.warnings,
        }
        return self._named("deploy", values, received)

    def rollback(
        self,
        bundle: str | None,
        path: str,
        version: int,
        received: Received,
        *,
        user: str,
        wait: bool,
        scope: Scope,
    ) -> NamedWork:
        """Return what brings back a version of a file: see `DagFiles.rollback`."""
        values = {
            "bundle": bundle,
            "path": path,
            "version": version,
            "user": user,
            "wait": wait,
            "scope": scope.values,
        }
        return self._named("rollback", values, received)

    def deletion(self, bundle: str | None, path: str, dag_ids: Sequence[str], *, user: str) -> NamedWork:
        """Return what deletes a file, and the records of some DAGs: see `DagFiles.delete`."""
        values = {"bundle": bundle, "path": path, "dag_ids": list(dag_ids), "user": user}
        return self._named("delete", values)

    def refresh(self, files: Sequence[File], *, wait: bool, locally: bool) -> NamedWork:
        """Return what has files parsed: see `refresh.bring_up_to_date`."""
        values = {"files": [list(file) for file in files], "wait": wait, "locally": locally}
        return self._named("refresh", values)

    async def located(
        self, queue: str, bundle: str | None, folder: str, name: str | None = None
    ) -> str | None:
        """
        Return the name of the bundle that a client means, checked with the folder, where that is done here.

        Elsewhere it is what the client named, None for the default, and checked when the work begins.

        :param queue: of the work
        :param name: of a file of the folder that has to be there
        :raises ApiError: see `bundles.resolve`; UnknownDagFile
        """
        if queue != LOCAL:
            return bundle
        place = await asyncio.to_thread(bundles.resolve, bundle, folder)
        if name is not None and not await asyncio.to_thread(os.path.lexists, place.root / folder / name):
            raise UnknownDagFile(f"{folder}/{name}" if folder else name, place.bundle.name)
        return place.bundle.name

    async def read(self, permit: Permit, what: str, **values: Any) -> DagFileAnswer:
        """
        Return what is read of DAG files, by the name of a method of `DagFileReader`.

        :raises ApiError: what that raises; NoRunner where no runner has answered
        """
        return await self._answered(permit.queue, what, values)

    async def place(self, queue: str, bundle: str | None, path: str) -> tuple[str, bool]:
        """
        Return the bundle of a file that is named, and whether it is there: so that it can be decided upon.

        :param queue: of the work that it is looked up for
        :raises ApiError: see `read`
        """
        found = (await self._answered(queue, "exists", {"bundle": bundle, "path": path})).value
        return str(found["bundle"]), bool(found["exists"])

    async def _answered(self, queue: str, what: str, values: Mapping[str, Any]) -> DagFileAnswer:
        if queue == LOCAL:
            return await self._reads[what](**values)
        work = self._named(f"read {what}", values)
        shown = Invocation(own_command(READ), [], {}, frozenset(), masked=[READ, what])
        return DagFileAnswer(*await self._operations.ask(queue, shown, work))

    def ordered(self, order: Mapping[str, Any], uploads: Mapping[str, Upload]) -> NamedWork:
        """
        Return the work of an order that was made elsewhere.

        :raises NotTaken: there is no such work
        """
        name, values = order["name"], order["values"]
        if name.removeprefix("read ") not in {**self._steps, **self._reads}:
            raise NotTaken(f"This runner knows no work {name!r}.")
        if name not in ("deploy", "rollback"):
            return self._named(name, values)

        async def here(work: WorkContext) -> Any:
            with refusing(None):
                received = await asyncio.to_thread(self._received, uploads)
            try:
                received.warnings += values.get("warnings", [])
                return await self._steps[name](work, values, received)
            finally:
                await asyncio.shield(removed(received))

        return NamedWork(name, values, here)

    def _received(self, uploads: Mapping[str, Upload]) -> Received:
        received = self._files.received()
        try:
            for upload in uploads.values():
                received.add(upload.filename, upload.content)
        except BaseException:
            received.remove()
            raise
        return received

    def _named(self, name: str, values: Mapping[str, Any], received: Received | None = None) -> NamedWork:
        async def here(work: WorkContext) -> Any:
            if name.startswith("read "):
                return await self._read(work, name.removeprefix("read "), values)
            return await self._steps[name](work, values, received)

        uploads = dict if received is None else received.uploads
        return NamedWork(name, values, here, received, uploads)

    async def _read(self, work: WorkContext, what: str, values: Mapping[str, Any]) -> Any:
        with refusing(None):
            found = await self._reads[what](**values)
        if found.content is not None:
            work.keep(CONTENT, found.content)
        return found.value

    async def _deploy(self, work: WorkContext, values: Mapping[str, Any], received: Received | None) -> Any:
        assert received is not None
        with refusing(None):
            place = await asyncio.to_thread(bundles.resolve, values["bundle"], values["folder"])
        order = DeploymentOrder(
            place, received, values["user"], Scope.of(values["scope"]).covers, **values["options"]
        )
        return await self._files.deploy(work, order)

    async def _rollback(self, work: WorkContext, values: Mapping[str, Any], received: Received | None) -> Any:
        assert received is not None
        with refusing(None):
            place = await place_of(values["bundle"], values["path"])
        covers = Scope.of(values["scope"]).covers
        order = DeploymentOrder(place, received, values["user"], covers, wait=values["wait"])
        return await self._files.rollback(work, order, values["path"], values["version"])

    async def _delete(self, work: WorkContext, values: Mapping[str, Any], received: Received | None) -> Any:
        path = values["path"]
        with refusing(None):
            place = await place_of(values["bundle"], path)
            if not await asyncio.to_thread(os.path.lexists, place.root / path):
                raise UnknownDagFile(path, place.bundle.name)
        return await self._files.delete(work, place, path, values["user"], values["dag_ids"])

    async def _refresh(self, work: WorkContext, values: Mapping[str, Any], received: Received | None) -> Any:
        files = [(bundle, path) for bundle, path in values["files"]]
        wait, locally = values["wait"], values["locally"]
        with refusing(None):
            parsed = await refresh.bring_up_to_date(work, files, wait=wait, locally=locally)
        if (wait or locally) and parsed.failure is not None:
            raise Failed(parsed.failure, result=parsed.result())
        return parsed.result()
