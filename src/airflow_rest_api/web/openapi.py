"""The OpenAPI document: one path for each command, with a request model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from airflow_rest_api import __version__
from airflow_rest_api.api.commands import QUEUE_FIELD, command_schema, example, needed
from airflow_rest_api.api.models import (
    ACCEPTED,
    IDEMPOTENCY_KEY,
    PREFER,
    QUEUE,
    CommandDetail,
    ErrorBody,
    RunBody,
    errors,
    json_answer,
)
from airflow_rest_api.legacy import openapi as legacy
from airflow_rest_api.security.access import needs_in_words

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Command

VERSION = "3.0.3"
"""Of OpenAPI. openapi-generator calls what it makes of 3.1 a beta, and does not read lists of types."""

_OBJECT = {"type": "object", "additionalProperties": True}
"""Any JSON object; within a choice it has a name, as generators make a class of each part."""
_METHODS = ("get", "post", "put", "patch", "delete")
_SCHEMAS = "#/components/schemas/"


def plain(openapi: dict[str, Any]) -> dict[str, Any]:
    """
    Return an OpenAPI 3.1 document as one of 3.0.

    * What may be null is `nullable` (https://spec.openapis.org/oas/v3.0.3#schema-object).
    * A `default` stays with the parameters alone: for the properties of an object, clients send it as if it
      were given, and take them for always there.
    * A schema is called what it is called among the components, and has no title beside it.
    * What many operations share (errors, parameters) stands there once, and what none refers to is left out.
    """
    components = openapi["components"]
    schemas = {name: _schema(schema) for name, schema in components["schemas"].items()}
    schemas["JsonObject"] = _OBJECT
    responses: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for operation in _operations(openapi):
        given = [_parameter(each) for each in operation.get("parameters", ())]
        if given:
            operation["parameters"] = [_shared_parameter(each, parameters) for each in given]
        if "requestBody" in operation:
            _contents(operation["requestBody"])
        for status, response in operation["responses"].items():
            _contents(response)
            operation["responses"][status] = _shared_response(status, response, responses)
    made = {
        **openapi,
        "openapi": VERSION,
        "components": {
            **components,
            "schemas": schemas,
            "responses": dict(sorted(responses.items())),
            "parameters": dict(sorted(parameters.items())),
        },
    }
    used = _reachable(made)
    made["components"]["schemas"] = {name: schemas[name] for name in sorted(used)}
    return made


def _operations(openapi: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in openapi["paths"].values():
        yield from (path[method] for method in _METHODS if method in path)


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = _schema(parameter["schema"], property_=False)
    # An address has no null: what may be null may be left out.
    schema.pop("nullable", None)
    [*parts] = schema.get("allOf", ())
    return {**parameter, "schema": parts[0] if len(parts) == 1 and set(schema) == {"allOf"} else schema}


def _contents(holder: dict[str, Any]) -> None:
    for content in holder.get("content", {}).values():
        if "schema" in content:
            content["schema"] = _schema(content["schema"])


def _shared_parameter(parameter: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to a parameter that is one of all, and any other as it is."""
    name = parameter["name"].replace("-", "")
    if parameter["in"] != "header" or shared.setdefault(name, parameter) != parameter:
        return parameter
    return {"$ref": f"#/components/parameters/{name}"}


def _shared_response(status: str, response: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to an error that is the same everywhere, and any other answer as it is."""
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    if int(status) < 400 or schema != _reference("ErrorBody"):
        return response
    name = "".join(word.capitalize() for word in HTTPStatus(int(status)).name.split("_"))
    if shared.setdefault(name, response) != response:
        return response
    return {"$ref": f"#/components/responses/{name}"}


def _schema(schema: dict[str, Any], *, property_: bool = True) -> dict[str, Any]:
    """Return a schema of JSON Schema 2020-12 as one of OpenAPI 3.0."""
    made = {key: value for key, value in schema.items() if key != "title"}
    if property_:
        made.pop("default", None)
    elif made.get("default", ...) is None:
        del made["default"]
    if "$ref" in made:
        reference = {"$ref": made.pop("$ref")}
        # Nothing beside a reference counts in 3.0.
        return {**made, "allOf": [reference]} if made else reference
    if "const" in made:
        made["enum"] = [made.pop("const")]
    if examples := made.pop("examples", None):
        made["example"] = examples[0]
    if "properties" in made:
        made["properties"] = {name: _schema(each) for name, each in made["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _schema(made[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in made:
            parts = [_schema(each) if each != _OBJECT else _reference("JsonObject") for each in made[key]]
            made = _without_null(key, {**made, key: parts})
    return made


def _without_null(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    left = [each for each in schema[key] if each.get("type") != "null"]
    if len(left) == len(schema[key]):
        return schema
    rest = {name: value for name, value in schema.items() if name != key}
    if len(left) > 1:
        return {**rest, key: left, "nullable": True}
    [only] = left
    if "enum" in only:
        # Of these values null has to be one as well.
        only = {**only, "enum": [*only["enum"], None]}
    return {**({"allOf": [only]} if "$ref" in only else only), **rest, "nullable": True}


def _reachable(openapi: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that the paths lead to."""
    components = openapi["components"]
    schemas = components["schemas"]
    waiting = list(_references([openapi["paths"], components["responses"], components["parameters"]]))
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_SCHEMAS):
            yield reference.removeprefix(_SCHEMAS)
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


DESCRIPTION = """
Every command of the Airflow that runs this server, over REST.

Each request needs a token of Airflow's: `Authorization: Bearer <token>`, as `POST /auth/token` gives out.
Scripts of Airflow's own site may use the session of its UI instead.

A command that fails is a successful request: the answer is 200, the operation's `state` is `failed`. One that
takes longer than the request waits for it is answered with 202 and the address of its operation; the header
`Prefer` says how long that may be. With `Accept: text/event-stream` the answer to a command is its output as
it comes, in server-sent events.
"""
RUN_STATUSES = (400, 404, 408, 409, 413, 415, 429, 507)

ALONE = "other"
"""The tag of the commands of a single word, which the page lists together too."""
LARGE = (
    ("commands", "Commands", "What there is, and running a command line."),
    ("operations", "Operations", "What was run: see it, follow it, end it, run it again, fetch its files."),
    ("runners", "Runners", "Which there are, what they serve and run, and what waits for them."),
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
    for operation in _operations(openapi):
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
    paths[legacy.PATH] = legacy.path()
    schemas.update(legacy.schemas())
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
                "200": json_answer("The command and its arguments.", "CommandDetail"),
                **_errors((404,)),
            },
        },
        "post": {
            "tags": [_tag(command)],
            "operationId": f"run_{_identifier(command)}",
            "summary": command.help or command.name,
            "description": _description(command),
            "parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE],
            **_request_body(command, schemas),
            "responses": _run_responses(command),
        },
    }


