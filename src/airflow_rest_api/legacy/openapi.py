"""The endpoints of the 1.x plugin in the OpenAPI document: one address, told apart by `api`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_rest_api.api.models import json_answer
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.legacy.model import PATH

if TYPE_CHECKING:
    from airflow_rest_api.legacy.model import Endpoint, EndpointArgument

__all__ = ["PATH", "path", "schemas"]

DESCRIPTION = """
`api` says which endpoint, and each one takes the arguments that are named below. They may come in the query,
as a form, as multipart/form-data or as JSON; the query comes first. A check box counts when it is there, but
for `false`, `off`, `0` and `no`. Every answer is an envelope: `output`, and `result` where the command has
printed JSON.
"""
RESPONSES = {
    "200": ("The answer of the endpoint.", "LegacyEnvelope"),
    "202": ("With `async`: it runs, and `operation_id` says as what.", "LegacyEnvelope"),
    "400": ("An argument is missing or wrong, or a file to deploy is.", "LegacyEnvelope"),
    "401": ("No valid token.", "LegacyTokenError"),
    "403": ("The caller may not.", "LegacyEnvelope"),
    "404": ("There is no such thing.", "LegacyEnvelope"),
    "408": ("The body did not arrive in time.", "LegacyEnvelope"),
    "409": ("A component runs already, or its port is taken; files stand in the way.", "LegacyEnvelope"),
    "413": ("The body is too large.", "LegacyEnvelope"),
    "422": ("The token cannot be read.", "LegacyTokenError"),
    "429": ("Too many commands are waiting.", "LegacyEnvelope"),
    "500": ("The command has failed (`exit_code`), or an error of the server.", "LegacyEnvelope"),
    "503": ("The database is away, the server has too much to do, or no runner is there.", "LegacyEnvelope"),
    "507": ("There is no room left on a disk of the API server.", "LegacyEnvelope"),
}


def path() -> dict[str, Any]:
    """Return what can be done at the address of all endpoints."""
    by_query = [endpoint for endpoint in ENDPOINTS if "GET" in endpoint.methods]
    arguments = {
        "name": "arguments",
        "in": "query",
        "description": "By name. What is secret belongs into a body: a query ends up in logs.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "example": {},
    }
    api = {
        "name": "api",
        "in": "query",
        "required": False,
        "description": "In place of `api` in the body.",
        "schema": _names(ENDPOINTS),
    }
    bodies = {"application/json": "LegacyCall", "multipart/form-data": "LegacyForm"}
    return {
        "get": {
            **_operation(by_query),
            "operationId": "call_endpoint_by_query",
            "summary": "Call an endpoint of the 1.x plugin with its arguments in the query",
            "parameters": [
                {"name": "api", "in": "query", "required": True, "schema": _names(by_query)},
                arguments,
            ],
        },
        "post": {
            **_operation(ENDPOINTS),
            "operationId": "call_endpoint",
            "summary": "Call an endpoint of the 1.x plugin",
            "parameters": [api],
            "requestBody": {
                "required": True,
                "content": {media_type: _content(model) for media_type, model in bodies.items()},
            },
        },
    }


def _operation(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    return {
        "tags": ["old endpoints"],
        "description": f"{DESCRIPTION.strip()}\n\n{_table(endpoints)}",
        "responses": {status: json_answer(*said) for status, said in RESPONSES.items()},
    }


def schemas() -> dict[str, Any]:
    """Return the schemas that the path refers to."""
    files = {
        argument.name: {"type": "string", "format": "binary", "description": argument.description}
        for endpoint in ENDPOINTS
        for argument in endpoint.arguments
        if argument.file
    }
    call = {"api": "dag_state", "dag_id": "dag_id", "execution_date": "2026-01-31T00:00:00+00:00"}
    by_json = [endpoint for endpoint in ENDPOINTS if not endpoint.files]
    return {
        "LegacyCall": {**_call(by_json), "example": call},
        "LegacyForm": _call(ENDPOINTS, files),
        "LegacyEnvelope": ENVELOPE,
        "LegacyOutput": {
            "type": "object",
            "properties": {"stdout": {"type": "string"}, "stderr": {"type": "string"}},
        },
        "LegacyTokenError": {
            "type": "object",
            "description": "What is wrong with a token, in the words of the 1.x plugin.",
            "properties": {"msg": {"type": "string"}},
        },
    }


def _call(endpoints: Sequence[Endpoint], files: Mapping[str, Any] | None = None) -> dict[str, Any]:
    properties = {"api": _names(endpoints), **_arguments(endpoints), **(files or {})}
    return {"type": "object", "required": ["api"], "properties": properties}


ENVELOPE: dict[str, Any] = {
    "type": "object",
    "description": "The answer of every endpoint of the 1.x plugin.",
    "required": ["call_time", "response_time", "http_response_code", "status", "output"],
    "properties": {
        "status": {"type": "string", "enum": ["OK", "ERROR"]},
        "http_response_code": {"type": "integer"},
        "output": {
            "description": "Text, or `stdout` and `stderr` of the command.",
            "anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/LegacyOutput"}],
        },
        "result": {"description": "The JSON that the command printed."},
        "warning": {"type": "string"},
        "exit_code": {"type": "integer"},
        "operation_id": {"type": "string", "description": "At `/v2/operations/{id}`."},
        "airflow_cmd": {"type": "string"},
        "arguments": {"type": "object", "additionalProperties": True},
        "post_arguments": {"type": "object", "additionalProperties": True},
        "call_time": {"type": "string"},
        "response_time": {"type": "string"},
        "dag_ids": {"type": "array", "items": {"type": "string"}},
        "dag_run_id": {"type": "string"},
        "logical_date": {"type": "string"},
        "dag_run_url": {"type": "string"},
        "state": {"type": "string"},
    },
    "additionalProperties": True,
}


def _names(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    return {"type": "string", "enum": [endpoint.name for endpoint in endpoints]}


def _arguments(endpoints: Sequence[Endpoint]) -> dict[str, dict[str, Any]]:
    """Return the schemas of all arguments by name, files aside; the descriptions say what each is where."""
    found: dict[str, list[tuple[str, EndpointArgument]]] = {}
    for endpoint in endpoints:
        for argument in endpoint.arguments:
            if not argument.file:
                found.setdefault(argument.name, []).append((endpoint.name, argument))
    made = {}
    for name, uses in found.items():
        words: dict[str, list[str]] = {}
        for endpoint_name, argument in uses:
            words.setdefault(argument.description, []).append(f"`{endpoint_name}`")
        made[name] = {
            # What is a check box here and text there is text.
            "type": "boolean" if all(argument.check_box for _, argument in uses) else "string",
            "description": " ".join(f"{', '.join(where)}: {text}" for text, where in words.items()),
            **({"writeOnly": True} if any(argument.secret for _, argument in uses) else {}),
        }
    return made


def _table(endpoints: Sequence[Endpoint]) -> str:
    lines = ["| `api` | what | arguments |", "|---|---|---|"]
    for endpoint in endpoints:
        arguments = ", ".join(
            f"**`{argument.name}`**" if argument.required else f"`{argument.name}`"
            for argument in endpoint.arguments
        )
        lines.append(f"| `{endpoint.name}` | {endpoint.description} | {arguments} |")
    return "\n".join(lines)


def _content(model: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{model}"}}
