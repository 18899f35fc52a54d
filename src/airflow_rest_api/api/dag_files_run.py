"""Work on DAG files as operations, and their ends as answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.responses import Response

from airflow_rest_api.api.answer import answer_operation, wishes
from airflow_rest_api.api.dag_files_models import DagFileBody, VersionShort
from airflow_rest_api.api.idempotency import once
from airflow_rest_api.commands.model import Invocation
from airflow_rest_api.dag_files.grants import COMMANDS, described
from airflow_rest_api.errors import ApiError, Recorded
from airflow_rest_api.operations.model import State

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.api.idempotency import Start
    from airflow_rest_api.dag_files.bundles import Place
    from airflow_rest_api.dag_files.grants import Scope
    from airflow_rest_api.dag_files.listing import ListedFile
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.operations.conduct import Work
    from airflow_rest_api.operations.model import Key, Operation
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.security.decision import Attempt

READ = "read_dag_files"
"""What looking at them is called: see `grants.COMMANDS`."""

MOST_WORDS = 50
"""Of what is shown as run: an archive can have thousands of files."""


async def conduct(
    context: Context,
    caller: Caller,
    argv: Sequence[str],
    work: Work,
    *,
    bundle: str,
    paths: Collection[str],
    attempts: Iterable[Attempt] = (),
    recorded: bool = False,
    key: Key | None = None,
    received: Received | None = None,
) -> Operation:
    """
    Start work on DAG files that the caller may do; raise Forbidden where they may not.

    :param argv: what is shown as run; its first word is one of `grants.COMMANDS`
    :param attempts: what it comes to besides
    :param received: removed at the end, also where the work never began
    """
    command = argv[0]
    shown = [*argv[:MOST_WORDS], "…"] if len(argv) > MOST_WORDS else list(argv)
    invocation = Invocation(described(command), [], {}, frozenset(), masked=shown)
    permit = await context.grants.authorize(caller, invocation, bundle, paths, attempts=attempts)

    def on_end(operation: Operation) -> None:
        # Gone already, unless the work was cancelled before it began.
        if received is not None and received.path.exists():
            threading.Thread(target=received.remove, daemon=True).start()

    return await context.operations.conduct(
        permit,
        command,
        work,
        effect=COMMANDS[command],
        argv=shown,
        on_end=on_end,
        recorded=recorded,
        key=key,
    )


async def once_received(
    context: Context, key: Key | None, received: Received, start: Start
) -> tuple[Operation, dict[str, str]]:
    """
    Return the operation that a request leads to, or that it led to when it came before; and headers.

    :param attempts: what it comes to besides
    :param received: removed where nothing was started
    """
    try:
        operation, headers = await once(context, key, start)
    except BaseException:
        await asyncio.to_thread(received.remove)
        raise
    if headers:
        await asyncio.to_thread(received.remove)
    return operation, headers


async def answer(
    context: Context, request: Request, operation: Operation, headers: Mapping[str, str]
) -> Response:
    """
    Wait as long as the client wants to, and answer with the operation.

    :raises ApiError: it has ended, and what it was asked for cannot be done
    """
    wish = wishes(request, context.settings.default_wait)
    operation = await context.operations.wait(operation.id, wish.wait)
    if (found := problem_of(operation)) is not None:
        raise found
    return answer_operation(request, operation, wish, headers)


def problem_of(operation: Operation) -> ApiError | None:
    """Return why an operation was refused, None where it was not."""
    result = operation.result
    if operation.state is not State.FAILED or not isinstance(result, dict) or "problem" not in result:
        return None
    told = result["problem"]
    report = {name: value for name, value in result.items() if name != "problem"}
    return Recorded(
        told["status"],
        told["reason"],
        told["message"],
        headers={"Retry-After": "5"} if told["status"] == 503 else None,
        id=operation.id,
        **({"report": report} if report else {}),
    )


async def scope_of(context: Context, caller: Caller, command: str) -> Scope:
    """Return where somebody may do something to DAG files; raise Forbidden."""
    with context.audit.refusals(caller, command):
        return await context.grants.scope(caller, command)


async def place_of(
    context: Context, caller: Caller, command: str, scope: Scope, bundle: str | None, folder: str
) -> Place:
    """Return the place that a client names: see `Scope.place`."""
    with context.audit.refusals(caller, command):
        return await asyncio.to_thread(scope.place, command, bundle, folder)


def file_body(file: ListedFile) -> DagFileBody:
    """Return a listed file as it is answered."""
    deployed = file.deployed
    return DagFileBody(
        bundle=file.bundle,
        path=file.path,
        size=file.size,
        modified_at=file.modified_at,
        dag_ids=file.dag_ids,
        deployed=VersionShort(
            id=deployed.deployment, version=deployed.version, user=deployed.user, at=deployed.at
        )
        if deployed
        else None,
        changed_outside=file.changed_outside,
    )
