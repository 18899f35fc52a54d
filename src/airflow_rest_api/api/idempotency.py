"""The Idempotency-Key header: a request that was sent twice is done once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.keys import derived
from airflow_rest_api.asgi import local_path
from airflow_rest_api.errors import BadRequest, IdempotencyConflict, UnknownOperation
from airflow_rest_api.operations.model import Key, KeyTaken

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.files import Upload
    from airflow_rest_api.operations.model import Operation
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
    found = await context.operations.find_key(key.user, key.key)
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
    told: list[Any] = [path, what, [[name, *_content(files[name])] for name in sorted(files)]]
    text = json.dumps(told, sort_keys=True, default=str)
    return hmac.new(derived(LABEL), text.encode(), hashlib.sha256).hexdigest()


def _content(upload: Upload) -> tuple[str, str]:
    digest = hashlib.sha256()
    upload.content.seek(0)
    while piece := upload.content.read(_PIECE):
        digest.update(piece)
    upload.content.seek(0)
    return upload.filename, digest.hexdigest()
