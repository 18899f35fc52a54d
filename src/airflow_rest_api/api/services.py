"""Components: start them, look at them, stop them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from airflow_rest_api.api.answers import (
    Preference,
    answer_model,
    answer_operation,
    once,
    origin_of,
    preference_of,
)
from airflow_rest_api.api.context import CallerDep, Context, ContextDep, by_name
from airflow_rest_api.api.models import (
    ACCEPTED,
    IDEMPOTENCY_KEY,
    PREFER,
    QUEUE,
    ArgumentSummary,
    CommandRefusal,
    Model,
    errors,
)
from airflow_rest_api.api.requests import json_body, read_model
from airflow_rest_api.api.waiting import while_client_waits
from airflow_rest_api.asgi import root_path
from airflow_rest_api.commands.model import Command, Effect
from airflow_rest_api.commands.needs import SERVICE, Ask, Resource
from airflow_rest_api.errors import BadArgument, BadRequest, Forbidden, UnknownCommand
from airflow_rest_api.placement import LOCAL, queue_of_host
from airflow_rest_api.security.decision import Attempt, granted
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.services.model import KINDS, LOG_SERVER, MANAGED, NOTHING, Kind, Restart, StartRequest
from airflow_rest_api.services.status import State

if TYPE_CHECKING:
    from airflow_rest_api.operations.model import Operation, Origin
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.services.reconcile import ServiceView


class StartBody(Model):
    """A component to be started."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(examples=["celery-worker"])
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="By name, as `GET /v2/services/kinds` lists them."
    )
    restart: Restart = Field(Restart.NEVER, description="What to do when it fails.")
    another: bool = Field(False, description="Start it although the same runs on the host already.")
    host: str | None = Field(
        None, description="Start it by the runner of this host; by default where `placement` says."
    )
    queue: str | None = Field(None, description="Start it by a runner of this queue.")


class StopBody(Model):
    """How to stop a component."""

    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="Kill it and all that it has started, without asking first.")


class KindBody(Model):
    """A kind of component."""

    kind: str
    title: str
    command: str
    available: bool = Field(description="It can be started on the host that answers.")
    reason: str | None = Field(description="Why it cannot.")
    allowed: bool = Field(description="The caller may start it, with some arguments.")
    refusal: CommandRefusal | None = Field(description="Why not, where it is not allowed.")
    arguments: list[ArgumentSummary]


class KindList(Model):
    """The kinds of components."""

    kinds: list[KindBody]


class LogNames(Model):
    """The names of log files in Airflow's base log folder."""

    stdout: str
    stderr: str


class JobBody(Model):
    """A component as Airflow's own table of jobs has it."""

    job_id: int = Field(validation_alias="id")
    state: str | None
    latest_heartbeat: datetime | None
    healthy: bool = Field(description="By the thresholds of Airflow's configuration.")


class ServiceBody(Model):
    """A component."""

    id: str
    kind: str
    command: str
    argv: list[str] = Field(description="What was run after `airflow`, with secrets masked.")
    state: State
    pid: int | None
    host: str
    user: str | None = Field(description="Who started it.")
    created_at: datetime
    started_at: datetime | None = Field(description="Its last start.")
    ended_at: datetime | None
    exit_code: int | None = Field(description="Of its last end; the number of a signal is negative.")
    message: str | None
    restart: Restart
    restarts: int = Field(description="How often it was started again because it had failed.")
    log: LogNames | None
    operation_id: str | None = Field(description="The operation that started it last.")
    managed: bool = Field(description="It was started here. Others can only be looked at.")
    airflow: JobBody | None = Field(description="What Airflow knows of it.")

    @classmethod
    def of(cls, seen: ServiceView) -> ServiceBody:
        """Return the body for a component."""
        service = seen.service
        values = {
            **vars(service),
            "user": service.user or None,
            "log": LogNames(stdout=service.stdout, stderr=service.stderr) if service.stdout else None,
            "operation_id": service.operation,
            "managed": seen.managed,
            "airflow": seen.job,
        }
        return cls.model_validate(values)


class ServiceList(Model):
    """Components, the newest first; those that others have started at the end."""

    services: list[ServiceBody]


POWER = Ask(Resource.POWER, "PUT", SERVICE, None)


def own_command(kind: Kind) -> Command | None:
    """Return what stands for a command where Airflow has none: for permissions and switches."""
    return NOTHING.command if kind.command == LOG_SERVER else None


