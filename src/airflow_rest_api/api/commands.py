"""The commands: what there is, what each one takes, and running one, by name or as a command line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from airflow_rest_api import json_text
from airflow_rest_api.api.answers import (
    HEADER,
    answer_model,
    answer_run,
    check_room,
    launch,
    launch_line,
    once,
    origin_of,
)
from airflow_rest_api.api.context import CallerDep, ContextDep, by_name, caller_of, context_of
from airflow_rest_api.api.models import (
    IDEMPOTENCY_KEY,
    PREFER,
    QUEUE,
    RUN_RESPONSES,
    ArgumentSummary,
    CommandDetail,
    CommandList,
    CommandRefusal,
    CommandSummary,
    RunBody,
    errors,
)
from airflow_rest_api.api.requests import SWITCH, Body, read_body, read_in_thread, validated
from airflow_rest_api.asgi import MOUNT
from airflow_rest_api.commands.discovery import search_words
from airflow_rest_api.commands.model import Argument, Command, Effect
from airflow_rest_api.commands.policy import described
from airflow_rest_api.errors import BadJson, BadRequest, UnknownCommand
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from starlette.types import Scope

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.security.caller import Caller

router = APIRouter(prefix="/v2", tags=["commands"], generate_unique_id_function=by_name)

QUEUE_FIELD = {"type": "string", "description": "As the header `Airflow-Queue`."}
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "argv": {"type": "string", "description": "The JSON text of the list.", "examples": ['["version"]']},
        "queue": QUEUE_FIELD,
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


@router.get("/commands", response_model=CommandList, responses=errors(400))
@needs(Needs.TOKEN)
async def list_commands(
    context: ContextDep,
    caller: CallerDep,
    q: Annotated[
        str | None,
        Query(description="Part of the name or of the help, or an everyday word (`rerun`), in any case."),
    ] = None,
    effect: Annotated[Effect | None, Query(description="The most that running the command may do.")] = None,
) -> Response:
    """List the commands of this Airflow, each with whether the caller may run it on anything, and why not."""
    catalog = await context.catalog.get()
    wanted = (q or "").lower()
    refused = await context.gate.refusals(caller, catalog.commands.values())
    found = [
        CommandSummary(
            name=command.name,
            path="/".join(command.path),
            help=command.help,
            also=search_words(command),
            effect=command.effect,
            allowed=command.name not in refused,
            refusal=CommandRefusal.of(refused.get(command.name)),
            arguments=[ArgumentSummary.model_validate(argument) for argument in command.arguments],
        )
        for command in catalog.commands.values()
        if (effect is None or command.effect is effect)
        and (
            wanted in command.name.lower()
            or wanted in (command.help or "").lower()
            or wanted in search_words(command)
        )
    ]
    return answer_model(CommandList(commands=found, total_entries=len(found)))


# The routes of one command stand in the OpenAPI document once for each command: see web/openapi.py.
@router.get("/commands/{name:path}", response_model=CommandDetail, include_in_schema=False)
@needs(Needs.TOKEN)
async def get_command(name: str, request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return a command with its arguments as JSON Schema."""
    command = _command(await context.catalog.get(), name, request.scope)
    refused = (await context.gate.refusals(caller, [command])).get(command.name)
    detail = CommandDetail(
        name=command.name,
        path="/".join(command.path),
        help=command.help,
        description=command.description,
        effect=command.effect,
        raised_by=dict(command.raised_by),
        reveals_secrets=command.reveals_secrets,
        needs=described(command),
        allowed=refused is None,
        refusal=CommandRefusal.of(refused),
        arguments={"required": [], **command_schema(command)},
    )
    return answer_model(detail)


