"""An operation as an answer: how long it is waited for (Prefer), and once for a request sent twice."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.responses import Response

from airflow_rest_api.airflow.keys import derived
from airflow_rest_api.api.models import CancelBody, OperationBody, as_json
from airflow_rest_api.asgi import header_parts, local_path, name_and_value, root_path
from airflow_rest_api.errors import (
    BadRequest,
    IdempotencyConflict,
    NoFile,
    RefusedByCommand,
    UnknownOperation,
)
from airflow_rest_api.operations.files import OCTETS
from airflow_rest_api.operations.model import Key, KeyTaken, State

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.files import Upload
    from airflow_rest_api.operations.model import Cancel, Operation, OutputFile
    from airflow_rest_api.security.caller import Caller


HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LABEL = b"airflow_rest_api idempotency key 1"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PIECE = 1024 * 1024

Start = Callable[["Key | None"], Awaitable["Operation"]]


async def key_of(
    request: Request, caller: Caller, what: object, files: Mapping[str, Upload] | None = None
) -> Key | None:
    """
    Return the key of a request, None where it has none.

    :param what: the arguments, good for JSON
    :param files: what was uploaded; each is read, and left as if it had not been
    :raises ApiError: the key is no key
    """
    found = request.headers.getlist(HEADER)
    if not found:
        return None
    # The draft of the IETF puts it into quotes, most clients do not.
    text = found[0].strip()
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if len(found) > 1 or not _KEY.fullmatch(text):
        raise BadRequest(
            f"{HEADER}: one key of up to 255 visible ASCII characters, without spaces",
            argument=HEADER,
        )
    path = local_path(request.scope)
    return Key(caller.name, text, await asyncio.to_thread(_fingerprint, path, what, files or {}))


async def once(context: Context, key: Key | None, start: Start) -> tuple[Operation, dict[str, str]]:
    """
    Return the operation that a request leads to, or that it led to when it came before; and headers.

    :param start: starts it; is given the key
    :raises ApiError: the key came before with another request
    """
    if key is None:
        return await start(None), {}
    found = await context.store.find_key(key.user, key.key)
    if found is None:
        try:
            return await start(key), {}
        except KeyTaken as taken:
            found = taken.identifier, taken.fingerprint
    identifier, fingerprint = found
    if not hmac.compare_digest(fingerprint, key.fingerprint):
        raise IdempotencyConflict(
            f"This {HEADER} came before, with another request.",
            id=identifier,
        )
    try:
        return await context.operations.peek(identifier), {REPLAYED: "true"}
    except UnknownOperation:
        # In the moment between the two it was given up: it never began.
        return await start(key), {}


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
    """Wait as long as the client wants to, and answer with the operation, or with the file it asked for."""
    preferred = preference_of(request, context.settings.default_wait)
    operation = await context.operations.wait(operation.id, preferred.wait)
    if operation.refused is not None:
        raise RefusedByCommand(operation.refused, id=operation.id)
    if operation.state.ended and _wants_file(request.headers.get("accept", "")):
        return await _only_file(context, operation)
    return answer_operation(request, operation, preferred, headers)


def answer_operation(
    request: Request,
    operation: Operation,
    preferred: Preference,
    more: Mapping[str, str] | None = None,
    cancel: Cancel | None = None,
) -> Response:
    """Answer with an operation: 200 when it has ended, 202 when not."""
    headers = {**preferred.headers, **(more or {})}
    if not operation.state.ended:
        # A path without a host is right behind every proxy.
        headers["Location"] = f"{root_path(request.scope)}/v2/operations/{operation.id}"
    body = OperationBody.of(operation) if cancel is None else CancelBody.after(operation, cancel)
    return answer_model(body, 200 if operation.state.ended else 202, headers)


def answer_model(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a model."""
    return Response(as_json(body), status, headers, media_type="application/json")


def answer_file(file: OutputFile, content: bytes, media_type: str | None = None) -> Response:
    """
    Answer with a file, for saving and not for showing.

    :param media_type: in place of that of the file, where the client asked for another one
    """
    disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    return Response(
        content, headers={"Content-Disposition": disposition}, media_type=media_type or file.media_type
    )


def _wants_file(accept: str) -> bool:
    """Return whether the file itself was asked for; `q=0` is the way to ask for anything else (RFC 9110)."""
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        if kind == OCTETS:
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


async def _only_file(context: Context, operation: Operation) -> Response:
    if operation.state is State.SUCCEEDED and len(operation.files) == 1:
        file = operation.files[0]
        return answer_file(file, await context.operations.file(operation.id, file.name), OCTETS)
    words = "wrote no file" if not operation.files else "wrote more than one file"
    raise NoFile(
        f"The command {words} (state {operation.state.value}); the operation {operation.id} says more.",
        id=operation.id,
    )
