"""Running an operation again: its command line, with the permissions of now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_rest_api.api.launch import start
from airflow_rest_api.commands.masking import LONGEST_SHOWN
from airflow_rest_api.errors import ApiError, BadArgument, CannotRepeat, UnknownCommand
from airflow_rest_api.secret_names import MASK

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.operations.model import Key, Operation
    from airflow_rest_api.security.caller import Caller


async def run_again(
    context: Context, caller: Caller, operation: Operation, *, recorded: bool, key: Key | None
) -> Operation:
    """
    Start the command of an operation once more.

    :raises ApiError: what it ran cannot be told from its record
    :raises Forbidden: the caller may not run it, now
    """
    catalog = await context.catalog.get()
    invocation = await asyncio.to_thread(_invocation, catalog, operation)
    await context.gate.precheck(caller, invocation.command, invocation)
    return await start(
        context, caller, catalog, invocation, {}, recorded=recorded, key=key, rerun_of=operation.id
    )


def _invocation(catalog: Catalog, operation: Operation) -> Invocation:
    if any(MASK in word or len(word) > LONGEST_SHOWN for word in operation.argv):
        raise _refusal(operation, "its arguments are not kept: a secret, or a very long value is among them")
    try:
        invocation = catalog.parse(operation.argv)
    except (UnknownCommand, BadArgument):
        raise _refusal(operation, "it was not one command of Airflow") from None
    if invocation.command.name != operation.command:
        raise _refusal(operation, "it was not one command of Airflow")
    if any(a.file == "in" and a.name in invocation.given for a in invocation.command.arguments):
        raise _refusal(operation, "the files that were sent with it are not kept")
    return invocation


def _refusal(operation: Operation, why: str) -> ApiError:
    return CannotRepeat(f"The operation cannot be run again: {why}. Send its request.", id=operation.id)
