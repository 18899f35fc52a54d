"""The commands: what there is, what each one takes, and running one by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from airflow_rest_api.api.answer import answer_model, answer_run, leaves
from airflow_rest_api.api.body import read_body
from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.api.form import from_form
from airflow_rest_api.api.idempotency import key_of, once
from airflow_rest_api.api.launch import check_room, launch
from airflow_rest_api.api.models import CommandDetail, CommandList, Refusal, summary
from airflow_rest_api.api.responses import errors
from airflow_rest_api.api.schema import command_schema
from airflow_rest_api.commands.discovery import search_words
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.policy import described
from airflow_rest_api.errors import UnknownCommand
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Command

router = APIRouter(prefix="/v2/commands", tags=["commands"])


@router.get("", response_model=CommandList, operation_id="list_commands", responses=errors(400))
@needs(Needs.TOKEN)
async def list_commands(
    context: ContextDep,
    caller: CallerDep,
    q: Annotated[
        str | None,
        Query(description="Part of the name or of the help, or an everyday word (`rerun`), in any case."),
    ] = None,
    effect: Annotated[Effect | None, Query(description="The most that running the command may do.")] = None,
) -> Response:
    """List the commands of this Airflow, each with whether the caller may run it on anything, and why not."""
    catalog = await context.catalog.get()
    wanted = (q or "").lower()
    refused = await context.gate.refusals(caller, catalog.commands.values())
    found = [
        summary(command, refused.get(command.name))
        for command in catalog.commands.values()
        if (effect is None or command.effect is effect)
        and (
            wanted in command.name.lower()
            or wanted in (command.help or "").lower()
            or wanted in search_words(command)
        )
    ]
    return answer_model(CommandList(commands=found, total_entries=len(found)))


# The routes of one command stand in the OpenAPI document once for each command: see openapi.py.
@router.get("/{name:path}", response_model=CommandDetail, include_in_schema=False)
@needs(Needs.TOKEN)
async def get_command(name: str, context: ContextDep, caller: CallerDep) -> Response:
    """Return a command with its arguments as JSON Schema."""
    command = _command(await context.catalog.get(), name)
    refused = (await context.gate.refusals(caller, [command])).get(command.name)
    detail = CommandDetail(
        name=command.name,
        path="/".join(command.path),
        help=command.help,
        description=command.description,
        effect=command.effect,
        raised_by=dict(command.raised_by),
        reveals_secrets=command.reveals_secrets,
        needs=described(command),
        allowed=refused is None,
        refusal=Refusal.of(refused),
        arguments={"required": [], **command_schema(command)},
    )
    return answer_model(detail)


@router.post("/{name:path}", include_in_schema=False)
@needs(Needs.COMMAND)
async def run_command(name: str, request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Run a command with its arguments by name."""
    command = _command(await context.catalog.get(), name)
    check_room(context, request, caller)
    async with read_body(request, context.settings.max_upload) as body:
        arguments = from_form(command, body.values) if body.form else body.values
        key = await key_of(request, caller, arguments, body.files)
        operation, headers = await once(
            context,
            key,
            lambda key: launch(
                context, caller, command, arguments, body.files, recorded=leaves(context, request), key=key
            ),
        )
    return await answer_run(context, request, operation, headers)


def _command(catalog: Catalog, path: str) -> Command:
    """Return the command at a path; one spelling each, so that a proxy's rules about paths hold."""
    command = catalog.get(path)
    if path != "/".join(command.path):
        raise UnknownCommand(path, [command.name])
    return command
