"""Running a command by its command line."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from airflow_rest_api import json_text
from airflow_rest_api.api.answer import answer_run, leaves
from airflow_rest_api.api.body import Body, read_body, validated
from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.api.idempotency import key_of, once
from airflow_rest_api.api.launch import check_room, launch_line
from airflow_rest_api.api.models import RunBody
from airflow_rest_api.api.responses import IDEMPOTENCY_KEY, PREFER, RUN_RESPONSES
from airflow_rest_api.errors import BadJson, BadRequest
from airflow_rest_api.parsing_threads import read_aside
from airflow_rest_api.security.routes import Needs, needs

router = APIRouter(prefix="/v2", tags=["commands"])

_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "argv": {"type": "string", "description": "The JSON text of the list.", "examples": ['["version"]']}
    },
    "required": ["argv"],
    "additionalProperties": {"type": "string", "format": "binary"},
    "description": "Each file as a part called like the argument that reads it.",
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/RunBody"}},
        "multipart/form-data": {"schema": _FORM},
    },
}


@router.post(
    "/run",
    operation_id="run",
    responses=RUN_RESPONSES,
    openapi_extra={"requestBody": _BODY, "parameters": [PREFER, IDEMPOTENCY_KEY]},
)
@needs(Needs.COMMAND)
async def run(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Run a command line, given as the list of the words after `airflow`.

    An argument that names a file to be read needs that file as a part of multipart/form-data; the name of a
    file to be written is the name under which the operation has it.
    """
    check_room(context, request, caller)
    async with read_body(request, context.settings.max_upload) as body:
        argv = await _argv(body)
        key = await key_of(request, caller, argv, body.files)
        operation, headers = await once(
            context,
            key,
            lambda key: launch_line(
                context, caller, argv, body.files, recorded=leaves(context, request), key=key
            ),
        )
    return await answer_run(context, request, operation, headers)


async def _argv(body: Body) -> list[str]:
    values = body.values
    if body.form:
        fields = values.get("argv", [])
        if set(values) - {"argv"} or len(fields) != 1:
            raise BadRequest("argv: one field with the JSON text of the list of words", argument="argv")
        try:
            words = await read_aside(len(fields[0]), partial(json_text.loads, fields[0]))
            values = {"argv": words}
        except ValueError:
            raise BadJson("argv: the field is no JSON", argument="argv") from None
    return validated(RunBody, values, strict=True).argv
