"""What the API answers with, for its routes and for the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field
from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import Self

from airflow_rest_api.api.sse import MEDIA_TYPE
from airflow_rest_api.commands.binding import MAX_WORDS
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.operations.files import MEDIA_TYPES
from airflow_rest_api.operations.model import CANCEL_MESSAGES, Cancel, State

if TYPE_CHECKING:
    from airflow_rest_api.errors import Forbidden
    from airflow_rest_api.operations.model import Operation


class Model(BaseModel):
    """Reads its values from the attributes of our own objects."""

    model_config = ConfigDict(from_attributes=True)


def as_json(body: BaseModel) -> str:
    """Return the JSON text of a model."""
    try:
        return body.model_dump_json()
    except PydanticSerializationError:
        # Half of a surrogate pair, which JSON can hold and UTF-8 cannot. What is no JSON by itself, such as a
        # date, is written as above; `mode="json"` for all of it would make other keys of those with a half.
        return json.dumps(body.model_dump(), default=to_jsonable_python)


class ErrorDetail(Model):
    """What went wrong."""

    model_config = ConfigDict(extra="allow")

    reason: str = Field(description="The kind of error, for programs.", examples=["bad_argument"])
    message: str = Field(description="The error in words, for people.")
    argument: str | None = Field(None, description="The argument to blame, where there is one.")
    nearest: list[str] | None = Field(None, description="Names that may have been meant.")
    option: str | None = Field(None, description="The option that switches the command off.")
    setting: str | None = Field(
        None,
        description="The line of `[rest_api_plugin]` with which the option no longer does.",
        examples=["enabled_commands = *, db clean"],
    )
    id: str | None = Field(None, description="The id of the error in the server's log, or of the operation.")


class ErrorBody(Model):
    """The body of every answer that is an error."""

    detail: ErrorDetail


class FileBody(Model):
    """A file that the command wrote."""

    argument: str = Field(description="The argument that named it.")
    name: str
    size: int = Field(description="Bytes.")
    media_type: str


class OperationSummary(Model):
    """An operation without its output."""

    id: str
    command: str = Field(examples=["dags list"])
    effect: Effect
    argv: list[str] = Field(description="What was run after `airflow`, with secrets masked.")
    state: State
    exit_code: int | None
    message: str | None = Field(
        description="One sentence on an end that is no success: why the command failed, in its own words, or "
        "who or what ended it; or on what it still waits for."
    )
    truncated: bool = Field(description="Output is missing from stdout or stderr.")
    warnings: list[str]
    files: list[FileBody] = Field(description="To be had at `/v2/operations/{id}/files/{name}`.")
    user: str
    host: str = Field(
        description="The host of the API server or runner that runs it; empty while it waits for a runner."
    )
    queue: str | None = Field(description="The queue whose runners run it; null: an API server does.")
    runner: str | None = Field(description="The runner that runs it.")
    dag_id: str | None = Field(description="The DAG that it is about, where its arguments name one.")
    rerun_of: str | None = Field(description="The operation that it repeats.")
    endpoint: str | None = Field(
        description="The endpoint of the 1.x plugin by which it was asked for; null for the v2 API.",
        examples=["trigger_dag"],
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class OperationEnd(OperationSummary):
    """An operation that has ended, without its output: the last event of its stream."""

    result: Any = Field(description="The JSON that the command printed.")


class OperationBody(OperationEnd):
    """One command, from the request to its end."""

    stdout: str
    stderr: str


class CancelBody(OperationBody):
    """An operation that was asked to end, and what came of that."""

    cancel: Cancel = Field(description="What the request changed: with the last two, nothing.")
    cancel_message: str = Field(description="The same in words.")


async def operation_json(
    operation: Operation, cancel: Cancel | None = None, model: type[OperationEnd] = OperationBody
) -> str:
    """
    Return the JSON text of an operation, made in a thread where that may take long.

    :param cancel: what came of a request to end it: the text is that of a `CancelBody`
    :param model: which parts of it there are
    """

    def text() -> str:
        body = model.model_validate(operation)
        if cancel is not None:
            body = CancelBody(**body.model_dump(), cancel=cancel, cancel_message=CANCEL_MESSAGES[cancel])
        return as_json(body)

    return await asyncio.to_thread(text) if operation.is_long else text()


class OperationList(Model):
    """Operations, the newest first."""

    operations: list[OperationSummary] = Field(
        description="May be fewer than `limit` although there are more: what counts is `next`."
    )
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


class ArgumentSummary(Model):
    """An argument, in short."""

    name: str
    type: str
    required: bool = Field(validation_alias="needed")
    repeatable: bool
    file: Literal["in", "out"] | None = Field(
        description="`in`: send it as a part of multipart/form-data. `out`: the operation has it as a file."
    )
    help: str | None


class CommandRefusal(Model):
    """Why a command cannot be run by the caller: what running it would be answered with, 403."""

    reason: Literal["forbidden", "switched_off"] = Field(
        description="`switched_off`: by nobody, because of an option. `forbidden`: a permission is missing."
    )
    message: str = Field(description="The reason in words, for people.")
    option: str | None = Field(description="The option that switches it off.")
    setting: str | None = Field(
        description="The line of `[rest_api_plugin]` with which the option no longer does.",
        examples=["enabled_commands = *, db clean"],
    )

    @classmethod
    def of(cls, error: Forbidden | None) -> Self | None:
        """Return the body for what was raised, None for nothing."""
        if error is None:
            return None
        return cls.model_validate({"option": None, "setting": None, **error.detail})


class CommandSummary(Model):
    """A command, in short."""

    name: str = Field(examples=["dags list"])
    path: str = Field(description="Below `/v2/commands/`.", examples=["dags/list"])
    help: str
    also: list[str] = Field(
        description="Everyday words by which people look for it.", examples=[["rerun", "retry"]]
    )
    effect: Effect
    allowed: bool = Field(description="Whether the caller may run it, on one object at least.")
    refusal: CommandRefusal | None = Field(description="Why not, where it is not allowed.")
    arguments: list[ArgumentSummary]


class CommandList(Model):
    """The commands of this Airflow, by name."""

    commands: list[CommandSummary]
    total_entries: int


class CommandDetail(Model):
    """A command with all there is to know before running it."""

    name: str
    path: str
    help: str
    description: str | None
    effect: Effect
    raised_by: dict[str, Effect] = Field(description="Arguments that raise the effect.")
    reveals_secrets: bool
    needs: list[str] = Field(description="What of Airflow's permissions it needs, in words.")
    allowed: bool = Field(description="Whether the caller may run it, on one object at least.")
    refusal: CommandRefusal | None = Field(description="Why not, where it is not allowed.")
    arguments: dict[str, Any] = Field(description="The arguments by name, as JSON Schema (2020-12).")


class RunBody(Model):
    """A command line."""

    # What is tried out begins with it: a queue that nobody serves would be refused.
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"argv": ["dags", "list"]}})

    argv: Annotated[list[str], FailFast()] = Field(
        min_length=1,
        max_length=MAX_WORDS,
        description="The words after `airflow`.",
        examples=[["dags", "list"]],
    )
    queue: str | None = Field(None, description="As the header `Airflow-Queue`.", examples=["dags"])


LAST = 2**31 - 1
"""The largest number of a version that every database has room for."""


class BundleBody(Model):
    """A DAG bundle."""

    name: str
    kind: str = Field(examples=["local", "git", "s3"])
    writable: bool = Field(description="Whether files can be put into it.")
    reason: str | None = Field(description="Why not, and where its files come from.")
    folders: list[str] | None = Field(
        None, description="The folders in which the caller may deploy; null for all of the bundle."
    )


class BundleList(Model):
    """The DAG bundles of this Airflow."""

    bundles: list[BundleBody]


class VersionShort(Model):
    """The newest version of a file that came through us."""

    id: str = Field(validation_alias="deployment", description="Of the deployment.")
    version: int
    user: str
    at: datetime


class DagFileBody(Model):
    """A file of a bundle."""

    bundle: str
    path: str = Field(description="In the bundle, with slashes.")
    size: int | None = Field(description="Bytes; null where the file is gone.")
    modified_at: datetime | None
    dag_ids: list[str] = Field(description="The DAGs that Airflow knows from it.")
    deployed: VersionShort | None
    changed_outside: bool = Field(description="What is there is not what was deployed last, or is gone.")


class DagFileList(Model):
    """Files of a bundle, by path."""

    files: list[DagFileBody] = Field(description="May be fewer than `limit`: what counts is `next`.")
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


class VersionBody(Model):
    """A version of a file."""

    version: int
    change: Literal["added", "changed", "unchanged", "deleted", "outside"] = Field(
        description="`outside`: it did not come through us, and was found when it was replaced."
    )
    sha256: str | None = Field(description="Of the content; null for a file that was deleted.")
    size: int | None
    deployment: str
    kind: Literal["deploy", "rollback", "delete"]
    user: str
    at: datetime


class VersionList(Model):
    """The versions of a file that are kept, the newest first."""

    bundle: str
    path: str
    versions: list[VersionBody]


class DeploymentBody(Model):
    """One change of a bundle."""

    id: str
    kind: Literal["deploy", "rollback", "delete"]
    bundle: str
    user: str
    at: datetime
    operation_id: str | None
    count: int = Field(description="Files that were sent.")


class DeploymentList(Model):
    """Deployments, the newest first."""

    deployments: list[DeploymentBody] = Field(description="May be fewer than `limit`: what counts is `next`.")
    next: str | None


class DeployedFile(Model):
    """A file of a deployment."""

    path: str
    version: int
    change: str
    sha256: str | None
    size: int | None


class DeploymentDetail(DeploymentBody):
    """A deployment with its files; those whose version is no longer kept are left out."""

    files: list[DeployedFile]


class RollbackBody(Model):
    """Which version to bring back."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=LAST, examples=[1])


