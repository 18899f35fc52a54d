"""One DAG file: content, history, bringing it back, deleting it; and what all work on DAG files shares."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.api.models import (
    ACCEPTED,
    FILE,
    IDEMPOTENCY_KEY,
    LAST,
    PREFER,
    DagFileBody,
    OperationBody,
    RollbackBody,
    VersionBody,
    VersionList,
    errors,
)
from airflow_rest_api.api.requests import json_body, read_model
from airflow_rest_api.commands.model import Invocation
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.dag_files.deployment import DeploymentOrder, refusal
from airflow_rest_api.dag_files.grants import COMMANDS, Scope
from airflow_rest_api.dag_files.history import diff
from airflow_rest_api.dag_files.listing import describe
from airflow_rest_api.dag_files.upload import Received, clean
from airflow_rest_api.errors import TooLarge, UnknownDagFile
from airflow_rest_api.operations.files import media_type
from airflow_rest_api.operations.model import Operation, Origin, OutputFile
from airflow_rest_api.security.decision import Attempt
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import BundleFolder
    from airflow_rest_api.operations.runs import Work
    from airflow_rest_api.security.caller import Caller

READ = "read_dag_files"
"""The command of reading them: see `grants.COMMANDS`."""

MOST_WORDS = 50
"""Of what is shown as run: an archive can have thousands of files."""


async def start_work(
    context: Context,
    caller: Caller,
    command: str,
    flags: Sequence[str],
    work: Work,
    *,
    bundle: str,
    paths: Collection[str],
    origin: Origin,
    attempts: Iterable[Attempt] = (),
    received: Received | None = None,
) -> Operation:
    """
    Start work on DAG files that the caller may do; raise Forbidden where they may not.

    :param command: one of `grants.COMMANDS`
    :param flags: shown as if they were given on its command line
    :param attempts: of commands that it runs besides
    :param received: belongs to the operation from then on
    """
    argv = [command, "--bundle", bundle, *flags, *paths]
    shown = [*argv[:MOST_WORDS], "…"] if len(argv) > MOST_WORDS else argv
    invocation = Invocation(own_command(command), [], {}, frozenset(), masked=shown)
    permit = await context.grants.authorize(caller, invocation, bundle, paths, attempts=attempts)
    operation = await context.operations.start_work(
        permit, command, work, effect=COMMANDS[command], argv=shown, origin=origin, workspace=received
    )
    if received is not None:
        received.release()
    return operation


async def answer(
    context: Context, request: Request, operation: Operation, headers: Mapping[str, str]
) -> Response:
    """
    Wait as long as the client wants to, and answer with the operation.

    :raises ApiError: it has ended, and what it was asked for cannot be done
    """
    preference = preference_of(request, context.settings.default_wait)
    operation = await context.operations.wait(operation.id, preference.wait)
    if (problem := refusal(operation)) is not None:
        raise problem
    return answer_operation(request, operation, preference, headers)


async def scope_of(context: Context, caller: Caller, command: str) -> Scope:
    """Return where a user may run a command on DAG files; raise Forbidden."""
    with context.audit.refusals(caller, command):
        return await context.grants.scope(caller, command)


async def place_of(
    context: Context, caller: Caller, command: str, scope: Scope, bundle: str | None, folder: str
) -> BundleFolder:
    """Return the place that a client names: see `Scope.place`."""
    with context.audit.refusals(caller, command):
        return await asyncio.to_thread(scope.place, command, bundle, folder)


# The path is in the query: in the address, a file called `history` or a folder called `deployments` would be
# taken for a resource of ours, and clients and proxies differ on slashes within a part of a path.
router = APIRouter(prefix="/v2/dag-files/file", tags=["dag files"])

FilePath = Annotated[str, Query(description="Of the file in its bundle, with slashes.")]
BundleQuery = Annotated[str | None, Query(description="By default the one that files can be put into.")]
CHANGED = {**ACCEPTED, **errors(400, 403, 404, 409, 413, 422, 507)}
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/x-diff": {"schema": {"type": "string"}}}}}


@router.get(
    "/content",
    response_class=Response,
    operation_id="get_dag_file_content",
    responses={**FILE, **errors(400, 403, 404, 409, 413)},
)
@needs(Needs.COMMAND)
async def get_content(
    path: FilePath,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    version: Annotated[int | None, Query(ge=1, le=LAST, description="By default what is there now.")] = None,
) -> Response:
    """Return the content of a file."""
    _, place, path = await _file(context, caller, READ, bundle, path)
    content = await _content(context, place, path, version)
    if content is None:
        raise UnknownDagFile(path, place.bundle.name)
    name = path.rpartition("/")[2]
    return answer_file(OutputFile("", name, len(content), media_type(name)), content)


@router.get(
    "/history",
    response_model=VersionList,
    operation_id="get_dag_file_history",
    responses=errors(400, 403, 404, 409),
)
@needs(Needs.COMMAND)
async def get_history(
    path: FilePath, context: ContextDep, caller: CallerDep, bundle: BundleQuery = None
) -> Response:
    """Return the versions of a file that are kept."""
    _, place, path = await _file(context, caller, READ, bundle, path)
    found = await context.dag_files.history.versions(place.bundle.name, path)
    if not found and not await asyncio.to_thread(_exists, place, path):
        raise UnknownDagFile(path, place.bundle.name)
    versions = [VersionBody.model_validate(version) for version in found]
    return answer_model(VersionList(bundle=place.bundle.name, path=path, versions=versions))


@router.get(
    "/diff",
    response_class=Response,
    operation_id="get_dag_file_diff",
    responses={**TEXT, **errors(400, 403, 404, 409, 413)},
)
@needs(Needs.COMMAND)
async def get_diff(
    path: FilePath,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    from_version: Annotated[int, Query(ge=1, le=LAST, description="A version.")] = 1,
    to_version: Annotated[
        int | None, Query(ge=1, le=LAST, description="A version; by default what is there now.")
    ] = None,
) -> Response:
    """Return the difference between two versions of a file, or between one and what is there now."""
    _, place, path = await _file(context, caller, READ, bundle, path)
    before = await _content(context, place, path, from_version)
    after = await _content(context, place, path, to_version)
    newer = "now" if to_version is None else f"version {to_version}"
    names = f"{path} (version {from_version})", f"{path} ({newer})"
    return PlainTextResponse(await asyncio.to_thread(diff, before, after, *names), media_type="text/x-diff")


@router.post(
    "/rollback",
    response_model=OperationBody,
    operation_id="rollback_dag_file",
    responses=CHANGED,
    openapi_extra={"requestBody": json_body(RollbackBody), "parameters": [PREFER, IDEMPOTENCY_KEY]},
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
    scope, place, path = await _file(context, caller, "rollback_dag_file", bundle, path)
    version = (await read_model(request, context.settings.max_upload, RollbackBody, strict=True)).version
    service = context.dag_files
    origin = await origin_of(context, request, caller, [place.bundle.name, version, wait])
    async with service.receive() as received:
        order = DeploymentOrder(place, received, caller.name, wait=wait, covers=scope.covers)
        operation, headers = await once(
            context,
            origin,
            lambda: start_work(
                context,
                caller,
                "rollback_dag_file",
                ["--version", str(version)],
                lambda work: service.rollback(work, order, path, version),
                bundle=place.bundle.name,
                paths=[path],
                origin=origin,
                received=received,
            ),
        )
    return await answer(context, request, operation, headers)


@router.get("", response_model=DagFileBody, operation_id="get_dag_file", responses=errors(400, 403, 404, 409))
@needs(Needs.COMMAND)
async def get_file(
    path: FilePath, context: ContextDep, caller: CallerDep, bundle: BundleQuery = None
) -> Response:
    """Return what is known of a file."""
    _, place, path = await _file(context, caller, READ, bundle, path)
    [found] = await describe(context.dag_files.history, place, [path])
    if found.size is None and found.deployed is None:
        raise UnknownDagFile(path, place.bundle.name)
    return answer_model(DagFileBody.model_validate(found))


@router.delete(
    "",
    response_model=OperationBody,
    operation_id="delete_dag_file",
    responses=CHANGED,
    openapi_extra={"parameters": [PREFER]},
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
    _, place, path = await _file(context, caller, "delete_dag_file", bundle, path)
    if not await asyncio.to_thread(_exists, place, path):
        raise UnknownDagFile(path, place.bundle.name)
    attempts: list[Attempt] = []
    dag_ids: list[str] = []
    if records:
        found = await ask(dag_processor.dags_by_file, place.bundle.name, [path])
        dag_ids = found.get(path, [])
        command = (await context.catalog.get()).get("dags delete")
        attempts = [Attempt(command, {"dag_id": dag_id}, frozenset({"dag_id"})) for dag_id in dag_ids]
    service = context.dag_files
    operation = await start_work(
        context,
        caller,
        "delete_dag_file",
        ["--records"] if records else [],
        lambda work: service.delete(work, place, path, caller.name, dag_ids),
        bundle=place.bundle.name,
        paths=[path],
        origin=Origin(leaves(context, request)),
        attempts=attempts,
    )
    return await answer(context, request, operation, {})


async def _file(
    context: Context, caller: Caller, command: str, bundle: str | None, path: str
) -> tuple[Scope, BundleFolder, str]:
    """Return the place of a file and its path, for who may do something to it; raise Forbidden."""
    scope = await scope_of(context, caller, command)
    path = clean(path, "path")
    place = await place_of(context, caller, command, scope, bundle, path.rpartition("/")[0])
    with context.audit.refusals(caller, command):
        await context.grants.check(caller, command, place.bundle.name, [path])
    return scope, place, path


async def _content(context: Context, place: BundleFolder, path: str, version: int | None) -> bytes | None:
    """Return the content of a version, or of what is there; None where there is none."""
    if version is None:
        return await asyncio.to_thread(_read, place, path, context.settings.dag_files_size)
    found = await context.dag_files.history.version(place.bundle.name, path, version)
    if found.sha256 is None:
        return None
    _bounded(found.size or 0, context.settings.dag_files_size)
    return await context.dag_files.history.content(found)


def _bounded(size: int, limit: int) -> None:
    """Refuse what did not come through us and is larger than anything that could: it goes through memory."""
    if size > limit:
        raise TooLarge(f"The file has more than {limit} bytes ([rest_api_plugin] dag_files_size).")


def _read(place: BundleFolder, path: str, limit: int) -> bytes | None:
    try:
        # Not what a link leads to; and a pipe must not hold us up.
        descriptor = os.open(place.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        _bounded(status.st_size, limit)
        return file.read(limit)


def _exists(place: BundleFolder, path: str) -> bool:
    return os.path.lexists(place.root / path)