def _request_body(command: Command, schemas: dict[str, Any]) -> dict[str, Any]:
    if not command.arguments:
        return {}
    required = bool(needed(command))
    reads_file = any(argument.file == "in" for argument in command.arguments)
    needs_file = any(argument.file == "in" and argument.required for argument in command.arguments)
    content: dict[str, Any] = {}
    if not needs_file:
        name = f"{_model_name(command)}Arguments"
        # What is tried out begins with what cannot be left out, and not with every argument there is.
        schemas[name] = {**_request_schema(command), "example": example(command)}
        content["application/json"] = {"schema": _reference(name)}
    if reads_file:
        name = f"{_model_name(command)}Form"
        schemas[name] = _request_schema(command, multipart=True)
        content["multipart/form-data"] = {"schema": _reference(name)}
    return {"requestBody": {"required": required, "content": content}}


def _request_schema(command: Command, *, multipart: bool = False) -> dict[str, Any]:
    """Return the schema of a request: beside the arguments it may have the queue that is to run it."""
    schema = command_schema(command, multipart=multipart)
    return {**schema, "properties": {"queue": QUEUE_FIELD, **schema["properties"]}}


def _run_responses(command: Command) -> dict[str, Any]:
    ended = json_answer("The command has ended; a failed one is a successful request.", "OperationBody")
    if any(argument.file == "out" for argument in command.arguments):
        ended["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    running = json_answer("The command has not ended yet.", "OperationBody")
    running["headers"] = ACCEPTED[202]["headers"]
    return {"200": ended, "202": running, **_errors(RUN_STATUSES)}


def _errors(statuses: Iterable[int]) -> dict[str, Any]:
    return {str(status): answer for status, answer in errors(*statuses).items()}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}{model}"}


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