ERRORS = {
    400: "An argument or the body is wrong; the message has the words of the command's own parser.",
    401: "No valid token.",
    403: "The caller may not.",
    404: "There is no such thing.",
    410: "It is there, and its key is gone.",
    408: "The body did not arrive in time.",
    409: "What there is stands against it, or it cannot be done again; `reason` says which.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
    422: "The files cannot be imported, or define DAGs that other files define: `report` says which.",
    429: "Too many commands are waiting; `Retry-After` says when to come back.",
    500: "An error of the server; its log has more under the id.",
    503: "The database is away, the server has too much to do, or no runner is there; `reason` says which.",
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

QUEUE: dict[str, Any] = {
    "name": "Airflow-Queue",
    "in": "header",
    "required": False,
    "description": "The queue whose runners are to run it, or `local`: in place of where the rules of "
    "`[rest_api_plugin] placement` lead, with the permission for it.",
    "schema": {"type": "string"},
}

PLACED: dict[str, Any] = {"parameters": [QUEUE]}
"""What OpenAPI has of a route that reads where the DAG files are."""

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


def json_answer(description: str, schema: str) -> dict[str, Any]:
    """Return an answer for OpenAPI, in JSON of the schema of that name."""
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route: these, and those of every route."""
    # Written out, because with a model FastAPI gives errors the media type of the route's good answers.
    return {status: json_answer(ERRORS[status], "ErrorBody") for status in sorted({*statuses, *EVERYWHERE})}


RUN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": OperationBody,
        "description": "The command has ended; a failed one is a successful request.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    **ACCEPTED,
    **errors(400, 404, 408, 409, 413, 415, 429, 507),
}
