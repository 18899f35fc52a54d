"""The arguments of a command as JSON Schema, which OpenAPI 3.0 reads as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Argument, Command

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
AS_TEXT = ("json",)
"""What a field of a form has as text."""

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
    if multipart and argument.type in AS_TEXT:
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
    # A file to be written has a name of its own where the client gives none.
    return [argument.name for argument in command.arguments if argument.required and argument.file != "out"]


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
