"""From a request to its operation, once for one sent twice, and to the answer that it waits for (Prefer)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from airflow_rest_api.airflow.installation import derived
from airflow_rest_api.api.catalog import CATALOG, etag
from airflow_rest_api.api.context import caller_of, queue_of
from airflow_rest_api.api.following import follow
from airflow_rest_api.api.models import as_json, operation_json
from airflow_rest_api.api.sse import MEDIA_TYPE as EVENT_STREAM
from airflow_rest_api.api.waiting import ended
from airflow_rest_api.asgi import acceptance, header_parts, local_path, name_and_value, root_path
from airflow_rest_api.commands.masking import LONGEST_SHOWN
from airflow_rest_api.commands.model import STDOUT, Command, Invocation
from airflow_rest_api.errors import (
    ApiError,
    BadArgument,
    BadRequest,
    CannotRepeat,
    IdempotencyConflict,
    NoFile,
    RefusedByCommand,
    TooManyStreams,
    UnknownCommand,
    UnknownOperation,
)
from airflow_rest_api.operations.files import OCTETS, Upload, safe_name
from airflow_rest_api.operations.model import CUT, Key, KeyTaken, Origin, State
from airflow_rest_api.secret_names import MASK

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.operations.model import Cancel, Operation, OutputFile
    from airflow_rest_api.security.caller import Caller


HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LABEL = b"airflow_rest_api idempotency key 1"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PIECE = 1024 * 1024


async def origin_of(
    context: Context,
    request: Request,
    caller: Caller,
    what: object,
    files: Mapping[str, Upload] | None = None,
    queue: object = None,
) -> Origin:
    """
    Return what an operation has of its request: whether the client waits, and the key where there is one.

    :param what: the arguments, good for JSON
    :param files: what was uploaded; each is read, and left as if it had not been
    :param queue: what was sent as its argument `queue`, beside the header
    :raises ApiError: the key is no key, or the queue no queue
    """
    named = queue_of(request, queue)
    origin = Origin(leaves(context, request), queue=named)
    found = request.headers.getlist(HEADER)
    if not found:
        return origin
    # The draft of the IETF puts it into quotes, most clients do not.
    text = found[0].strip()
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if len(found) > 1 or not _KEY.fullmatch(text):
        raise BadRequest(
            f"{HEADER}: one key of up to 255 visible ASCII characters, without spaces", argument=HEADER
        )
    path = local_path(request.scope)
    asked = what if named is None else [what, named]
    fingerprint = await asyncio.to_thread(_fingerprint, path, asked, files or {})
    return replace(origin, key=Key(caller.name, text, fingerprint))


async def once(
    context: Context, origin: Origin, start: Callable[[], Awaitable[Operation]]
) -> tuple[Operation, dict[str, str]]:
    """
    Return the operation that a request leads to, or that it led to when it came before; and headers.

    :param start: starts it, with this origin
    :raises ApiError: the key came before with another request
    """
    if (key := origin.key) is None:
        return await start(), {}
    found = await context.store.find_key(key.user, key.key)
    while True:
        if found is None:
            try:
                return await start(), {}
            except KeyTaken as taken:
                found = taken.identifier, taken.fingerprint
        identifier, fingerprint = found
        if not hmac.compare_digest(fingerprint, key.fingerprint):
            raise IdempotencyConflict(f"This {HEADER} came before, with another request.", id=identifier)
        try:
            return await context.operations.peek(identifier), {REPLAYED: "true"}
        except UnknownOperation:
            # Meanwhile it was given up: it never began.
            found = None


def _fingerprint(path: str, what: object, files: Mapping[str, Upload]) -> str:
    """Return what tells one request from another and gives nothing of it away: not even to a guess."""
    request_parts: list[Any] = [path, what, [[name, *_content(files[name])] for name in sorted(files)]]
    text = json.dumps(request_parts, sort_keys=True, default=str)
    return hmac.new(derived(LABEL), text.encode(), hashlib.sha256).hexdigest()


def _content(upload: Upload) -> tuple[str, str]:
    digest = hashlib.sha256()
    upload.content.seek(0)
    while piece := upload.content.read(_PIECE):
        digest.update(piece)
    upload.content.seek(0)
    return upload.filename, digest.hexdigest()


FEW = 20
SHORT = 200
"""Arguments, and characters of one, that are checked in less time than a thread takes to begin."""


def check_room(
    context: Context, caller: Caller, origin: Origin, command: Command | None, given: Collection[str] = ()
) -> None:
    """
    Raise Busy where no command could begin anyway, before the arguments are looked at.

    A request with a key may be one that was answered before, and what runners run finds its room there.

    :param command: None where it is not known yet
    :param given: the arguments that the client has sent
    """
    if origin.key is None and context.gate.runs_here(command, given, origin.queue):
        context.operations.check_room(caller.name)


async def launch(
    context: Context,
    caller: Caller,
    command: Command,
    arguments: Mapping[str, Any],
    files: Mapping[str, Upload],
    origin: Origin,
) -> Operation:
    """Start a command with its arguments by name; JSON is asked for where the command can print it."""
    # First of all, so that those who may not learn nothing about their arguments.
    await context.gate.precheck(caller, command, queue=origin.queue)
    catalog = await context.catalog.get()
    named = _with_file_names(command, arguments, files)
    bind = partial(catalog.bind, command, named, json_output=True)
    invocation = await _checked(bind, named.values())
    return await _start(context, caller, catalog, invocation, files, origin)


async def launch_line(
    context: Context, caller: Caller, argv: Sequence[str], files: Mapping[str, Upload], origin: Origin
) -> Operation:
    """Start a command by its command line, as it is."""
    catalog = await context.catalog.get()
    invocation = await _checked(partial(catalog.parse, argv), argv)
    await context.gate.precheck(caller, invocation.command, invocation, queue=origin.queue)
    _refuse_stray_files(invocation.command, files)
    return await _start(context, caller, catalog, invocation, files, origin)


async def _start(
    context: Context,
    caller: Caller,
    catalog: Catalog,
    invocation: Invocation,
    files: Mapping[str, Upload],
    origin: Origin,
) -> Operation:
    """Start a checked command that the caller may run; raise Forbidden where they may not."""
    permit = await context.gate.authorize(caller, invocation, queue=origin.queue)
    return await context.operations.start(permit, invocation, files=files, parser=catalog, origin=origin)


async def _checked(check: Callable[[], Invocation], given: Collection[object]) -> Invocation:
    """Return what a check of arguments returns, from a thread where it may take longer than that."""
    if len(given) <= FEW and all(map(_is_short, given)):
        return check()
    return await asyncio.to_thread(check)


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        # What a set of a regular expression costs does not depend on how long it is: [Ā-￿]
        return len(value) <= SHORT and "[" not in value
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


async def run_again(context: Context, caller: Caller, operation: Operation, origin: Origin) -> Operation:
    """
    Start the command of an operation once more.

    :raises ApiError: what it ran cannot be read off its record
    :raises Forbidden: the caller may not run it, now
    """
    catalog = await context.catalog.get()
    invocation = await asyncio.to_thread(_invocation, catalog, operation)
    origin = replace(origin, rerun_of=operation.id, queue=origin.queue or operation.queue)
    await context.gate.precheck(caller, invocation.command, invocation, queue=origin.queue)
    return await _start(context, caller, catalog, invocation, {}, origin)


def _invocation(catalog: Catalog, operation: Operation) -> Invocation:
    if any(word == CUT or MASK in word or len(word) > LONGEST_SHOWN for word in operation.argv):
        raise _refusal(operation, "its arguments are not kept: a secret, or a very long value is among them")
    try:
        invocation = catalog.parse(operation.argv, as_it_is=True)
    except (UnknownCommand, BadArgument):
        raise _refusal(operation, "it was not one command of Airflow") from None
    if invocation.command.name != operation.command:
        raise _refusal(operation, "it was not one command of Airflow")
    if any(a.file == "in" and a.name in invocation.given for a in invocation.command.arguments):
        raise _refusal(operation, "the files that were sent with it are not kept")
    return invocation


def _refusal(operation: Operation, why: str) -> ApiError:
    return CannotRepeat(f"The operation cannot be run again: {why}. Send its request.", id=operation.id)


LONGEST_WAIT = 3600


@dataclass(frozen=True)
class Preference:
    """How long to wait, and what of the client's wishes was followed (``Preference-Applied``)."""

    wait: float
    applied: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The header that says so."""
        return {"Preference-Applied": self.applied} if self.applied else {}


def preference(headers: Iterable[str], default: float) -> Preference:
    """
    Read the Prefer headers of a request.

    ``wait=N`` waits up to N seconds, ``respond-async`` not at all, and both together N seconds at most. The
    first of two that say the same counts, and what cannot be read is ignored: a preference is no order (RFC
    7240, section 2).
    """
    found: dict[str, str] = {}
    for header in headers:
        for one in header_parts(header, ","):
            # What follows a semicolon is a parameter of the preference; none of ours has one.
            name, value = name_and_value(next(header_parts(one, ";")))
            found.setdefault(name, value)
    wait = found.get("wait", "")
    if wait.isascii() and wait.isdigit():
        seconds = min(int(wait[:9]), LONGEST_WAIT)
        applied = f"wait={seconds}"
        return Preference(seconds, f"respond-async, {applied}" if "respond-async" in found else applied)
    if "respond-async" in found:
        return Preference(0, "respond-async")
    return Preference(default)


def preference_of(request: Request, default: float) -> Preference:
    """Return how long the client wants to wait."""
    return preference(request.headers.getlist("prefer"), default)


def leaves(context: Context, request: Request) -> bool:
    """Return whether the client does not wait at all."""
    return preference_of(request, context.settings.default_wait).wait <= 0


async def answer_run(
    context: Context, request: Request, operation: Operation, headers: Mapping[str, str] | None = None
) -> Response:
    """
    Answer with what the client accepts: the operation, as soon as it ends or the client has waited long
    enough for that; the file that it wrote; or its events, from the beginning.
    """
    headers = {**(headers or {}), CATALOG: etag(await context.catalog.get())}
    accept = request.headers.get("accept", "")
    if _accepts(accept, EVENT_STREAM):
        # Before it ends the stream is on its way, so that a client which is cut off knows what to follow.
        headers["Location"] = _location(request, operation)
        # It has begun: with one stream too many it is answered as if none had been asked for.
        with suppress(TooManyStreams):
            return await follow(context, caller_of(request), operation.id, headers=headers)
    preferred = preference_of(request, context.settings.default_wait)
    operation = await ended(context, request, operation.id, preferred.wait)
    if operation.refused is not None:
        raise RefusedByCommand(operation.refused, id=operation.id)
    if operation.state.ended and (file := await _only_file(context, operation, accept)):
        return file
    return await answer_operation(request, operation, preferred, headers)


async def answer_operation(
    request: Request,
    operation: Operation,
    preferred: Preference,
    more: Mapping[str, str] | None = None,
    cancel: Cancel | None = None,
) -> Response:
    """Answer with an operation: 200 when it has ended, 202 when not."""
    headers = {**preferred.headers, **(more or {})}
    if not operation.state.ended:
        headers["Location"] = _location(request, operation)
    content = await operation_json(operation, cancel)
    return Response(content, 200 if operation.state.ended else 202, headers, media_type="application/json")


def answer_model(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a model."""
    return Response(as_json(body), status, headers, media_type="application/json")


