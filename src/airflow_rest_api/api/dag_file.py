"""One DAG file: content, history, bringing it back, deleting it; and what all work on DAG files shares."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.api.answers import (
    answer_file,
    answer_model,
    answer_operation,
    leaves,
    once,
    origin_of,
    preference_of,
)
from airflow_rest_api.api.context import CallerDep, Context, ContextDep, queue_of
from airflow_rest_api.api.models import (
    ACCEPTED,
    FILE,
    IDEMPOTENCY_KEY,
    LAST,
    PLACED,
    PREFER,
    QUEUE,
    DagFileBody,
    OperationBody,
    RollbackBody,
    VersionList,
    errors,
)
from airflow_rest_api.api.requests import json_body, read_model
from airflow_rest_api.api.waiting import ended
from airflow_rest_api.asgi import error_response
from airflow_rest_api.commands.model import Invocation
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.dag_files.grants import Scope
from airflow_rest_api.dag_files.upload import Received, clean
from airflow_rest_api.dag_files.works import READ
from airflow_rest_api.operations.files import media_type
from airflow_rest_api.operations.model import Operation, Origin, OutputFile
from airflow_rest_api.operations.runs import refusal
from airflow_rest_api.security.decision import Attempt
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.reading import DagFileAnswer
    from airflow_rest_api.operations.work_orders import NamedWork
    from airflow_rest_api.security.caller import Caller

MOST_WORDS = 50
"""Of what is shown as run: an archive can have thousands of files."""


async def start_work(
    context: Context,
    caller: Caller,
    command: str,
    flags: Sequence[str],
    work: NamedWork,
    *,
    bundle: str | None,
    paths: Collection[str],
    origin: Origin,
    attempts: Iterable[Attempt] = (),
    received: Received | None = None,
) -> Operation:
    """
    Start work on DAG files that the caller may do; raise Forbidden where they may not.

    :param command: one of `grants.COMMANDS`
    :param flags: shown as if they were given on its command line
    :param bundle: None where a runner is to find the default
    :param attempts: of commands that it runs besides
    :param received: belongs to the operation from then on
    """
    argv = [command, *(["--bundle", bundle] if bundle is not None else []), *flags, *paths]
    shown = [*argv[:MOST_WORDS], "…"] if len(argv) > MOST_WORDS else argv
    invocation = Invocation(own_command(command), [], {}, frozenset(), masked=shown)
    permit = await context.grants.authorize(
        caller, invocation, bundle or "", paths, attempts=attempts, queue=origin.queue
    )
    operation = await context.operations.start_work(permit, invocation, work, origin=origin)
    if received is not None:
        received.release()
    return operation


async def answer(
    context: Context, request: Request, operation: Operation, headers: Mapping[str, str]
) -> Response:
    """
    Wait as long as the client wants to, and answer with the operation.

    Where it has ended, and what it was asked for cannot be done, that is the answer.
    """
    preference = preference_of(request, context.settings.default_wait)
    operation = await ended(context, request, operation.id, preference.wait)
    if (problem := refusal(operation)) is not None:
        # Not raised: the report in it may be long, and whoever answers what is raised is on the event loop.
        return await asyncio.to_thread(error_response, problem)
    return await answer_operation(request, operation, preference, headers)


async def scope_of(context: Context, request: Request, caller: Caller, command: str) -> Scope:
    """Return where a user may run a command on DAG files; raise Forbidden."""
    queue = queue_of(request)
    with context.audit.refusals(caller, command):
        return await context.grants.scope(caller, command, queue)


@dataclass(frozen=True)
class Target:
    """
    What a client names among the DAG files, which they may read or change.

    :ivar bundle: None where a runner is to find the default
    :ivar folder: of the bundle
    """

    scope: Scope
    bundle: str | None
    folder: str


async def target_of(
    context: Context,
    request: Request,
    caller: Caller,
    command: str,
    bundle: str | None,
    folder: str,
    name: str | None = None,
) -> Target:
    """
    Return the folder that a client names, or one of its files that has to be there.

    :raises Forbidden: see `Scope.target`, of which a refusal is recorded
    :raises ApiError: see `DagFileWorks.located`
    """
    named = queue_of(request)
    with context.audit.refusals(caller, command):
        scope = await context.grants.scope(caller, command, named)
        bundle, folder = await asyncio.to_thread(scope.target, command, bundle, folder)
        queue = await context.gate.queue_for(caller, own_command(command), named)
        bundle = await context.dag_file_works.located(queue, bundle, folder, name)
    return Target(scope, bundle, folder)


async def read(
    context: Context,
    request: Request,
    caller: Caller,
    what: str,
    paths: Collection[str] = (),
    **values: Any,
) -> DagFileAnswer:
    """
    Return what is read of DAG files, on the host that has them: see `DagFileWorks.read`.

    :param paths: of files that the caller has to be allowed to read
    :raises Forbidden: they are not
    """
    invocation = Invocation(own_command(READ), [], {}, frozenset(), masked=[READ, what])
    bundle = values.get("bundle") or ""
    permit = await context.grants.authorize(caller, invocation, bundle, paths, queue=queue_of(request))
    return await context.dag_file_works.read(permit, what, **values)


# The path is in the query: in the address, a file called `history` or a folder called `deployments` would be
# taken for a resource of ours, and clients and proxies differ on slashes within a part of a path.
router = APIRouter(prefix="/v2/dag-files/file", tags=["dag files"])

FilePath = Annotated[str, Query(description="Of the file in its bundle, with slashes.")]
BundleQuery = Annotated[str | None, Query(description="By default the one that files can be put into.")]
CHANGED = {**ACCEPTED, **errors(400, 403, 404, 409, 413, 422, 429, 507)}
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/x-diff": {"schema": {"type": "string"}}}}}


@router.get(
    "/content",
    response_class=Response,
    operation_id="get_dag_file_content",
    responses={**FILE, **errors(400, 403, 404, 409, 413)},
    openapi_extra=PLACED,
)
@needs(Needs.COMMAND)
async def get_content(
    path: FilePath,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    version: Annotated[int | None, Query(ge=1, le=LAST, description="By default what is there now.")] = None,
) -> Response:
    """Return the content of a file."""
    found = await _read_file(context, request, caller, "content", bundle, path, version=version)
    content, name = found.content or b"", path.rpartition("/")[2]
    return answer_file(OutputFile("", name, len(content), media_type(name)), content)


@router.get(
    "/history",
    response_model=VersionList,
    operation_id="get_dag_file_history",
    responses=errors(400, 403, 404, 409),
    openapi_extra=PLACED,
)
@needs(Needs.COMMAND)
async def get_history(
    path: FilePath, request: Request, context: ContextDep, caller: CallerDep, bundle: BundleQuery = None
) -> Response:
    """Return the versions of a file that are kept."""
    found = await _read_file(context, request, caller, "versions", bundle, path)
    return answer_model(VersionList.model_validate({**found.value, "path": clean(path, "path")}))


@router.get(
    "/diff",
    response_class=Response,
    operation_id="get_dag_file_diff",
    responses={**TEXT, **errors(400, 403, 404, 409, 413)},
    openapi_extra=PLACED,
)
@needs(Needs.COMMAND)
async def get_diff(
    path: FilePath,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    from_version: Annotated[int, Query(ge=1, le=LAST, description="A version.")] = 1,
    to_version: Annotated[
        int | None, Query(ge=1, le=LAST, description="A version; by default what is there now.")
    ] = None,
) -> Response:
    """Return the difference between two versions of a file, or between one and what is there now."""
    versions = {"from_version": from_version, "to_version": to_version}
    found = await _read_file(context, request, caller, "difference", bundle, path, **versions)
    return PlainTextResponse(found.content or b"", media_type="text/x-diff")


@router.post(
    "/rollback",
    response_model=OperationBody,
    operation_id="rollback_dag_file",
    responses={**CHANGED, **errors(408, 415)},
    openapi_extra={"requestBody": json_body(RollbackBody), "parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE]},
)
@needs(Needs.COMMAND)
async def rollback(
    path: FilePath,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    wait: Annotated[bool, Query(description="End only when Airflow has parsed the file.")] = False,
) -> Response:
    """Bring back a version of a file: a deployment like any other, with its check."""
    command = "rollback_dag_file"
    target, path = await _file(context, request, caller, command, bundle, path)
    version = (await read_model(request, context.settings.max_upload, RollbackBody, strict=True)).version
    origin = await origin_of(context, request, caller, [target.bundle, path, version, wait])
    async with context.dag_files.receive() as received:
        work = context.dag_file_works.rollback(
            target.bundle, path, version, received, user=caller.name, wait=wait, scope=target.scope
        )
        operation, headers = await once(
            context,
            origin,
            lambda: start_work(
                context,
                caller,
                command,
                ["--version", str(version)],
                work,
                bundle=target.bundle,
                paths=[path],
                origin=origin,
                received=received,
            ),
        )
    return await answer(context, request, operation, headers)


@router.get(
    "",
    response_model=DagFileBody,
    operation_id="get_dag_file",
    responses=errors(400, 403, 404, 409),
    openapi_extra=PLACED,
)
@needs(Needs.COMMAND)
async def get_file(
    path: FilePath, request: Request, context: ContextDep, caller: CallerDep, bundle: BundleQuery = None
) -> Response:
    """Return what is known of a file."""
    found = await _read_file(context, request, caller, "file", bundle, path)
    return answer_model(DagFileBody.model_validate(found.value))


@router.delete(
    "",
    response_model=OperationBody,
    operation_id="delete_dag_file",
    responses=CHANGED,
    openapi_extra={"parameters": [PREFER, QUEUE]},
)
@needs(Needs.COMMAND)
async def delete(
    path: FilePath,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    records: Annotated[
        bool, Query(description="Delete the records of its DAGs as well, as `airflow dags delete` does.")
    ] = False,
) -> Response:
    """
    Delete a file; its content can be brought back from the history.

    Its DAGs go stale when the DAG processor notices. `records` needs, for each of them, what `dags delete`
    needs, and cannot be taken back.
    """
    command = "delete_dag_file"
    target, path = await _file(context, request, caller, command, bundle, path, there=True)
    bundle = target.bundle
    attempts: list[Attempt] = []
    dag_ids: list[str] = []
    if records:
        if bundle is None:
            queue = context.gate.where(own_command(command), queue_of(request))
            bundle, _ = await context.dag_file_works.place(queue, None, path)
        # All that came from it at some time, also what Airflow has called stale since.
        found = await ask(dag_processor.look, [(bundle, path)])
        dag_ids = sorted(found[bundle, path].dags)
        deletes = (await context.catalog.get()).get("dags delete")
        attempts = [Attempt(deletes, {"dag_id": dag_id}, frozenset({"dag_id"})) for dag_id in dag_ids]
    operation = await start_work(
        context,
        caller,
        command,
        ["--records"] if records else [],
        context.dag_file_works.deletion(bundle, path, dag_ids, user=caller.name),
        bundle=bundle,
        paths=[path],
        origin=Origin(leaves(context, request), queue=queue_of(request)),
        attempts=attempts,
    )
    return await answer(context, request, operation, {})


async def _file(
    context: Context,
    request: Request,
    caller: Caller,
    command: str,
    bundle: str | None,
    path: str,
    *,
    there: bool = False,
) -> tuple[Target, str]:
    """Return the place of a file and its path, for who may do something to it; raise Forbidden."""
    await scope_of(context, request, caller, command)
    path = clean(path, "path")
    folder, _, name = path.rpartition("/")
    target = await target_of(context, request, caller, command, bundle, folder)
    with context.audit.refusals(caller, command):
        await context.grants.check(caller, command, target.bundle or "", [path], queue_of(request))
    if there:
        await target_of(context, request, caller, command, target.bundle, folder, name)
    return target, path


async def _read_file(
    context: Context,
    request: Request,
    caller: Caller,
    what: str,
    bundle: str | None,
    path: str,
    **values: Any,
) -> DagFileAnswer:
    """Return what is read of one file; raise Forbidden."""
    target, path = await _file(context, request, caller, READ, bundle, path)
    return await read(context, request, caller, what, [path], bundle=target.bundle, path=path, **values)