async def launch_service(
    context: Context, caller: Caller, body: StartBody, *, port: int | None, origin: Origin
) -> Operation:
    """
    Start a component; return the operation that does.

    :param port: on which we are reached, and nothing else on this host may listen
    """
    if (kind := KINDS.get(body.kind)) is None:
        known = ", ".join(KINDS)
        raise BadRequest(f"kind: one of {known}", argument="kind")
    catalog = await context.catalog.get()
    command = own_command(kind) or catalog.get(kind.command)
    await context.gate.precheck(caller, command, queue=origin.queue)
    _check(kind, body)
    if own_command(kind):
        if body.arguments:
            raise BadArgument(next(iter(body.arguments)), f"{kind.name} takes no arguments")
        invocation = NOTHING
    else:
        invocation = await asyncio.to_thread(catalog.bind, command, body.arguments)
    permit = await context.gate.authorize(caller, invocation, queue=origin.queue)
    own_port = isinstance(kind.port, str) and invocation.values.get(kind.port) == port
    if own_port and port is not None and permit.queue == LOCAL:
        raise BadArgument(str(kind.port), f"argument {kind.port}: this API server itself listens on {port}")
    plan = StartRequest(kind, invocation, restart=body.restart, another=body.another)
    _, operation = await context.services.start(plan, permit, key=origin.key, recorded=origin.recorded)
    return operation


async def allowed_to_look(context: Context, caller: Caller) -> None:
    """Raise Forbidden, and record it, unless the caller may see components: who may start one may."""
    if await caller.is_admin() or await caller.ask(lambda permissions: granted(permissions, POWER)):
        return
    with context.audit.refusals(caller, "services"):
        raise Forbidden(f"You may not see components: that takes {POWER}.")


async def allowed_to_steer(
    context: Context, caller: Caller, identifier: str, *, again: bool = False
) -> ServiceView:
    """
    Return a component that the caller may stop or, with `again`, start with its arguments.

    :raises Forbidden: they may not, or an option forbids it to all
    :raises Unavailable: what is done could not be recorded
    """
    await allowed_to_look(context, caller)
    seen = await context.services.find(identifier)
    kind = KINDS[seen.service.kind]
    catalog = await context.catalog.get()
    try:
        command = own_command(kind) or catalog.get(kind.command)
    except UnknownCommand:
        # Its provider is not installed here, but where it runs. What its arguments need is not known then.
        path = tuple(kind.command.split())
        known = not again or tuple(seen.service.argv) == path
        command = Command(path, "", None, (), Effect.SERVICE, known=known)
    attempt = Attempt(command)
    if again and seen.service.argv and command.arguments:
        invocation = await asyncio.to_thread(catalog.parse, seen.service.argv)
        attempt = Attempt(command, invocation.values, invocation.given)
    with context.audit.refusals(caller, command.name):
        # It is steered by whoever looks after the components of its host.
        mine = context.services.local.is_mine(seen.service)
        await context.gate.check(caller, [attempt], LOCAL if mine else seen.service.queue)
    context.audit.admit()
    return seen


def _queue(context: Context, body: StartBody) -> str | None:
    """Return the queue that a request names by itself, or by a host; raise BadRequest."""
    if body.host is None:
        return body.queue
    if body.queue is not None:
        raise BadRequest("host: a host or a queue, not both", argument="host")
    if body.host == context.services.local.host:
        return LOCAL
    try:
        return queue_of_host(body.host)
    except ValueError as error:
        raise BadRequest(f"host: {error}", argument="host") from None


def _check(kind: Kind, body: StartBody) -> None:
    for name in kind.required:
        if body.arguments.get(name) is None:
            raise BadArgument(name, f"argument {name}: {kind.name} needs one of its own")
    for name in body.arguments:
        if name in MANAGED:
            raise BadArgument(name, f"argument {name}: managed by this API for services; leave it out.")


router = APIRouter(prefix="/v2/services", tags=["services"], generate_unique_id_function=by_name)

TAKEN_WITHIN = 5.0
"""Seconds that an answer waits at least for a runner to begin a start: before that there is no component."""
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
        with suppress(UnknownCommand):
            commands[kind.name] = own_command(kind) or catalog.get(kind.command)
    refused = await context.gate.refusals(caller, commands.values())
    bodies = []
    for kind in KINDS.values():
        command = commands.get(kind.name)
        reason = None
        if command is None:
            reason = f"This Airflow has no command {kind.command!r}."
            if kind.provider is not None:
                reason = f"The {kind.provider} provider is not installed."
        arguments = [a for a in (command.arguments if command else ()) if a.name not in MANAGED]
        body = KindBody(
            kind=kind.name,
            title=kind.title,
            command=kind.command,
            available=command is not None,
            reason=reason,
            allowed=command is not None and kind.command not in refused,
            refusal=CommandRefusal.of(refused.get(kind.command)),
            arguments=[ArgumentSummary.model_validate(argument) for argument in arguments],
        )
        bodies.append(body)
    return answer_model(KindList(kinds=bodies))


