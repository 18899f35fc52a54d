"""From the document that FastAPI makes to one that every generator of clients reads without a question."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

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


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}{name}"}


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
