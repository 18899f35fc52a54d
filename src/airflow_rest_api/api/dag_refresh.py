"""Having DAG files parsed now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.dag_processor import File
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.api.answers import answer_run, leaves
from airflow_rest_api.api.context import CallerDep, Context, ContextDep, by_name, queue_of
from airflow_rest_api.api.dag_file import BundleQuery, FilePath
from airflow_rest_api.api.models import ACCEPTED, PREFER, QUEUE, OperationBody, errors
from airflow_rest_api.commands.model import Effect, Invocation
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.dag_files import bundles
from airflow_rest_api.dag_files.upload import clean
from airflow_rest_api.errors import (
    ApiError,
    Forbidden,
    NoFile,
    SwitchedOff,
    UnknownBundle,
    UnknownDag,
    UnknownDagFile,
)
from airflow_rest_api.operations.model import Origin
from airflow_rest_api.security.decision import Attempt
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.security.access import Permit
    from airflow_rest_api.security.caller import Caller

router = APIRouter(prefix="/v2", tags=["dag files"], generate_unique_id_function=by_name)

COMMAND = "refresh_dag"
"""The name of the operations, and of what the permissions and the switches know."""

FILE = "refresh_dag_file"
"""The same for a file as such, which those may have parsed who may deploy it."""

WaitQuery = Annotated[
    bool, Query(description="End only when the DAG processor has parsed the file, and say what it found.")
]
RESPONSES = {**ACCEPTED, **errors(400, 403, 404, 409, 429)}


@router.post(
    "/dags/{dag_id}/refresh",
    response_model=OperationBody,
    responses=RESPONSES,
    openapi_extra={"parameters": [PREFER, QUEUE]},
)
@needs(Needs.COMMAND)
async def refresh_dag(
    dag_id: str, request: Request, context: ContextDep, caller: CallerDep, wait: WaitQuery = False
) -> Response:
    """
    Have the file of a DAG parsed before all others.

    With `wait` the operation fails when the file has an import error, and its result has the number of the
    version that runs from now on. Where no DAG processor is alive the file is parsed by the API server, for
    those who may run the code of DAG authors there; the operation says so in its warnings.
    """
    wanted = Refresh(COMMAND, [COMMAND, dag_id], wait, dag_id, queue=queue_of(request))
    locally, permit = await _authorize_dags(context, caller, wanted, [dag_id])
    try:
        file = await ask(dag_processor.file_of, dag_id)
    except LookupError:
        raise UnknownDag(dag_id) from None
    if file is None:
        raise NoFile("Airflow does not know where this DAG comes from.", argument="dag_id")
    return await _run(context, permit, request, wanted, file, locally)


@router.post(
    "/dag-files/file/refresh",
    response_model=OperationBody,
    operation_id="refresh_dag_file",
    responses=RESPONSES,
    openapi_extra={"parameters": [PREFER, QUEUE]},
)
@needs(Needs.COMMAND)
async def refresh_file(
    path: FilePath,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: BundleQuery = None,
    wait: WaitQuery = False,
) -> Response:
    """
    Have a file parsed before all others; the same as for a DAG, for files that Airflow need not know yet.

    Needs the permission to deploy the file, or to edit each of its DAGs. Of a bundle that comes from
    elsewhere, such as a Git repository, the newest state is fetched first.
    """
    with context.audit.refusals(caller, FILE):
        await _precheck(context, caller, queue_of(request))
    path = clean(path, "path")
    with context.audit.refusals(caller, FILE):
        queue = await context.gate.queue_for(caller, own_command(FILE), queue_of(request))
    try:
        named, there = await context.dag_file_works.place(queue, bundle, path)
    except ApiError as error:
        if error.reason == UnknownBundle.reason:
            # Which bundles there are is only for those who may deploy.
            with context.audit.refusals(caller, FILE):
                await context.grants.check(caller, FILE, bundle or bundles.DAGS_FOLDER, [path], queue)
        raise
    file = (named, path)
    dag_ids = sorted(await ask(dag_processor.dags_of, [file]))
    wanted = Refresh(FILE, [FILE, "--bundle", file[0], path], wait, queue=queue)
    with context.audit.refusals(caller, FILE, wanted.invocation(Effect.WRITE)):
        locally, permit = await _authorize_file(context, caller, wanted, file, dag_ids)
    if not dag_ids and not there:
        raise UnknownDagFile(path, file[0])
    return await _run(context, permit, request, wanted, file, locally)


@dataclass(frozen=True)
class Refresh:
    """What is to be parsed, as it is recorded."""

    command: str
    argv: list[str]
    wait: bool
    dag_id: str | None = None
    queue: str | None = None

    def invocation(self, effect: Effect) -> Invocation:
        """Return it as the event log records a command."""
        values = {"dag_id": self.dag_id} if self.dag_id else {}
        return Invocation(own_command(self.command, effect), [], values, frozenset(), masked=self.argv)


async def _run(
    context: Context, permit: Permit, request: Request, wanted: Refresh, file: File, locally: bool
) -> Response:
    operation = await context.operations.start_work(
        permit,
        wanted.invocation(Effect.EXECUTE if locally else Effect.WRITE),
        context.dag_file_works.refresh([file], wait=wanted.wait, locally=locally),
        origin=Origin(leaves(context, request), queue=wanted.queue),
    )
    return await answer_run(context, request, operation)


async def _precheck(context: Context, caller: Caller, queue: str | None) -> None:
    """Raise Forbidden for those who may refresh nothing, before they learn of bundles and files."""
    try:
        await context.grants.scope(caller, FILE, queue)
    except SwitchedOff:
        raise
    except Forbidden:
        refused = await context.gate.refusals(caller, [own_command(COMMAND, Effect.WRITE)], queue)
        if COMMAND in refused:
            raise refused[COMMAND] from None


async def _authorize_file(
    context: Context, caller: Caller, wanted: Refresh, file: File, dag_ids: Sequence[str]
) -> tuple[bool, Permit]:
    """Return whether a file may be parsed locally, and the permit; raise Forbidden, which is not recorded."""
    locally = await _may_run_locally(context, wanted.queue)
    invocation = wanted.invocation(Effect.EXECUTE if locally else Effect.WRITE)
    try:
        permit = await context.grants.authorize(
            caller, invocation, file[0], [file[1]], recorded=False, queue=wanted.queue
        )
        return locally, permit
    except SwitchedOff:
        raise
    except Forbidden as refusal:
        if not dag_ids:
            raise
        try:
            return await _authorize_dags(context, caller, wanted, dag_ids, recorded=False)
        except SwitchedOff:
            raise
        except Forbidden:
            # Its message does not give away that there are DAGs.
            raise refusal from None


async def _may_run_locally(context: Context, queue: str | None) -> bool:
    """Return whether a user who may deploy a file has its code run where the work on it is done."""
    if await ask(dag_processor.processor_alive):
        return False
    try:
        # Such a user may do that anyway, unless it is switched off.
        context.gate.on(own_command(FILE, Effect.EXECUTE), queue)
    except SwitchedOff:
        return False
    return True


async def _authorize_dags(
    context: Context, caller: Caller, wanted: Refresh, dag_ids: Sequence[str], *, recorded: bool = True
) -> tuple[bool, Permit]:
    """Return whether the files of DAGs may be parsed locally, and the permit; raise Forbidden."""

    async def authorize(effect: Effect, recorded: bool) -> Permit:
        command = own_command(COMMAND, effect)
        attempts = [Attempt(command, {"dag_id": dag_id}, frozenset({"dag_id"})) for dag_id in dag_ids]
        return await context.gate.authorize(
            caller, wanted.invocation(effect), attempts, recorded=recorded, queue=wanted.queue
        )

    if not await ask(dag_processor.processor_alive):
        try:
            return True, await authorize(Effect.EXECUTE, recorded=False)
        except Forbidden:
            # The DAG processor can still be asked, for when it comes back.
            pass
    return False, await authorize(Effect.WRITE, recorded=recorded)