def answer_part(offset: int, data: bytes, *, end: bool) -> Response:
    """Answer with a part of an output that begins at an offset, and with whether nothing will follow it."""
    headers = {
        "X-Output-Offset": str(offset),
        "X-Output-Next": str(offset + len(data)),
        "X-Output-End": "true" if end else "false",
    }
    return PlainTextResponse(data, headers=headers)


def answer_file(file: OutputFile, content: bytes, media_type: str | None = None) -> Response:
    """
    Answer with a file, for saving and not for showing.

    :param media_type: in place of that of the file, where the client asked for another one
    """
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"}
    return Response(content, headers=headers, media_type=media_type or file.media_type)


def _location(request: Request, operation: Operation) -> str:
    """Return where an operation is: a path without a host, which is right behind every proxy."""
    return f"{root_path(request.scope)}/v2/operations/{operation.id}"


def _accepts(accept: str, media_type: str) -> bool:
    """Return whether this very type was asked for; `q=0` is the way to ask for anything else (RFC 9110)."""
    return acceptance(accept, media_type)[1]


async def _only_file(context: Context, operation: Operation, accept: str) -> Response | None:
    """Return the only file that a command wrote; None where JSON is rather wanted, or will do instead."""
    octets, in_json = acceptance(accept, OCTETS), acceptance(accept, "application/json")
    single = operation.state is State.SUCCEEDED and len(operation.files) == 1
    # Alike wanted are all types of an operation to generated clients, which name them.
    if not octets[1] or in_json >= octets or (in_json[0] and not single):
        return None
    if single:
        file = operation.files[0]
        return answer_file(file, await context.operations.file(operation.id, file.name), OCTETS)
    words = "wrote more than one file" if operation.files else "wrote no file"
    words = words if operation.state is State.SUCCEEDED else "has not succeeded"
    raise NoFile(
        f"The command {words} (state {operation.state.value}); the operation {operation.id} says more.",
        id=operation.id,
    )
