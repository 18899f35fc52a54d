"""`deploy_dag`: the deployment of today, in the words of the 1.x plugin."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_rest_api.dag_files.archive import is_archive, unpack
from airflow_rest_api.dag_files.orders import Order
from airflow_rest_api.errors import DuplicateDags, FilesExist, ImportErrors, Refusal
from airflow_rest_api.operations.model import State

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.legacy.actions import Deploy
    from airflow_rest_api.legacy.answer import Envelope
    from airflow_rest_api.legacy.model import SentFile
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller

COMMAND = "deploy_dag"
NOT_SET = "Failed to set the state (pause, unpause) of the DAG: "
INVALID = frozenset({ImportErrors.reason, DuplicateDags.reason})
"""The reasons for which files themselves are refused: 400, as any wrong value that a client of 1.x sends."""

ROUND = 3600.0
"""Seconds of one wait, after which comes another: what ends a deployment is its own timeout."""


async def deploy(context: Context, caller: Caller, work: Deploy, file: SentFile, envelope: Envelope) -> None:
    """
    Deploy a file or an archive, wait for the end, and answer.

    :raises ApiError: nothing was written
    """
    on_end = context.audit.ended(caller, work.recorded)
    with context.audit.refusals(caller, COMMAND, work.recorded):
        scope = await context.grants.scope(caller, COMMAND)
        if work.force_invalid:
            scope.enter_unchecked()
        place = await asyncio.to_thread(scope.place, COMMAND, work.bundle, work.folder)
        received = context.dag_files.receive(place.folder)
        try:
            await asyncio.to_thread(_take, work.file, file, received)
            paths = [one.path for one in received.files]
            await context.grants.enter(caller, COMMAND, place.bundle.name, paths)
            order = Order(
                place,
                received,
                caller.name,
                overwrite=work.force,
                always_new=True,
                force_invalid=work.force_invalid,
                paused=work.paused,
                wait=work.wait,
                covers=scope.covers,
            )
            operation = await context.operations.conduct(
                COMMAND,
                lambda conductor: context.dag_files.deploy(conductor, order),
                effect=work.recorded.effect,
                argv=list(work.recorded.masked),
                user=caller.name,
                asks=scope.asks(place.bundle.name, paths),
                on_end=on_end,
                endpoint=COMMAND,
            )
            envelope.ran(operation)
            while not operation.state.ended:
                operation = await context.operations.wait(operation.id, ROUND)
        finally:
            with suppress(OSError):
                await asyncio.to_thread(received.remove)
    _answer(envelope, work, operation)


def _take(name: str, file: SentFile, received: Received) -> None:
    file.content.seek(0)
    if is_archive(name):
        unpack(name, file.content, received)
    else:
        received.add(name, file.content, "dag_file")


def _answer(envelope: Envelope, work: Deploy, operation: Operation) -> None:
    result: dict[str, Any] = operation.result if isinstance(operation.result, dict) else {}
    if operation.state is not State.SUCCEEDED:
        problem = result.get("problem", {})
        if problem.get("reason") == FilesExist.reason:
            raise Refusal(f"The file '{work.file}' already exists on host '{socket.gethostname()}'.")
        status = 400 if problem.get("reason") in INVALID else problem.get("status", 500)
        raise Refusal(problem.get("message") or operation.message or "Failed", status)
    envelope.output = f"DAG File [{work.file}] has been uploaded"
    envelope.dag_ids = sorted({dag["dag_id"] for dag in result["dags"]})
    envelope.warnings += dict.fromkeys(operation.warnings)
    prefix = NOT_SET if work.paused is not None else ""
    for error in result["errors"]:
        line = f", line {error['line']}" if error["line"] else ""
        envelope.warnings.append(f"{prefix}{error['file']}{line}: {error['message']}")
    for one in result["duplicates"]:
        both = f"{one['file']} comes from {one['owner']} as well"
        envelope.warnings.append(f"The DAG {one['dag_id']!r} of {both}")
    if work.paused is not None and not result["dags"] and not result["errors"]:
        envelope.warnings.append(f"{NOT_SET}the file defines none")
    envelope.warnings += result["warnings"]
