"""From a request to a component that starts, and who may ask for that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.commands.needs import SERVICE, Ask, Resource
from airflow_rest_api.errors import BadArgument, BadRequest, Forbidden, UnknownCommand
from airflow_rest_api.security.decision import Attempt, granted
from airflow_rest_api.services.kinds import KINDS, LOG_SERVER, MANAGED, Kind
from airflow_rest_api.services.launching import Plan

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.api.service_models import StartBody
    from airflow_rest_api.operations.model import Key, Operation
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.services.jobs import Seen

POWER = Ask(Resource.POWER, "PUT", SERVICE, None)


def own_command(kind: Kind) -> Command | None:
    """Return what stands for a command where Airflow has none: for permissions and switches."""
    return Command((LOG_SERVER,), "", None, (), Effect.SERVICE) if kind.command == LOG_SERVER else None


async def launch_service(
    context: Context, caller: Caller, body: StartBody, *, port: int | None, key: Key | None
) -> Operation:
    """
    Start a component; return the operation that does.

    :param port: on which we are reached, and nothing else may listen
    """
    if (kind := KINDS.get(body.kind)) is None:
        known = ", ".join(KINDS)
        raise BadRequest(f"kind: one of {known}", argument="kind")
    catalog = await context.catalog.get()
    command = own_command(kind) or catalog.get(kind.command)
    await context.gate.precheck(caller, command)
    _check(kind, body)
    if own_command(kind):
        if body.arguments:
            raise BadArgument(next(iter(body.arguments)), f"{kind.name} takes no arguments")
        invocation = Invocation(command, [], {}, frozenset(), [])
    else:
        invocation = await asyncio.to_thread(catalog.bind, command, body.arguments)
    own_port = isinstance(kind.port, str) and invocation.values.get(kind.port) == port
    if own_port and port is not None:
        raise BadArgument(str(kind.port), f"argument {kind.port}: this API server itself listens on {port}")
    permit = await context.gate.authorize(caller, invocation)
    plan = Plan.of_invocation(kind, invocation, restart=body.restart, another=body.another)
    _, operation = await context.services.start(plan, permit, key=key)
    return operation


async def allowed_to_look(context: Context, caller: Caller) -> None:
    """Raise Forbidden unless the caller may see components and their logs: who may start one may."""
    if await caller.is_admin() or await caller.ask(lambda permissions: granted(permissions, POWER)):
        return
    raise Forbidden(f"You may not see components: that takes {POWER}.")


async def allowed_to_steer(context: Context, caller: Caller, identifier: str, *, again: bool = False) -> Seen:
    """
    Return a component that the caller may stop or, with `again`, start with its arguments.

    :raises Forbidden: they may not, or nobody may because of an option
    :raises Unavailable: what is done could not be recorded
    """
    await allowed_to_look(context, caller)
    seen = await context.services.get(identifier)
    kind = KINDS[seen.service.kind]
    catalog = await context.catalog.get()
    try:
        command = own_command(kind) or catalog.get(kind.command)
    except UnknownCommand:
        # Its provider is not installed here, but where it runs.
        command = Command(tuple(kind.command.split()), "", None, (), Effect.SERVICE)
    attempt = Attempt(command)
    if again and seen.service.argv and command.arguments:
        invocation = await asyncio.to_thread(catalog.parse, seen.service.argv)
        attempt = Attempt(command, invocation.values, invocation.given)
    with context.audit.refusals(caller, command.name):
        await context.gate.check(caller, [attempt])
    context.audit.admit()
    return seen


def _check(kind: Kind, body: StartBody) -> None:
    for name in kind.required:
        if body.arguments.get(name) is None:
            raise BadArgument(name, f"argument {name}: {kind.name} needs one of its own")
    for name in body.arguments:
        if name in MANAGED:
            raise BadArgument(name, f"argument {name}: managed by this API for services; leave it out.")