@needs(Needs.COMMAND)
async def run_command(request: Request) -> Response:
    """Run a command with its arguments by name."""
    context, caller = context_of(request), caller_of(request)
    command = _command(await context.catalog.get(), request.path_params["name"], request.scope)
    _check_room_early(context, request, caller)
    async with read_body(request, context.settings.max_upload) as body:
        arguments = dict(from_form(command, body.values) if body.form else body.values)
        # Beside those of the command: none has one of this name.
        queue = arguments.pop("queue", None) if command.argument("queue") is None else None
        origin = await origin_of(context, request, caller, arguments, body.files, queue)
        # A flag of no is as one that was left out.
        given = [name for name, value in arguments.items() if value is not None and value is not False]
        check_room(context, caller, origin, command, given)
        operation, headers = await once(
            context, origin, lambda: launch(context, caller, command, arguments, body.files, origin)
        )
    return await answer_run(context, request, operation, headers)


# Not one of FastAPI's: there is nothing for it to read or to check here, and to find that out takes it
# longer than we need for both. Nor does the OpenAPI document have it, see above.
router.add_route(
    f"{router.prefix}/commands/{{name:path}}", run_command, methods=["POST"], include_in_schema=False
)


def _check_room_early(context: Context, request: Request, caller: Caller) -> None:
    """Raise Busy before the body is read, where nothing in it can lead a command to a runner."""
    if context.dispatcher.cannot_send is not None and HEADER not in request.headers:
        context.operations.check_room(caller.name)


@router.post(
    "/run",
    responses=RUN_RESPONSES,
    openapi_extra={"requestBody": _BODY, "parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE]},
)
@needs(Needs.COMMAND)
async def run(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """
    Run a command line, given as the list of the words after `airflow`.

    An argument that names a file to be read needs that file as a part of multipart/form-data; the name of a
    file to be written is the name under which the operation has it.
    """
    _check_room_early(context, request, caller)
    async with read_body(request, context.settings.max_upload) as body:
        argv, queue = await _line(body)
        origin = await origin_of(context, request, caller, argv, body.files, queue)
        check_room(context, caller, origin, None)
        operation, headers = await once(
            context, origin, lambda: launch_line(context, caller, argv, body.files, origin)
        )
    return await answer_run(context, request, operation, headers)


def _command(catalog: Catalog, path: str, scope: Scope) -> Command:
    """Return the command at a path; one spelling each, so that a proxy's rules about paths hold."""
    command = catalog.get(path)
    if path != "/".join(command.path):
        raise UnknownCommand(path, [command.name])
    if not _is_plain(f"{router.prefix}/commands/{path}", scope):
        raise UnknownCommand(scope["raw_path"].decode("latin-1"), [command.name])
    return command


def _is_plain(path: str, scope: Scope) -> bool:
    """Return whether a path of ours came as it is written, without a `%` that it does not need."""
    raw = scope.get("raw_path")
    if scope["path"].endswith(MOUNT + path):
        path = MOUNT + path
    # What is before it is the prefix of the API server.
    return raw is None or raw.partition(b"?")[0].endswith((path.encode(), quote(path).encode()))


async def _line(body: Body) -> tuple[list[str], str | None]:
    """Return the words of a command line, and the queue that is named for it."""
    values = body.values
    if body.form:
        fields = values.get("argv", [])
        queues = values.get("queue", [])
        if set(values) - {"argv", "queue"} or len(fields) != 1 or len(queues) > 1:
            raise BadRequest("argv: one field with the JSON text of the list of words", argument="argv")
        try:
            words = await read_in_thread(len(fields[0]), partial(json_text.loads, fields[0]))
            values = {"argv": words, "queue": queues[0] if queues else None}
        except ValueError:
            raise BadJson("argv: the field is no JSON", argument="argv") from None
    found = validated(RunBody, values, strict=True)
    return found.argv, found.queue


LONGEST_SWITCH = 100
"""Characters of a text that are looked at for one of these."""


def from_form(command: Command, fields: Mapping[str, list[str]]) -> dict[str, Any]:
    """
    Return the arguments in a form's fields.

    What cannot be read as the argument's type stays text, so that the one who checks the arguments refuses
    it in the same words as ever. A field given twice stays a list.
    """
    return {name: _value(command.argument(name), values) for name, values in fields.items()}


def _value(argument: Argument | None, values: list[str]) -> Any:
    if argument is not None and argument.repeatable:
        return [_single(argument, value) for value in values]
    if len(values) > 1:
        return values
    return values[0] if argument is None else _single(argument, values[0])


def _single(argument: Argument, text: str) -> Any:
    if argument.flag or argument.type == "boolean":
        return SWITCH.get(text[:LONGEST_SWITCH].strip().lower(), text)
    if len(text) > LONGEST_SWITCH:
        # Whoever checks the arguments reads it, in a thread.
        return text
    try:
        if argument.type == "integer":
            return int(text)
        if argument.type == "number":
            return float(text)
    except ValueError:
        return text
    return text


TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "datetime": {"type": "string", "description": "A date and time, as 2026-01-31T00:00:00+00:00."},
    "json": {
        "anyOf": [{"type": "object", "additionalProperties": True}, {"type": "string"}],
        "description": "A JSON object, or its text.",
    },
    "list": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Text with commas is taken, too.",
    },
}
EXAMPLES: dict[str, Any] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "datetime": "2026-01-31T00:00:00+00:00",
    "json": {"key": "value"},
    "list": ["one", "two"],
}

