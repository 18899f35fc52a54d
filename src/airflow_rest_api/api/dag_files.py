"""DAG files: deploy them, check them, look at them, bring back and delete them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from airflow_rest_api.api.answers import answer_model, once, origin_of
from airflow_rest_api.api.context import CallerDep, Context, ContextDep, by_name
from airflow_rest_api.api.dag_file import (
    BundleQuery,
    Target,
    answer,
    read,
    scope_of,
    start_work,
    target_of,
)
from airflow_rest_api.api.models import (
    ACCEPTED,
    IDEMPOTENCY_KEY,
    PLACED,
    PREFER,
    QUEUE,
    BundleBody,
    BundleList,
    DagFileList,
    DeployedFile,
    DeploymentBody,
    DeploymentDetail,
    DeploymentList,
    OperationBody,
    errors,
)
from airflow_rest_api.api.operations import NOT_A_CURSOR
from airflow_rest_api.api.requests import SWITCH, read_form
from airflow_rest_api.dag_files.archive import ENDINGS, unpack
from airflow_rest_api.dag_files.deployment import DeploymentOptions
from airflow_rest_api.dag_files.grants import Scope
from airflow_rest_api.dag_files.upload import Received
from airflow_rest_api.dag_files.works import READ
from airflow_rest_api.errors import ApiError, BadArgument, BadRequest, UnknownDeployment
from airflow_rest_api.operations.files import Upload
from airflow_rest_api.operations.model import Operation, Origin, is_id
from airflow_rest_api.security.caller import Caller
from airflow_rest_api.security.routes import Needs, needs

FLAGS: Mapping[str, tuple[bool, str]] = {
    "overwrite": (False, "Replace files that are there and differ."),
    "validate": (True, "Check the files before they are written."),
    "dry_run": (False, "Only check them."),
    "force_invalid": (False, "Write them even if they cannot be imported, or define DAGs of other files."),
    "pause": (False, "Pause every DAG in the files."),
    "unpause": (False, "Resume every DAG in the files."),
    "wait": (False, "End only when Airflow has parsed the files."),
}
"""The check boxes, with what they are when they are not given."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "The files, as parts of this name; a name may have folders in it.",
        },
        "archive": {
            "type": "string",
            "format": "binary",
            "description": f"A project folder, packed ({', '.join(ENDINGS)}).",
        },
        "bundle": {"type": "string", "description": "By default the one that files can be put into."},
        "folder": {"type": "string", "description": "A folder of the bundle; it need not exist yet."},
        **{
            name: {"type": "boolean", "x-default": default, "description": words}
            for name, (default, words) in FLAGS.items()
        },
    },
    "additionalProperties": False,
}
REQUEST_BODY = {"required": True, "content": {"multipart/form-data": {"schema": SCHEMA}}}


@dataclass
class DeployForm:
    """What was sent."""

    bundle: str | None = None
    folder: str = ""
    flags: dict[str, bool] = field(default_factory=dict)
    files: list[UploadFile] = field(default_factory=list)
    archives: list[UploadFile] = field(default_factory=list)

    def uploads(self) -> dict[str, Upload]:
        """Return what came in under names of their own."""
        found = [*self.files, *self.archives]
        return {f"{number:06}": Upload(part.filename or "", part.file) for number, part in enumerate(found)}


def from_form(form: FormData) -> DeployForm:
    """Return what is in a form; raise ApiError."""
    found = DeployForm(flags={name: default for name, (default, _) in FLAGS.items()})
    seen: set[str] = set()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in ("file", "archive"):
                raise _bad(name, "there is no such file part: send `file` or `archive`")
            (found.files if name == "file" else found.archives).append(value)
            continue
        if name in seen:
            raise _bad(name, "it is there more than once")
        seen.add(name)
        if name in FLAGS:
            found.flags[name] = _flag(name, value)
        elif name == "bundle":
            found.bundle = value or None
        elif name == "folder":
            found.folder = value
        elif name in ("file", "archive"):
            raise _bad(name, "send the file itself, with a file name")
        else:
            raise _bad(name, "there is no such field")
    if len(found.archives) > 1:
        raise _bad("archive", "one archive at a time")
    if bool(found.files) == bool(found.archives):
        raise _bad("file", "send one or more parts `file`, or one `archive`")
    if found.flags["pause"] and found.flags["unpause"]:
        raise _bad("unpause", "pause and unpause exclude each other")
    return found


def take(form: DeployForm, received: Received) -> None:
    """Take the files of a form; raise ApiError. Blocks."""
    for part in form.archives:
        part.file.seek(0)
        unpack(part.filename or "", part.file, received)
    for part in form.files:
        part.file.seek(0)
        received.count()
        received.add(part.filename or "", part.file)


def _flag(name: str, value: str) -> bool:
    switch = SWITCH.get(value.strip().lower())
    if switch is not None:
        return switch
    raise _bad(name, f"{value[:50]!r} is neither true nor false")


def _bad(name: str, why: str) -> ApiError:
    return BadArgument(name[:100], f"{name[:100]}: {why}")


router = APIRouter(prefix="/v2/dag-files", tags=["dag files"], generate_unique_id_function=by_name)

DEPLOYED = {**ACCEPTED, **errors(400, 403, 404, 408, 409, 413, 415, 422, 429, 507)}


