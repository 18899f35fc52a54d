"""An operation as an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import BaseModel
from starlette.responses import Response

from airflow_rest_api.api.models import CancelBody, OperationBody, as_json
from airflow_rest_api.api.prefer import Preference, preference
from airflow_rest_api.asgi import root_path
from airflow_rest_api.errors import NoFile, RefusedByCommand
from airflow_rest_api.operations.files import OCTETS
from airflow_rest_api.operations.model import State

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.model import Cancel, Operation, OutputFile


def wishes(request: Request, default: float) -> Preference:
    """Return how long the client wants to wait."""
    return preference(request.headers.getlist("prefer"), default)


def leaves(context: Context, request: Request) -> bool:
    """Return whether the client does not wait at all."""
    return wishes(request, context.settings.default_wait).wait <= 0


async def answer_run(
    context: Context, request: Request, operation: Operation, headers: Mapping[str, str] | None = None
) -> Response:
    """Wait as long as the client wants to, and answer with the operation, or with the file it asked for."""
    wish = wishes(request, context.settings.default_wait)
    operation = await context.operations.wait(operation.id, wish.wait)
    if operation.refused is not None:
        raise RefusedByCommand(operation.refused, id=operation.id)
    if operation.state.ended and _wants_file(request.headers.get("accept", "")):
        return await _only_file(context, operation)
    return answer_operation(request, operation, wish, headers)


def answer_operation(
    request: Request,
    operation: Operation,
    wish: Preference,
    more: Mapping[str, str] | None = None,
    cancel: Cancel | None = None,
) -> Response:
    """Answer with an operation: 200 when it has ended, 202 when not."""
    headers = {**wish.headers, **(more or {})}
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
