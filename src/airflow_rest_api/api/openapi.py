"""The OpenAPI document: one path for each command, with a request model of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from airflow_rest_api import __version__
from airflow_rest_api.api import openapi_legacy
from airflow_rest_api.api.models import CommandDetail, ErrorBody, RunBody
from airflow_rest_api.api.openapi_plain import plain
from airflow_rest_api.api.responses import ERRORS, EVERYWHERE, IDEMPOTENCY_KEY, PREFER
from airflow_rest_api.api.schema import command_schema, example
from airflow_rest_api.security.access import needs_in_words

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Command

DESCRIPTION = """
Every command of the Airflow that runs this server, over REST.

Each request needs a token of Airflow's: `Authorization: Bearer <token>`, as `POST /auth/token` gives out.
Scripts of Airflow's own site may use the session of its UI instead.

A command that fails is a successful request: the answer is 200, the operation's `state` is `failed`. One that
takes longer than the request waits for it is answered with 202 and the address of its operation; the header
`Prefer` says how long that may be.
"""
RUN_STATUSES = (400, 404, 408, 409, 413, 415, 429)

ALONE = "other"
"""The tag of the commands of a single word, which the page lists together too."""
LARGE = (
    ("commands", "Commands", "What there is, and running a command line."),
    ("operations", "Operations", "What was run: see it, follow it, end it, run it again, fetch its files."),
    ("services", "Services", "The components: start, look at, follow and stop them."),
    ("dag files", "DAG files", "Deploy, check, compare, bring back and delete the files of DAG bundles."),
    (
        "old endpoints",
        "Old endpoints",
        "The 26 endpoints of the Airflow 1.x plugin, and who still calls them.",
    ),
)
"""The tags of what is no command by its name, with the view of the page that each belongs to."""


def document(routes: Iterable[BaseRoute], catalog: Catalog, root_path: str) -> dict[str, Any]:
    """
    Return the OpenAPI document, of version 3.0.3: what generators read of 3.1 differs between them.

    :param root_path: the path under which the client sees the app
    """
    openapi: dict[str, Any] = get_openapi(
        title="Airflow commands over REST",
        version=__version__,
        description=DESCRIPTION.strip(),
        routes=list(routes),
        servers=[{"url": root_path or "/"}],
    )
    schemas, paths = openapi["components"]["schemas"], openapi["paths"]
    # Wrong parameters are answered with 400 and our own shape.
    for path in paths.values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    schemas.update(_models())
    openapi["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of Airflow's.",
        }
    }
    openapi["security"] = [{"bearer": []}]
    for command in catalog.commands.values():
        paths[f"/v2/commands/{'/'.join(command.path)}"] = _path(command, schemas)
    paths[openapi_legacy.PATH] = openapi_legacy.path()
    schemas.update(openapi_legacy.schemas())
    _add_tags(openapi, catalog)
    return plain(openapi)


def _models() -> dict[str, Any]:
    """Return the schemas of the models that no route names to FastAPI."""
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(RunBody, "validation")]
    inputs += [(model, "serialization") for model in (ErrorBody, CommandDetail)]
    _, found = models_json_schema(inputs, ref_template="#/components/schemas/{model}")
    models: dict[str, Any] = found["$defs"]
    return models


def _path(command: Command, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return what can be done with a command; the schemas of its arguments go to the others."""
    return {
        "get": {
            "tags": [_tag(command)],
            "operationId": f"get_{_identifier(command)}",
            "summary": f"About {command.name}",
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
            **_request_body(command, schemas),
            "responses": _run_responses(command),
        },
    }


def _request_body(command: Command, schemas: dict[str, Any]) -> dict[str, Any]:
    if not command.arguments:
        return {}
    required = any(argument.required and argument.file != "out" for argument in command.arguments)
    reads_file = any(argument.file == "in" for argument in command.arguments)
    needs_file = any(argument.file == "in" and argument.required for argument in command.arguments)
    content: dict[str, Any] = {}
    if not needs_file:
        name = f"{_model_name(command)}Arguments"
        # What is tried out begins with what cannot be left out, and not with every argument there is.
        schemas[name] = {**command_schema(command), "example": example(command)}
        content["application/json"] = {"schema": _reference(name)}
    if reads_file:
        name = f"{_model_name(command)}Form"
        schemas[name] = command_schema(command, multipart=True)
        content["multipart/form-data"] = {"schema": _reference(name)}
    return {"requestBody": {"required": required, "content": content}}


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
    return {str(status): _answer(ERRORS[status], "ErrorBody") for status in sorted({*statuses, *EVERYWHERE})}


def _answer(description: str, model: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _reference(model)}}}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _description(command: Command) -> str:
    parts = [command.description, f"Effect: {command.effect.value}."]
    if words := needs_in_words(command):
        parts.append(f"Needs: {words}.")
    return "\n\n".join(part for part in parts if part)


def _add_tags(openapi: dict[str, Any], catalog: Catalog) -> None:
    """Say what the tags are, and group them as the page does: `x-tagGroups`, which ReDoc reads."""
    groups = sorted(
        {_tag(command) for command in catalog.commands.values()}, key=lambda tag: (tag == ALONE, tag)
    )
    described = {
        group: catalog.groups.get(group) or f"The commands of `airflow {group}`." for group in groups
    }
    if ALONE in described:
        described[ALONE] = "The commands of a single word."
    large = [{"name": tag, "description": words} for tag, _, words in LARGE]
    small = [{"name": group, "description": words} for group, words in described.items()]
    openapi["tags"] = [large[0], *small, *large[1:]]
    openapi["x-tagGroups"] = [
        {"name": title, "tags": [tag, *(groups if tag == "commands" else ())]} for tag, title, _ in LARGE
    ]


def _tag(command: Command) -> str:
    return command.path[0] if len(command.path) > 1 else ALONE


def _identifier(command: Command) -> str:
    # Two underscores between the words, so that "a b-c" and "a-b c" stay two.
    return "__".join(word.replace("-", "_") for word in command.path)


def _model_name(command: Command) -> str:
    return "".join(part.capitalize() for word in command.path for part in word.split("-"))
