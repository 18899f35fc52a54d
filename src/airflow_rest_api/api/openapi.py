"""The OpenAPI document: one path for each command, with a request model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from airflow_rest_api import __version__
from airflow_rest_api.api.models import CommandDetail, Error, RunBody
from airflow_rest_api.api.responses import ERRORS, EVERYWHERE, IDEMPOTENCY_KEY, PREFER
from airflow_rest_api.api.schema import command_schema
from airflow_rest_api.security.access import needs_in_words

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from airflow_rest_api.commands.model import Command

DESCRIPTION = """
Every command of the Airflow that runs this server, over REST.

Each request needs a token of Airflow's: `Authorization: Bearer <token>`, as `POST /auth/token` gives out.
A command that fails is a successful request: the answer is 200, the operation's `state` is `failed`.
"""
RUN_STATUSES = (400, 404, 408, 409, 413, 415, 429)


def document(routes: Iterable[BaseRoute], commands: Mapping[str, Command], root_path: str) -> dict[str, Any]:
    """
    Return the OpenAPI document.

    :param root_path: the path under which the client sees the app
    """
    openapi: dict[str, Any] = get_openapi(
        title="Airflow commands over REST",
        version=__version__,
        description=DESCRIPTION,
        routes=list(routes),
        servers=[{"url": root_path or "/"}],
    )
    schemas = openapi["components"]["schemas"]
    # Wrong parameters are answered with 400 and our own shape.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(_models())
    for path in openapi["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    openapi["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of Airflow's.",
        }
    }
    openapi["security"] = [{"bearer": []}]
    for command in commands.values():
        schemas[_model_name(command)] = command_schema(command)
        openapi["paths"][f"/v2/commands/{'/'.join(command.path)}"] = _path(command)
    openapi["tags"] = _tags(commands.values())
    return openapi


def _models() -> dict[str, Any]:
    """Return the schemas of the models that no route names to FastAPI."""
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(RunBody, "validation")]
    inputs += [(model, "serialization") for model in (Error, CommandDetail)]
    _, found = models_json_schema(inputs, ref_template="#/components/schemas/{model}")
    models: dict[str, Any] = found["$defs"]
    return models


def _path(command: Command) -> dict[str, Any]:
    return {
        "get": {
            "tags": [_tag(command)],
            "operationId": f"get_{_identifier(command)}",
            "summary": f"About `{command.name}`",
            "responses": {
                "200": _answer("The command and its arguments.", "CommandDetail"),
                **_errors((404,)),
            },
        },
        "post": {
            "tags": [_tag(command)],
            "operationId": f"run_{_identifier(command)}",
            "summary": command.help or command.name,
            "description": _description(command),
            "parameters": [PREFER, IDEMPOTENCY_KEY],
            "requestBody": _request_body(command),
            "responses": _run_responses(command),
        },
    }


def _request_body(command: Command) -> dict[str, Any]:
    required = any(argument.required and argument.file != "out" for argument in command.arguments)
    reads_file = any(argument.file == "in" for argument in command.arguments)
    needs_file = any(argument.file == "in" and argument.required for argument in command.arguments)
    content: dict[str, Any] = {}
    if not needs_file:
        content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{_model_name(command)}"}}
    if reads_file:
        content["multipart/form-data"] = {"schema": command_schema(command, multipart=True)}
    return {"required": required, "content": content}


def _run_responses(command: Command) -> dict[str, Any]:
    ended = _answer("The command has ended; a failed one is a successful request.", "OperationBody")
    if any(argument.file == "out" for argument in command.arguments):
        ended["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    running = _answer("The command has not ended yet.", "OperationBody")
    running["headers"] = {
        "Location": {"description": "Where the operation is.", "schema": {"type": "string"}}
    }
    return {"200": ended, "202": running, **_errors(RUN_STATUSES)}


def _errors(statuses: Iterable[int]) -> dict[str, Any]:
    return {str(status): _answer(ERRORS[status], "Error") for status in sorted({*statuses, *EVERYWHERE})}


def _answer(description: str, model: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }


def _description(command: Command) -> str:
    parts = [command.description, f"Effect: {command.effect.value}."]
    if words := needs_in_words(command):
        parts.append(f"Needs: {words}.")
    return "\n\n".join(part for part in parts if part)


def _tags(commands: Iterable[Command]) -> list[dict[str, str]]:
    groups = sorted({_tag(command) for command in commands})
    return [
        {"name": "commands", "description": "What there is, and running a command line."},
        {"name": "operations", "description": "The commands that were run."},
        *({"name": group, "description": f"The commands of `airflow {group}`."} for group in groups),
    ]


def _tag(command: Command) -> str:
    return command.path[0]


def _identifier(command: Command) -> str:
    # Two underscores between the words, so that "a b-c" and "a-b c" stay two.
    return "__".join(word.replace("-", "_") for word in command.path)


def _model_name(command: Command) -> str:
    return "".join(part.capitalize() for word in command.path for part in word.split("-")) + "Arguments"
