"""`deploy_dag`: the deployment of today, in the words of the 1.x plugin."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_rest_api.dag_files.archive import is_archive, unpack
from airflow_rest_api.dag_files.orders import Order
from airflow_rest_api.errors import ApiError, DuplicateDags, FilesExist, ImportErrors, Refusal
from airflow_rest_api.operations.model import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.dag_files.deployment import DagFiles
    from airflow_rest_api.dag_files.grants import Grants, Scope
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.legacy.body import File
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.caller import Caller

COMMAND = "deploy_dag"
NOT_SET = "Failed to set the state (pause, unpause) of the DAG: "
INVALID = frozenset({ImportErrors.reason, DuplicateDags.reason})
"""The reasons for which files themselves are refused: 400, as any wrong value that a client of 1.x sends."""

ROUND = 3600.0
"""Seconds of one wait, after which comes another: what ends a deployment is its own timeout."""


@dataclass(frozen=True)
class Deployment:
    """
    What a request wants.

    :ivar force_invalid: also what cannot be imported
    :ivar folder: of the bundle
    :ivar paused: what becomes of the DAGs; None: nothing
    """

    name: str
    force: bool = False
    force_invalid: bool = False
    paused: bool | None = None
    bundle: str | None = None
    folder: str = ""
    wait: bool = False


@dataclass(frozen=True)
class Deployed:
    """
    What came of it, for the answer.

    :ivar dag_ids: the DAGs that the files define
    """

    output: str
    dag_ids: list[str]
    warnings: list[str]


class Deployments:
    """Deploys for the 1.x endpoint."""

    def __init__(self, operations: Operations, dag_files: DagFiles, grants: Grants) -> None:
        self._operations = operations
        self._dag_files = dag_files
        self._grants = grants

    async def enter(self, caller: Caller) -> Scope:
        """Return where somebody may deploy; raise Forbidden."""
        return await self._grants.scope(caller, COMMAND)

    async def run(
        self,
        caller: Caller,
        scope: Scope,
        wanted: Deployment,
        file: File,
        invocation: Invocation,
        on_end: Callable[[Operation], None] | None,
        on_start: Callable[[Operation], None],
    ) -> Deployed:
        """
        Deploy a file or an archive, wait for the end, and return what to answer.

        :param invocation: as which it is recorded
        :param on_start: is given the operation once there is one
        :raises Refusal: nothing was written
        :raises Forbidden: not there, or not without a check
        """
        if wanted.force_invalid:
            scope.enter_unchecked()
        try:
            place = await asyncio.to_thread(scope.place, COMMAND, wanted.bundle, wanted.folder)
            received = self._dag_files.receive(place.folder)
            try:
                await asyncio.to_thread(_take, wanted.name, file, received)
                paths = [one.path for one in received.files]
                await self._grants.enter(caller, COMMAND, place.bundle.name, paths)
                order = Order(
                    place,
                    received,
                    caller.name,
                    overwrite=wanted.force,
                    always_new=True,
                    force_invalid=wanted.force_invalid,
                    paused=wanted.paused,
                    wait=wanted.wait,
                    covers=scope.covers,
                )
                operation = await self._operations.conduct(
                    COMMAND,
                    lambda conductor: self._dag_files.deploy(conductor, order),
                    effect=invocation.effect,
                    argv=list(invocation.masked),
                    user=caller.name,
                    asks=scope.asks(place.bundle.name, paths),
                    on_end=on_end,
                    endpoint=COMMAND,
                )
                on_start(operation)
                while not operation.state.ended:
                    operation = await self._operations.wait(operation.id, ROUND)
            finally:
                with suppress(OSError):
                    await asyncio.to_thread(received.remove)
        except ApiError as problem:
            raise Refusal(str(problem), problem.status) from None
        return _told(wanted, operation)


def _take(name: str, file: File, received: Received) -> None:
    file.content.seek(0)
    if is_archive(name):
        unpack(name, file.content, received)
    else:
        received.add(name, file.content, "dag_file")


def _told(wanted: Deployment, operation: Operation) -> Deployed:
    result: dict[str, Any] = operation.result if isinstance(operation.result, dict) else {}
    if operation.state is not State.SUCCEEDED:
        problem = result.get("problem", {})
        if problem.get("reason") == FilesExist.reason:
            raise Refusal(f"The file '{wanted.name}' already exists on host '{socket.gethostname()}'.")
        status = 400 if problem.get("reason") in INVALID else problem.get("status", 500)
        raise Refusal(problem.get("message") or operation.message or "Failed", status)
    warnings = list(dict.fromkeys(operation.warnings))
    prefix = NOT_SET if wanted.paused is not None else ""
    for error in result["errors"]:
        line = f", line {error['line']}" if error["line"] else ""
        warnings.append(f"{prefix}{error['file']}{line}: {error['message']}")
    for one in result["duplicates"]:
        warnings.append(f"The DAG {one['dag_id']!r} of {one['file']} comes from {one['owner']} as well")
    if wanted.paused is not None and not result["dags"] and not result["errors"]:
        warnings.append(f"{NOT_SET}the file defines none")
    dag_ids = sorted({dag["dag_id"] for dag in result["dags"]})
    return Deployed(f"DAG File [{wanted.name}] has been uploaded", dag_ids, [*warnings, *result["warnings"]])