@router.get("/bundles", response_model=BundleList, responses=errors(400, 403), openapi_extra=PLACED)
@needs(Needs.COMMAND)
async def list_bundles(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """List the DAG bundles in which the caller may deploy, and why nothing can be put into the others."""
    scope = await scope_of(context, request, caller, READ)
    answered = await read(context, request, caller, "bundles")
    found = []
    for bundle in answered.value:
        body = BundleBody.model_validate(bundle)
        if not scope.everywhere:
            folders = [folder for name, folder in scope.folders if name == body.name]
            if not folders:
                continue
            body.folders = None if "" in folders else folders
        found.append(body)
    return answer_model(BundleList(bundles=found))


@router.get(
    "",
    response_model=DagFileList,
    operation_id="list_dag_files",
    responses=errors(400, 403, 404, 409, 413),
    openapi_extra=PLACED,
)
@needs(Needs.COMMAND)
async def list_files(
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    folder: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """List the files of a bundle or of a folder in it: those that are there, and those gone since."""
    target = await target_of(context, request, caller, READ, bundle, folder)
    found = await read(
        context,
        request,
        caller,
        "files",
        bundle=target.bundle,
        folder=target.folder,
        after=cursor,
        limit=limit,
        scope=target.scope.values,
    )
    return answer_model(DagFileList.model_validate(found.value))


@router.post(
    "",
    response_model=OperationBody,
    operation_id="deploy_dag_files",
    responses=DEPLOYED,
    openapi_extra={"requestBody": REQUEST_BODY, "parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE]},
)
@needs(Needs.COMMAND)
async def deploy(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Put files into a bundle: all of them, or none.

    The operation's result says what was found in them; what keeps them from being written is the error 422
    with that report in `report`, where the request waits for the end. The events of the operation have
    `progress`: received, checked, written, parsed, ready.
    """
    return await _receive(request, context, caller, "deploy_dag")


@router.post(
    "/check",
    response_model=OperationBody,
    operation_id="check_dag_files",
    responses=DEPLOYED,
    openapi_extra={"requestBody": REQUEST_BODY, "parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE]},
)
@needs(Needs.COMMAND)
async def check(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Check files as if they were in a bundle already; nothing is written."""
    return await _receive(request, context, caller, "check_dag_files")


@router.get("/deployments", response_model=DeploymentList, responses=errors(400, 403), openapi_extra=PLACED)
@needs(Needs.COMMAND)
async def list_deployments(
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=32, description="`next` of the page before.")] = None,
) -> Response:
    """List the deployments that the caller may see, the newest first."""
    scope = await scope_of(context, request, caller, READ)
    history = context.dag_files.history
    if cursor is not None and not is_id(cursor):
        raise BadRequest(NOT_A_CURSOR, argument="cursor")
    found = await history.deployments(before=cursor, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    found = found[:limit]
    if not scope.everywhere:
        paths = await history.paths_of([one.id for one in found])
        found = [
            one for one in found if all(scope.covers(one.bundle, path) for path in paths.get(one.id, [""]))
        ]
    bodies = [DeploymentBody.model_validate(one) for one in found]
    return answer_model(DeploymentList(deployments=bodies, next=following))


@router.get(
    "/deployments/{identifier}",
    response_model=DeploymentDetail,
    responses=errors(400, 403, 404),
    openapi_extra=PLACED,
)
@needs(Needs.COMMAND)
async def get_deployment(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """Return a deployment with its files."""
    scope = await scope_of(context, request, caller, READ)
    if not is_id(identifier):
        raise UnknownDeployment
    found, versions = await context.dag_files.history.deployment(identifier)
    # Of a deployment whose versions are gone it is not known which folders it was in.
    if not all(scope.covers(found.bundle, path) for path in [one.path for one in versions] or [""]):
        raise UnknownDeployment
    files = [DeployedFile.model_validate(version) for version in versions]
    body = DeploymentBody.model_validate(found).model_dump()
    return answer_model(DeploymentDetail(**body, files=files))


async def _receive(request: Request, context: Context, caller: Caller, command: str) -> Response:
    """Take the files of a request and start what is wanted of them."""
    # First of all, so that those who may not learn nothing, and send nothing.
    await scope_of(context, request, caller, command)
    settings = context.settings
    count = settings.dag_files_count
    async with read_form(request, settings.max_upload, count, "dag_files_count") as parts:
        form = from_form(parts)
        target = await target_of(context, request, caller, command, form.bundle, form.folder)
        fields = {"bundle": form.bundle, "folder": form.folder, **form.flags}
        origin = await origin_of(context, request, caller, fields, form.uploads())
        with context.audit.refusals(caller, command):
            options = _options(command, form, target.scope)
        async with context.dag_files.receive(target.folder) as received:
            await asyncio.to_thread(take, form, received)
            operation, headers = await once(
                context, origin, lambda: _start(context, caller, command, target, received, options, origin)
            )
    return await answer(context, request, operation, headers)


def _options(command: str, form: DeployForm, scope: Scope) -> DeploymentOptions:
    flags = form.flags
    if not flags["validate"] or flags["force_invalid"]:
        scope.require_everywhere()
    only = command == "check_dag_files"
    return DeploymentOptions(
        overwrite=flags["overwrite"] or only,
        validate=flags["validate"] or only or flags["dry_run"],
        dry_run=flags["dry_run"] or only,
        force_invalid=flags["force_invalid"],
        paused=True if flags["pause"] else False if flags["unpause"] else None,
        wait=flags["wait"],
    )


async def _start(
    context: Context,
    caller: Caller,
    command: str,
    target: Target,
    received: Received,
    options: DeploymentOptions,
    origin: Origin,
) -> Operation:
    # A check takes no notice of them.
    flags = () if options.dry_run else ("overwrite", "force_invalid", "wait")
    return await start_work(
        context,
        caller,
        command,
        [f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)],
        context.dag_file_works.deployment(
            target.bundle, target.folder, received, options, user=caller.name, scope=target.scope
        ),
        bundle=target.bundle,
        paths=[file.path for file in received.files],
        origin=origin,
        received=received,
    )
