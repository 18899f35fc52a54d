"""DAG files: deploy them, check them, look at them, bring back and delete them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from airflow_rest_api.api.answer import answer_model, leaves
from airflow_rest_api.api.body import read_form
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.api.dag_files_form import REQUEST_BODY, DeployForm, from_form, take
from airflow_rest_api.api.dag_files_models import (
    BundleBody,
    BundleList,
    DagFileList,
    DeployedFile,
    DeploymentBody,
    DeploymentDetail,
    DeploymentList,
)
from airflow_rest_api.api.dag_files_run import (
    READ,
    answer,
    conduct,
    file_body,
    once_received,
    place_of,
    scope_of,
)
from airflow_rest_api.api.idempotency import key_of
from airflow_rest_api.api.models import OperationBody
from airflow_rest_api.api.responses import ACCEPTED, IDEMPOTENCY_KEY, PREFER, errors
from airflow_rest_api.dag_files import bundles
from airflow_rest_api.dag_files.bundles import Place
from airflow_rest_api.dag_files.grants import Scope
from airflow_rest_api.dag_files.listing import listed
from airflow_rest_api.dag_files.orders import Order
from airflow_rest_api.dag_files.upload import Received
from airflow_rest_api.errors import BadRequest, UnknownDeployment
from airflow_rest_api.operations.model import Operation
from airflow_rest_api.security.caller import Caller
from airflow_rest_api.security.routes import Needs, needs

router = APIRouter(prefix="/v2/dag-files", tags=["dag files"])

BundleQuery = Annotated[str | None, Query(description="By default the one that files can be put into.")]
DEPLOYED = {**ACCEPTED, **errors(400, 403, 404, 408, 409, 413, 415, 422, 507)}
CHANGED = {**ACCEPTED, **errors(400, 403, 404, 409, 422, 507)}


@router.get("/bundles", response_model=BundleList, operation_id="list_bundles", responses=errors(403))
@needs(Needs.COMMAND)
async def list_bundles(context: ContextDep, caller: CallerDep) -> Response:
    """List the DAG bundles in which the caller may deploy, and why nothing can be put into the others."""
    scope = await scope_of(context, caller, READ)
    found = []
    for bundle in await asyncio.to_thread(bundles.bundles):
        body = BundleBody.model_validate(bundle)
        if not scope.everywhere:
            folders = [folder for name, folder in scope.folders if name == bundle.name]
            if not folders:
                continue
            body.folders = None if "" in folders else folders
        found.append(body)
    return answer_model(BundleList(bundles=found))


@router.get(
    "", response_model=DagFileList, operation_id="list_dag_files", responses=errors(400, 403, 404, 409)
)
@needs(Needs.COMMAND)
async def list_files(
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    folder: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """List the files of a bundle or of a folder in it: those that lie there, and those gone since."""
    scope = await scope_of(context, caller, READ)
    place = await place_of(context, caller, READ, scope, bundle, folder)
    found, following = await listed(
        context.dag_files.history,
        place,
        after=cursor,
        limit=limit,
        mine=lambda path: scope.covers(place.bundle.name, path),
    )
    return answer_model(DagFileList(files=[file_body(file) for file in found], next=following))


@router.post(
    "",
    response_model=OperationBody,
    operation_id="deploy_dag_files",
    responses=DEPLOYED,
    openapi_extra={"requestBody": REQUEST_BODY, "parameters": [PREFER, IDEMPOTENCY_KEY]},
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
    openapi_extra={"requestBody": REQUEST_BODY, "parameters": [PREFER, IDEMPOTENCY_KEY]},
)
@needs(Needs.COMMAND)
async def check(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Look into files as if they were in a bundle already; nothing is written."""
    return await _receive(request, context, caller, "check_dag_files")


@router.get(
    "/deployments", response_model=DeploymentList, operation_id="list_deployments", responses=errors(400, 403)
)
@needs(Needs.COMMAND)
async def list_deployments(
    context: ContextDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=32, description="`next` of the page before.")] = None,
) -> Response:
    """List the deployments that the caller may see, the newest first."""
    scope = await scope_of(context, caller, READ)
    history = context.dag_files.history
    if cursor is not None and not cursor.isalnum():
        raise BadRequest("cursor: this is the `next` of no page", argument="cursor")
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
    operation_id="get_deployment",
    responses=errors(403, 404),
)
@needs(Needs.COMMAND)
async def get_deployment(identifier: str, context: ContextDep, caller: CallerDep) -> Response:
    """Return a deployment with its files."""
    scope = await scope_of(context, caller, READ)
    if not identifier.isalnum():
        raise UnknownDeployment
    found, versions = await context.dag_files.history.deployment(identifier)
    # Of a deployment whose versions are gone nobody knows any more which folders it was in.
    if not all(scope.covers(found.bundle, path) for path in [one.path for one in versions] or [""]):
        raise UnknownDeployment
    files = [DeployedFile.model_validate(version) for version in versions]
    body = DeploymentBody.model_validate(found).model_dump()
    return answer_model(DeploymentDetail(**body, files=files))


async def _receive(request: Request, context: Context, caller: Caller, command: str) -> Response:
    """Take the files of a request and start what is wanted of them."""
    # First of all, so that those who may not are told nothing, and send nothing.
    scope = await scope_of(context, caller, command)
    settings, service = context.settings, context.dag_files
    async with read_form(request, settings.max_upload, settings.dag_files_count) as parts:
        form = from_form(parts)
        place = await place_of(context, caller, command, scope, form.bundle, form.folder)
        key = await key_of(request, caller, form.said(), form.uploads())
        received = service.receive(place.folder)
        try:
            await take(form, received)
            order = _order(command, form, place, received, caller, scope)
        except BaseException:
            await asyncio.to_thread(received.remove)
            raise
        operation, headers = await once_received(
            context,
            key,
            received,
            lambda key: _start(context, caller, command, order, leaves(context, request), key),
        )
    return await answer(context, request, operation, headers)


def _order(
    command: str, form: DeployForm, place: Place, received: Received, caller: Caller, scope: Scope
) -> Order:
    flags = form.flags
    if not flags["validate"] or flags["force_invalid"]:
        scope.enter_unchecked()
    only = command == "check_dag_files"
    return Order(
        place,
        received,
        caller.name,
        overwrite=flags["overwrite"] or only,
        validate=flags["validate"] or only or flags["dry_run"],
        dry_run=flags["dry_run"] or only,
        force_invalid=flags["force_invalid"],
        paused=form.paused,
        wait=flags["wait"],
        covers=scope.covers,
    )


async def _start(
    context: Context,
    caller: Caller,
    command: str,
    order: Order,
    recorded: bool,
    key: Any,
) -> Operation:
    bundle = order.place.bundle.name
    paths = [file.path for file in order.received.files]
    argv = [command, "--bundle", bundle]
    if not order.dry_run:
        # A check takes no notice of them.
        flags = ("overwrite", "force_invalid", "wait")
        argv += [f"--{name.replace('_', '-')}" for name in flags if getattr(order, name)]
    argv += paths
    return await conduct(
        context,
        caller,
        argv,
        lambda conductor: context.dag_files.deploy(conductor, order),
        bundle=bundle,
        paths=paths,
        recorded=recorded,
        key=key,
        received=order.received,
    )
