"""The arguments in the body of a request: a JSON object, or a form with files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message

from airflow_rest_api.multipart import Ending
from airflow_rest_api.operations.files import Upload
from airflow_rest_api.problem import Problem

MOST_FILES = 20
MOST_FIELDS = 1000
LONG_BODY = 64 * 1024

M = TypeVar("M", bound=BaseModel)


@dataclass
class Body:
    """What a request brought: values by name (those of a form as lists of text) and files by name."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    form: bool = False


@asynccontextmanager
async def read_body(request: Request, limit: int) -> AsyncIterator[Body]:
    """
    Read the body of a request; uploaded files can be read until the context ends.

    :param limit: bytes that the body may have
    :raises Problem: the body is too large, of another type, or not what its type says
    """
    request, ending = _limited(request, limit)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=limit) as form:
            if not ending.complete:
                raise Problem(400, "bad_request", "The body ends before its last boundary.")
            yield _from_form(form)
        return
    content = await request.body()
    if not content.strip():
        yield Body()
    elif kind == "application/json" or kind.endswith("+json"):
        parse = asyncio.to_thread(_from_json, content) if len(content) > LONG_BODY else None
        yield Body(await parse if parse else _from_json(content))
    else:
        raise Problem(
            415,
            "unsupported_media_type",
            f"A body of type {kind or 'nothing'!r} is not taken: send JSON or multipart/form-data.",
        )


async def read_model(request: Request, limit: int, model: type[M], *, strict: bool = False) -> M:
    """
    Read a body that has to be JSON, after the caller was let in and within a limit.

    FastAPI would read it before, however long it is.

    :param limit: bytes that the body may have
    :param strict: take nothing of another type, as "1" for a number
    :raises Problem: the body is too large, no JSON, or not what the model says
    """
    async with read_body(request, limit) as body:
        if body.form:
            raise Problem(415, "unsupported_media_type", "A form is not taken here: send JSON.")
        return validated(model, body.values, strict=strict)


def validated(model: type[M], values: dict[str, Any], *, strict: bool = False) -> M:
    """Return what a client sent as a model says it is; raise Problem."""
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as error:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"]]
        raise Problem(400, "bad_request", f"{'.'.join(place)}: {first['msg']}", argument=place[0]) from None


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the body that `read_model` reads for OpenAPI; answers describe the parts of the model."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"required": required, "content": {"application/json": {"schema": schema}}}


@asynccontextmanager
async def read_form(request: Request, limit: int, files: int) -> AsyncIterator[FormData]:
    """
    Read a body that has to be multipart/form-data; uploaded files can be read until the context ends.

    :param limit: bytes that the body may have
    :param files: that it may have
    :raises Problem: the body is too large, of another type, or not what its type says
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem(
            415, "unsupported_media_type", f"A body of type {kind!r} is not taken: send multipart/form-data."
        )
    request, ending = _limited(request, limit)
    async with request.form(max_files=files, max_fields=MOST_FIELDS, max_part_size=LONG_BODY) as form:
        if not ending.complete:
            raise Problem(400, "bad_request", "The body ends before its last boundary.")
        yield form


def _limited(request: Request, limit: int) -> tuple[Request, Ending]:
    """Return the request with a body that ends at a limit, and what watches its end."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    ending = Ending(request.headers.get("content-type", ""))
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        chunk = message.get("body", b"")
        seen += len(chunk)
        ending.add(chunk)
        if seen > limit:
            raise _too_large(limit)
        return message

    return Request(request.scope, receive), ending


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "too_large",
        f"The body has more than {limit} bytes ([rest_api_plugin] max_upload).",
        headers={"Connection": "close"},
    )


def _from_json(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        words = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem(400, "bad_json", f"The body is no JSON: {words}") from None
    if not isinstance(value, dict):
        raise Problem(400, "bad_json", "The body must be a JSON object.")
    return value


def _from_form(form: FormData) -> Body:
    body = Body(form=True)
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name in body.files:
                raise Problem(
                    400, "bad_argument", f"{name}: there is more than one file of this name.", argument=name
                )
            body.files[name] = Upload(value.filename or name, value.file)
        else:
            body.values.setdefault(name, []).append(value)
    return body
