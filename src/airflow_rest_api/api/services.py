"""Components: start them, look at them, stop them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from airflow_rest_api.api.answers import Preference, answer_model, key_of, once, wishes
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.api.models import IDEMPOTENCY_KEY, PREFER, errors
from airflow_rest_api.api.requests import json_body, read_model
from airflow_rest_api.api.service_launch import allowed_to_look, allowed_to_steer, launch_service, own_command
from airflow_rest_api.api.service_models import (
    KindList,
    ServiceBody,
    ServiceList,
    StartBody,
    StopBody,
    kind_body,
)
from airflow_rest_api.asgi import root_path
from airflow_rest_api.commands.model import Argument, Command
from airflow_rest_api.errors import UnknownCommand
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.services.kinds import KINDS, MANAGED, Kind
from airflow_rest_api.services.model import State

router = APIRouter(prefix="/v2/services", tags=["services"])

START_WAIT = 15.0
STOP_WAIT = 15.0
"""Seconds that an answer waits for the start or the end, when the client does not say."""

UNDER_WAY: dict[int | str, dict[str, Any]] = {
    202: {"model": ServiceBody, "description": "It has not come to that yet."}
}


@router.get("/kinds", response_model=KindList, operation_id="list_service_kinds", responses=errors())
@needs(Needs.TOKEN)
async def list_kinds(context: ContextDep, caller: CallerDep) -> Response:
    """List the kinds of components, and whether each can be started here, and by the caller."""
    catalog = await context.catalog.get()
    commands: dict[str, Command] = {}
    for kind in KINDS.values():
        try:
            commands[kind.name] = own_command(kind) or catalog.get(kind.command)
        except UnknownCommand:
            continue
    refused = await context.gate.refusals(caller, commands.values())
    bodies = [
        kind_body(
            kind,
            _reason(kind, commands.get(kind.name)),
            _arguments(commands.get(kind.name)),
            allowed=kind.name in commands and kind.command not in refused,
            refused=refused.get(kind.command),
        )
        for kind in KINDS.values()
    ]
    return answer_model(KindList(kinds=bodies))


@router.post(
    "",
    response_model=ServiceBody,
    status_code=201,
    operation_id="start_service",
    responses=errors(400, 408, 409, 413, 415, 429),
    openapi_extra={"requestBody": json_body(StartBody), "parameters": [PREFER, IDEMPOTENCY_KEY]},
)
@needs(Needs.SERVICE)
async def start_service(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Start a component on the host that answers.

    It is answered when it is ready, or has failed, or after the time that `Prefer: wait=N` gives it: `state`
    says which.
    """
    # Also of those who only ask for the answer of a former request.
    await allowed_to_look(context, caller)
    body = await read_model(request, context.settings.max_upload, StartBody)
    key = await key_of(request, caller, body.model_dump(mode="json"))
    operation, headers = await once(
        context, key, lambda key: launch_service(context, caller, body, port=_own_port(request), key=key)
    )
    service = await context.services.of_operation(operation.id)
    wish = wishes(request, START_WAIT)
    await context.services.wait(service.id, wish.wait)
    seen = await context.services.get(service.id)
    location = f"{root_path(request.scope)}/v2/services/{service.id}"
    return answer_model(ServiceBody.of(seen), 201, {**wish.headers, **headers, "Location": location})


@router.get("", response_model=ServiceList, operation_id="list_services", responses=errors(400))
@needs(Needs.SERVICE)
async def list_services(
    context: ContextDep,
    caller: CallerDep,
    state: State | None = None,
    kind: Annotated[str | None, Query(description="Such as `scheduler`.")] = None,
    host: str | None = None,
) -> Response:
    """List the components: those that were started here, and those that Airflow's table of jobs shows."""
    await allowed_to_look(context, caller)
    bodies = [
        ServiceBody.of(seen)
        for seen in await context.services.list()
        if state in (None, seen.service.state)
        and kind in (None, seen.service.kind)
        and host in (None, seen.service.host)
    ]
    return answer_model(ServiceList(services=bodies))


@router.get("/{identifier}", response_model=ServiceBody, operation_id="get_service", responses=errors(404))
@needs(Needs.SERVICE)
async def get_service(identifier: str, context: ContextDep, caller: CallerDep) -> Response:
    """Return a component as it is now."""
    await allowed_to_look(context, caller)
    return answer_model(ServiceBody.of(await context.services.get(identifier)))


@router.post(
    "/{identifier}/stop",
    response_model=ServiceBody,
    operation_id="stop_service",
    responses={**UNDER_WAY, **errors(400, 404, 408, 409, 413, 415)},
    openapi_extra={"requestBody": json_body(StopBody, required=False), "parameters": [PREFER]},
)
@needs(Needs.SERVICE)
async def stop_service(identifier: str, request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Stop a component: it is asked to end and, after `service_grace` seconds, killed with all that it started.

    One of another host is stopped by an API server of that host. For one that has ended nothing changes.
    """
    seen = await allowed_to_steer(context, caller, identifier)
    force = (await read_model(request, context.settings.max_upload, StopBody)).force
    await context.services.stop(identifier, user=caller.name, force=force)
    if not seen.service.state.ended:
        context.audit.did(caller, "services stop", **_about(seen.service), force=force)
    wish = wishes(request, STOP_WAIT)
    await context.services.wait(identifier, wish.wait, ended=True)
    return await _answer(context, identifier, wish, ended=True)


@router.post(
    "/{identifier}/restart",
    response_model=ServiceBody,
    operation_id="restart_service",
    responses={**UNDER_WAY, **errors(404, 409)},
    openapi_extra={"parameters": [PREFER]},
)
@needs(Needs.SERVICE)
async def restart_service(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """Stop a component and start it again with the same arguments; one that has ended is started."""
    seen = await allowed_to_steer(context, caller, identifier, again=True)
    await context.services.restart(identifier, user=caller.name)
    context.audit.did(caller, "services restart", **_about(seen.service))
    wish = wishes(request, START_WAIT)
    await context.services.wait(identifier, wish.wait)
    return await _answer(context, identifier, wish)


@router.delete("/{identifier}", status_code=204, operation_id="forget_service", responses=errors(404, 409))
@needs(Needs.SERVICE)
async def forget_service(identifier: str, context: ContextDep, caller: CallerDep) -> Response:
    """Forget a component that has ended. Its log files stay."""
    seen = await allowed_to_steer(context, caller, identifier)
    await context.services.forget(identifier)
    context.audit.did(caller, "services forget", **_about(seen.service))
    return Response(status_code=204)


async def _answer(context: Context, identifier: str, wish: Preference, *, ended: bool = False) -> Response:
    seen = await context.services.get(identifier)
    state = seen.service.state
    done = state.ended or (state is State.RUNNING and not ended)
    return answer_model(ServiceBody.of(seen), 200 if done else 202, wish.headers)


def _about(service: Any) -> dict[str, Any]:
    return {"service": service.id, "arguments": list(service.argv) or [service.command], "host": service.host}


def _own_port(request: Request) -> int | None:
    """Return the port on which this request has arrived."""
    server = request.scope.get("server")
    return server[1] if server else None


def _reason(kind: Kind, command: Command | None) -> str | None:
    if command is not None:
        return None
    if kind.provider is not None:
        return f"The {kind.provider} provider is not installed."
    return f"This Airflow has no command {kind.command!r}."


def _arguments(command: Command | None) -> list[Argument]:
    return [a for a in (command.arguments if command else ()) if a.name not in MANAGED]