@router.post(
    "",
    response_model=ServiceBody,
    status_code=201,
    responses={**ACCEPTED, **errors(400, 404, 408, 409, 413, 415, 429)},
    openapi_extra={"requestBody": json_body(StartBody), "parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE]},
)
@needs(Needs.SERVICE)
async def start_service(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Start a component on the host that answers, or by a runner on another one.

    It is answered when it is ready, or has failed, or after the time that `Prefer: wait=N` gives it: `state`
    says which. One that waits for a runner is answered with its operation (202), where the client does not.
    """
    # Also of those who only ask for the answer of a former request.
    await allowed_to_look(context, caller)
    body = await read_model(request, context.settings.max_upload, StartBody)
    # As it was sent: to which queue a host leads depends on the API server that is asked.
    asked = body.model_dump(mode="json", exclude={"queue"})
    named = _queue(context, body)
    origin = await origin_of(context, request, caller, asked, queue=body.queue)
    if body.host is not None:
        if origin.queue not in (None, named):
            raise BadRequest("host: a host or a queue, not both", argument="host")
        origin = replace(origin, queue=named)
    # The port on which this request has arrived.
    _, port = request.scope.get("server") or (None, None)
    operation, headers = await once(
        context, origin, lambda: launch_service(context, caller, body, port=port, origin=origin)
    )
    preferred = preference_of(request, START_WAIT)
    service = await context.services.begun(operation, max(preferred.wait, TAKEN_WITHIN))
    if service is None:
        if origin.recorded:
            return await answer_operation(request, operation, preferred, headers)
        raise await context.services.give_up(operation)
    with while_client_waits(request):
        await context.services.wait(service.id, preferred.wait)
    seen = await context.services.get(service.id)
    location = f"{root_path(request.scope)}/v2/services/{service.id}"
    return answer_model(ServiceBody.of(seen), 201, {**preferred.headers, **headers, "Location": location})


@router.get("", response_model=ServiceList, responses=errors(400))
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


@router.get("/{identifier}", response_model=ServiceBody, responses=errors(404))
@needs(Needs.SERVICE)
async def get_service(identifier: str, context: ContextDep, caller: CallerDep) -> Response:
    """Return a component as it is now."""
    await allowed_to_look(context, caller)
    return answer_model(ServiceBody.of(await context.services.get(identifier)))


@router.post(
    "/{identifier}/stop",
    response_model=ServiceBody,
    responses={**UNDER_WAY, **errors(400, 404, 408, 409, 413, 415)},
    openapi_extra={"requestBody": json_body(StopBody, required=False), "parameters": [PREFER]},
)
@needs(Needs.SERVICE)
async def stop_service(identifier: str, request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Stop a component: it is asked to end and, after `service_grace` seconds, killed with all that it started.

    One of another host is stopped by an API server of that host. One that has ended stays so.
    """
    seen = await allowed_to_steer(context, caller, identifier)
    force = (await read_model(request, context.settings.max_upload, StopBody)).force
    # Not by what is seen: what seems to be lost is stopped where it still runs.
    if await context.services.stop(identifier, user=caller.name, force=force):
        context.audit.did(caller, "services stop", **_about(seen.service), force=force)
    preferred = preference_of(request, STOP_WAIT)
    with while_client_waits(request):
        await context.services.wait(identifier, preferred.wait, ended=True)
    return await _answer(context, identifier, preferred, ended=True)


@router.post(
    "/{identifier}/restart",
    response_model=ServiceBody,
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
    preferred = preference_of(request, START_WAIT)
    with while_client_waits(request):
        await context.services.wait(identifier, preferred.wait)
    return await _answer(context, identifier, preferred)


@router.delete("/{identifier}", status_code=204, responses=errors(404, 409))
@needs(Needs.SERVICE)
async def forget_service(identifier: str, context: ContextDep, caller: CallerDep) -> Response:
    """Forget a component that has ended. Its log files stay."""
    seen = await allowed_to_steer(context, caller, identifier)
    await context.services.forget(identifier)
    context.audit.did(caller, "services forget", **_about(seen.service))
    return Response(status_code=204)


async def _answer(
    context: Context, identifier: str, preferred: Preference, *, ended: bool = False
) -> Response:
    seen = await context.services.get(identifier)
    done = seen.service.is_settled(ended=ended)
    return answer_model(ServiceBody.of(seen), 200 if done else 202, preferred.headers)


def _about(service: Any) -> dict[str, Any]:
    return {"service": service.id, "arguments": list(service.argv) or [service.command], "host": service.host}
