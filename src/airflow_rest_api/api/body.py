"""The arguments in the body of a request: a JSON object, or a form with files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from airflow_rest_api import json_text
from airflow_rest_api.errors import (
    CLOSE,
    ApiError,
    BadArgument,
    BadJson,
    BadRequest,
    TooLarge,
    UnsupportedMediaType,
)
from airflow_rest_api.header_values import media_type
from airflow_rest_api.multipart import read_multipart
from airflow_rest_api.operations.files import Upload
from airflow_rest_api.parsing_threads import read_aside

MOST_FILES = 20
MOST_FIELDS = 1000
"""Fields of a form, or members of a JSON object."""
LONGEST_FIELD = 64 * 1024
LONGEST_JSON = 8 * 1024 * 1024
"""Bytes of a JSON body, which is held in memory; a form may be as long as an upload."""
MULTIPART = "multipart/form-data"

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
    :raises ApiError: the body is too large, of another type, or not what its type says
    """
    kind = media_type(request.headers.get("content-type", ""))
    if kind == MULTIPART:
        async with _form(request, limit, MOST_FILES, limit) as form:
            yield _from_form(form)
        return
    is_json = kind == "application/json" or kind.endswith("+json")
    content = b"".join([chunk async for chunk in _limited(request, min(limit, LONGEST_JSON))])
    if not content.strip():
        yield Body()
    elif is_json:
        yield Body(await read_aside(len(content), partial(_from_json, content)))
    else:
        raise _other_type(kind, "JSON or multipart/form-data")


async def read_model(request: Request, limit: int, model: type[M], *, strict: bool = False) -> M:
    """
    Read a body that has to be JSON, after the caller was let in and within a limit.

    FastAPI would read it before, however long it is.

    :param limit: bytes that the body may have
    :param strict: take nothing of another type, as "1" for a number
    :raises ApiError: the body is too large, no JSON, or not what the model says
    """
    async with read_body(request, limit) as body:
        if body.form:
            raise UnsupportedMediaType("A form is not taken here: send JSON.")
        return validated(model, body.values, strict=strict)


def validated(model: type[M], values: dict[str, Any], *, strict: bool = False) -> M:
    """Return what a client sent as a model says it is; raise ApiError."""
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as error:
        # All are made for the one: bodies have few members, and a list fails with its first wrong item.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = [str(part) for part in first["loc"]]
        raise BadRequest(f"{'.'.join(place)}: {first['msg']}", argument=place[0]) from None


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
    :raises ApiError: the body is too large, of another type, or not what its type says
    """
    kind = media_type(request.headers.get("content-type", ""))
    if kind != MULTIPART:
        raise _other_type(kind, MULTIPART)
    async with _form(request, limit, files, LONGEST_FIELD) as form:
        yield form


@asynccontextmanager
async def _form(request: Request, limit: int, files: int, part: int) -> AsyncIterator[FormData]:
    try:
        form = await read_multipart(
            request.headers, _limited(request, limit), files=files, fields=MOST_FIELDS, part=part
        )
    except MultiPartException as error:
        raise BadRequest(f"The body is no {MULTIPART}: {error.message}") from None
    try:
        yield form
    finally:
        await form.close()


async def _limited(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes, up to a limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> ApiError:
    return TooLarge(
        f"The body has more than {limit} bytes ([rest_api_plugin] max_upload, and {LONGEST_JSON} of JSON).",
        headers=CLOSE,
    )


def _other_type(kind: str, wanted: str) -> ApiError:
    return UnsupportedMediaType(
        f"A body of type {kind[:100] or 'nothing'!r} is not taken: send {wanted}.",
    )


def _from_json(content: bytes) -> dict[str, Any]:
    try:
        value = json_text.loads(content)
    except json_text.TooMany as error:
        raise BadJson(f"The body {error}.") from None
    except ValueError as error:
        raise BadJson(f"The body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadJson("The body must be a JSON object.")
    if len(value) > MOST_FIELDS:
        raise BadJson(f"The body has more than {MOST_FIELDS} members.")
    return value


def _from_form(form: FormData) -> Body:
    body = Body(form=True)
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name in body.files:
                raise BadArgument(name, f"{name}: there is more than one file of this name.")
            body.files[name] = Upload(value.filename or name, value.file)
        else:
            body.values.setdefault(name, []).append(value)
    return body
