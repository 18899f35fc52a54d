"""Having DAG files parsed now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from airflow_rest_api.airflow import parsing
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.airflow.parsing import File
from airflow_rest_api.api.answer import answer_run, leaves
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.api.models import OperationBody
from airflow_rest_api.api.responses import ACCEPTED, PREFER, errors
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.dag_files import bundles, refresh
from airflow_rest_api.dag_files.names import clean
from airflow_rest_api.errors import Forbidden, NoFile, SwitchedOff, UnknownBundle, UnknownDag, UnknownDagFile
from airflow_rest_api.operations.conduct import Conductor, Failed, Work
from airflow_rest_api.security.decision import Attempt
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.commands.needs import Ask
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller

router = APIRouter(prefix="/v2", tags=["dag files"])

COMMAND = "refresh_dag"
"""The name of the operations, and of what the permissions and the switches know."""

FILE = "refresh_dag_file"
"""The same for a file as such, which those may have parsed who may deploy it."""

WaitQuery = Annotated[
    bool, Query(description="End only when the DAG processor has parsed the file, and say what it found.")
]
RESPONSES = {**ACCEPTED, **errors(400, 403, 404, 409)}


@router.post(
    "/dags/{dag_id}/refresh",
    response_model=OperationBody,
    operation_id="refresh_dag",
    responses=RESPONSES,
    openapi_extra={"parameters": [PREFER]},
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
    work = Refreshing(COMMAND, [COMMAND, dag_id], [], wait, dag_id)
    with context.audit.refusals(caller, COMMAND, work.invocation(Effect.WRITE)):
        here, asks = await _enter_dags(context, caller, [{"dag_id": dag_id}])
    try:
        file = await ask(parsing.file_of, dag_id)
    except LookupError:
        raise UnknownDag(dag_id) from None
    if file is None:
        raise NoFile("Airflow does not know where this DAG comes from.", argument="dag_id")
    work = replace(work, files=[file])
    operation = await _start(context, caller, work, here, asks, recorded=leaves(context, request))
    return await answer_run(context, request, operation)


@router.post(
    "/dag-files/file/refresh",
    response_model=OperationBody,
    operation_id="refresh_dag_file",
    responses=RESPONSES,
    openapi_extra={"parameters": [PREFER]},
)
@needs(Needs.COMMAND)
async def refresh_file(
    path: Annotated[str, Query(description="Of the file in its bundle, with slashes.")],
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    bundle: Annotated[str | None, Query(description="By default the one that files can be put into.")] = None,
    wait: WaitQuery = False,
) -> Response:
    """
    Have a file parsed before all others; the same as for a DAG, for files that Airflow need not know yet.

    Needs the permission to deploy the file, or to edit each of its DAGs. Of a bundle that comes from
    elsewhere, such as a Git repository, the newest state is fetched first.
    """
    with context.audit.refusals(caller, FILE):
        await _knock(context, caller)
    path = clean(path, "path")
    try:
        info = await asyncio.to_thread(bundles.named, bundle)
    except UnknownBundle:
        # Which there are is told to who may deploy.
        with context.audit.refusals(caller, FILE):
            await context.grants.enter(caller, FILE, bundle or bundles.DAGS_FOLDER, [path])
        raise
    file = (info.name, path)
    dag_ids = sorted(await ask(parsing.dags_of, [file]))
    work = Refreshing(FILE, [FILE, "--bundle", info.name, path], [file], wait)
    with context.audit.refusals(caller, FILE, work.invocation(Effect.WRITE)):
        here, asks = await _enter_file(context, caller, file, dag_ids)
    if not dag_ids and not await ask(_exists, info, file):
        raise UnknownDagFile(path, info.name)
    operation = await _start(context, caller, work, here, asks, recorded=leaves(context, request))
    return await answer_run(context, request, operation)


async def _knock(context: Context, caller: Caller) -> None:
    """Raise Forbidden for those who may refresh nothing, before they are told of bundles and files."""
    try:
        await context.grants.scope(caller, FILE)
    except SwitchedOff:
        raise
    except Forbidden:
        await context.gate.knock(caller, _command(COMMAND, Effect.WRITE))


async def _enter_file(
    context: Context, caller: Caller, file: File, dag_ids: Sequence[str]
) -> tuple[bool, tuple[Ask, ...]]:
    """Return whether a file may be parsed here, and what was asked; raise Forbidden."""
    try:
        scope = await context.grants.enter(caller, FILE, file[0], [file[1]])
    except SwitchedOff:
        raise
    except Forbidden as refusal:
        if not dag_ids:
            raise
        try:
            return await _enter_dags(context, caller, [{"dag_id": dag_id} for dag_id in dag_ids])
        except SwitchedOff:
            raise
        except Forbidden:
            # In the words that say nothing of the DAGs: that there are some, either.
            raise refusal from None
    here = not await refresh.processor_alive()
    try:
        # Who may deploy has the code of the file run here anyway, unless nobody has.
        context.gate.on(_command(FILE, Effect.EXECUTE))
    except SwitchedOff:
        here = False
    return here, scope.asks(file[0], [file[1]])


async def _enter_dags(
    context: Context, caller: Caller, dags: Sequence[dict[str, Any]]
) -> tuple[bool, tuple[Ask, ...]]:
    """Return whether the files of DAGs may be parsed here, and what was asked; raise Forbidden."""
    if not await refresh.processor_alive():
        try:
            return True, (await context.gate.enter_all(caller, _attempts(Effect.EXECUTE, dags))).asks
        except Forbidden:
            # The DAG processor can still be asked, for when it comes back.
            pass
    return False, (await context.gate.enter_all(caller, _attempts(Effect.WRITE, dags))).asks


def _attempts(effect: Effect, dags: Sequence[dict[str, Any]]) -> list[Attempt]:
    return [Attempt(_command(COMMAND, effect), dag, frozenset(dag)) for dag in dags]


@dataclass(frozen=True)
class Refreshing:
    """What is to be parsed, and how that is recorded."""

    command: str
    argv: list[str]
    files: Sequence[File]
    wait: bool
    dag_id: str | None = None

    def invocation(self, effect: Effect) -> Invocation:
        """Return it as the event log sees a command."""
        values = {"dag_id": self.dag_id} if self.dag_id else {}
        return Invocation(_command(self.command, effect), [], values, frozenset(), masked=self.argv)


async def _start(
    context: Context,
    caller: Caller,
    work: Refreshing,
    here: bool,
    asks: tuple[Ask, ...],
    *,
    recorded: bool,
) -> Operation:
    effect = Effect.EXECUTE if here else Effect.WRITE
    return await context.operations.conduct(
        work.command,
        _work(work.files, work.wait, here),
        effect=effect,
        argv=work.argv,
        user=caller.name,
        asks=asks,
        dag_id=work.dag_id,
        on_end=context.audit.ended(caller, work.invocation(effect)),
        recorded=recorded,
    )


def _work(files: Sequence[File], wait: bool, here: bool) -> Work:
    async def work(conductor: Conductor) -> Any:
        parsed = await refresh.bring_up_to_date(conductor, files, wait=wait, here=here)
        result = parsed.shown()
        if (wait or here) and parsed.failure is not None:
            raise Failed(parsed.failure, result=result)
        return result

    return work


def _exists(bundle: bundles.BundleInfo, file: File) -> bool:
    """Return whether there is such a file; of a bundle that is no folder, whether Airflow knows it."""
    if bundle.root is None:
        return parsing.look([file])[file].error_at is not None
    root = Path(bundle.root).resolve()
    path = (root / file[1]).resolve()
    return path.is_relative_to(root) and path.is_file()


def _command(name: str, effect: Effect) -> Command:
    return Command((name,), "", None, (), effect)
