"""From a request, or the record of an operation, to a running command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_rest_api.api.answers import HEADER
from airflow_rest_api.commands.masking import LONGEST_SHOWN
from airflow_rest_api.commands.model import STDOUT
from airflow_rest_api.errors import ApiError, BadArgument, CannotRepeat, UnknownCommand
from airflow_rest_api.operations.files import safe_name
from airflow_rest_api.operations.model import Origin
from airflow_rest_api.secret_names import MASK

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Command, Invocation
    from airflow_rest_api.operations.files import Upload
    from airflow_rest_api.operations.model import Key, Operation
    from airflow_rest_api.security.caller import Caller


FEW = 20
SHORT = 200
"""Arguments, and characters of one, that are checked in less time than a thread takes to begin."""


def check_room(context: Context, request: Request, caller: Caller) -> None:
    """
    Raise Busy where no command could begin anyway, before the body is read and the arguments are looked at.

    A request with a key may be one that was answered before.
    """
    if HEADER not in request.headers:
        context.operations.check_room(caller.name)


async def launch(
    context: Context,
    caller: Caller,
    command: Command,
    arguments: Mapping[str, Any],
    files: Mapping[str, Upload],
    *,
    recorded: bool = False,
    key: Key | None = None,
) -> Operation:
    """
    Start a command with its arguments by name; JSON is asked for where the command can print it.

    :param recorded: the client will not wait: the operation is in the database first
    :param key: under which the request may come again
    """
    # First of all, so that those who may not learn nothing about their arguments.
    await context.gate.precheck(caller, command)
    catalog = await context.catalog.get()
    named = _with_file_names(command, arguments, files)
    bind = partial(catalog.bind, command, named, json_output=True)
    invocation = await _checked(bind, named.values())
    return await start(context, caller, catalog, invocation, files, recorded=recorded, key=key)


async def launch_line(
    context: Context,
    caller: Caller,
    argv: Sequence[str],
    files: Mapping[str, Upload],
    *,
    recorded: bool = False,
    key: Key | None = None,
) -> Operation:
    """Start a command by its command line, as it is; the parameters are those of `launch`."""
    catalog = await context.catalog.get()
    invocation = await _checked(partial(catalog.parse, argv), argv)
    await context.gate.precheck(caller, invocation.command, invocation)
    _refuse_stray_files(invocation.command, files)
    return await start(context, caller, catalog, invocation, files, recorded=recorded, key=key)


async def start(
    context: Context,
    caller: Caller,
    catalog: Catalog,
    invocation: Invocation,
    files: Mapping[str, Upload],
    *,
    recorded: bool,
    key: Key | None,
    rerun_of: str | None = None,
) -> Operation:
    """Start a checked command that the caller may run; raise Forbidden where they may not."""
    permit = await context.gate.authorize(caller, invocation)
    return await context.operations.start(
        permit,
        invocation,
        files=files,
        parser=catalog,
        origin=Origin(recorded, key, rerun_of),
    )


async def _checked(check: Callable[[], Invocation], given: Collection[object]) -> Invocation:
    """Return what a check of arguments returns, from a thread where it may take longer than that."""
    if len(given) <= FEW and all(map(_is_short, given)):
        return check()
    return await asyncio.to_thread(check)


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= SHORT
    # A number can stand for as many flags.
    return value is None or (isinstance(value, int) and value <= FEW)


def _with_file_names(
    command: Command, arguments: Mapping[str, Any], files: Mapping[str, Upload]
) -> dict[str, Any]:
    """Return the arguments with a name for each file: what the client calls it, or what we do."""
    named = dict(arguments)
    _refuse_stray_files(command, files)
    for argument in command.arguments:
        if argument.file == "in":
            if argument.name in files:
                named[argument.name] = safe_name(files[argument.name].filename)
            elif named.get(argument.name) is not None:
                raise BadArgument(
                    argument.name,
                    f"argument {argument.name}: send the file itself, as a part of multipart/form-data",
                )
        elif argument.file == "out":
            if argument.dash and named.get(argument.name) == STDOUT:
                continue
            if isinstance(name := named.get(argument.name), str):
                named[argument.name] = safe_name(name)
            elif name is None and argument.required:
                named[argument.name] = _default_name(command, named)
    return named


def _refuse_stray_files(command: Command, files: Mapping[str, Upload]) -> None:
    for name in files:
        argument = command.argument(name)
        if argument is None:
            raise BadArgument(name, f"{command.name} has no argument {name}")
        if argument.file != "in":
            raise BadArgument(name, f"argument {name}: does not take a file")


def _default_name(command: Command, arguments: Mapping[str, Any]) -> str:
    chosen = arguments.get("file_format") or arguments.get("format")
    return safe_name(f"{'-'.join(command.path)}.{chosen if isinstance(chosen, str) else 'json'}")


async def run_again(
    context: Context, caller: Caller, operation: Operation, *, recorded: bool, key: Key | None
) -> Operation:
    """
    Start the command of an operation once more.

    :raises ApiError: what it ran cannot be read off its record
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