OUTPUT = "JSON is asked for where this is not given, for `result`."


def argument_schema(
    argument: Argument, *, multipart: bool = False, json_output: bool = False
) -> dict[str, Any]:
    """
    Return the schema of one argument.

    What holds where it is not given is `x-default`: generated clients send a `default` as if it were given,
    and take what has one for always there.

    :param multipart: as a field of multipart/form-data, where a file to be read is a part of its own
    :param json_output: of a command that is asked for JSON where its `output` is not given
    """
    schema: dict[str, Any] = dict(TYPES.get(argument.type, TYPES["string"]))
    if multipart and argument.type == "json":
        # A field of a form is text.
        schema = {"type": "string", "description": schema["description"]}
    if argument.flag:
        schema = {"type": "boolean"}
    if argument.file == "in":
        schema = {"type": "string", "format": "binary"} if multipart else {"type": "string"}
    if argument.choices is not None:
        schema["enum"] = list(argument.choices)
    about_type = schema.pop("description", None)
    if argument.repeatable:
        schema = {"type": "array", "items": schema}
    chosen = json_output and argument.name == "output"
    if words := _words(argument, about_type, chosen):
        schema["description"] = words
    default = "json" if chosen else argument.default
    if default is not None:
        schema["x-default"] = default
    if argument.secret:
        schema["writeOnly"] = True
    # How the command line spells it; nothing for what is told by its place.
    if argument.flags:
        schema["x-flags"] = list(argument.flags)
    if argument.together:
        schema["x-together"] = True
    if argument.negative:
        schema["x-negative"] = argument.negative
    return schema


def command_schema(command: Command, *, multipart: bool = False) -> dict[str, Any]:
    """Return the schema of the object that holds the arguments of a command by name."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            argument.name: argument_schema(argument, multipart=multipart, json_output=command.json_output)
            for argument in command.arguments
        },
        "additionalProperties": False,
    }
    if required := needed(command):
        schema["required"] = required
    return schema


def needed(command: Command) -> list[str]:
    """Return the names of the arguments that a command cannot do without."""
    return [argument.name for argument in command.arguments if argument.needed]


def example(command: Command) -> dict[str, Any]:
    """Return the arguments that a command cannot do without, with values of their types."""
    found = (argument for argument in command.arguments if argument.name in needed(command))
    return {argument.name: _example_value(argument) for argument in found}


def _example_value(argument: Argument) -> Any:
    value = argument.choices[0] if argument.choices else EXAMPLES.get(argument.type, argument.name)
    return [value] if argument.repeatable else value


def _words(argument: Argument, about_type: str | None, asked_for_json: bool) -> str:
    help_text = argument.help
    if asked_for_json and help_text:
        # Airflow's line says what holds on the command line.
        help_text = help_text.replace("(default: table)", "").strip().rstrip(".") + "."
    words = [help_text, OUTPUT if asked_for_json else about_type]
    if argument.file == "in":
        words.append("Sent as a file part of multipart/form-data.")
    elif argument.file == "out":
        words.append("The name of the file in the answer; only its last part counts.")
    elif argument.server_path:
        words.append("A path on the server: for administrators.")
    return " ".join(word.strip() for word in words if word)
