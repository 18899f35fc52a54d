"""The answers and parameters that many routes share, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from airflow_rest_api.api.models import OperationBody
from airflow_rest_api.api.sse import MEDIA_TYPE
from airflow_rest_api.operations.files import MEDIA_TYPES

ERRORS = {
    400: "An argument or the body is wrong; the message has the words of the command's own parser.",
    401: "No valid token.",
    403: "The caller may not.",
    404: "There is no such thing.",
    410: "It is there, and its key is gone.",
    408: "The body did not arrive in time.",
    409: "There is not the one file that was asked for, or the request cannot be done again.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
    422: "The files cannot be imported, or define DAGs that other files define: `report` says which.",
    429: "Too many commands are waiting; `Retry-After` says when to come back.",
    500: "An error of the server; its log has more under the id.",
    503: "The database is away; `Retry-After` says when to come back.",
    507: "There is no room left on the disk of the bundle, or on that of the temporary folder.",
}
EVERYWHERE = (401, 403, 500, 503)

PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "RFC 7240: `wait=30` waits up to 30 seconds for the end, `respond-async` not at all.",
    # Without an example, which Swagger UI would send.
    "schema": {"type": "string"},
}

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "With the same key, the same request is done once; the answer is that of the first. "
    "A UUID, such as 8e03978e-40d5-43dd-bc93-6894a57f9324.",
    "schema": {"type": "string", "maxLength": 255},
}

FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, of the type that its name stands for.",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
    }
}

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": OperationBody,
        "description": "It has not ended yet.",
        "headers": {"Location": {"description": "Where the operation is.", "schema": {"type": "string"}}},
    }
}


def event_stream(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the good answer of a route of server-sent events."""
    return {200: {"description": description, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route: these, and those of every route."""
    # Written out, because with a model FastAPI gives errors the media type of the route's good answers.
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    return {
        status: {"description": ERRORS[status], "content": content}
        for status in sorted({*statuses, *EVERYWHERE})
    }


RUN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": OperationBody,
        "description": "The command has ended; a failed one is a successful request.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    **ACCEPTED,
    **errors(400, 404, 408, 409, 413, 415, 429, 507),
}
