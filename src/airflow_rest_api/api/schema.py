"""The arguments of a command as JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Argument, Command

TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "datetime": {"type": "string", "examples": ["2026-01-31T00:00:00+00:00"]},
    "json": {"description": "A JSON value, or its text."},
    "list": {
        "type": ["array", "string"],
        "items": {"type": "string"},
        "description": "A list, or text with commas.",
    },
}


def argument_schema(argument: Argument, *, multipart: bool = False) -> dict[str, Any]:
    """
    Return the schema of one argument.

    :param multipart: as a field of multipart/form-data, where a file to be read is a part of its own
    """
    schema: dict[str, Any] = dict(TYPES.get(argument.type, TYPES["string"]))
    if argument.flag:
        schema = {"type": "boolean"}
    if argument.file == "in":
        schema = {"type": "string", "format": "binary"} if multipart else {"type": "string"}
    if argument.choices is not None:
        schema["enum"] = list(argument.choices)
    if argument.repeatable:
        schema = {"type": "array", "items": schema}
    if words := _words(argument, schema.pop("description", None)):
        schema["description"] = words
    if argument.default is not None:
        schema["default"] = argument.default
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
            argument.name: argument_schema(argument, multipart=multipart) for argument in command.arguments
        },
        "additionalProperties": False,
    }
    # A file to be written has a name of its own where the client gives none.
    if required := [a.name for a in command.arguments if a.required and a.file != "out"]:
        schema["required"] = required
    return schema


def _words(argument: Argument, about_type: str | None) -> str:
    words = [argument.help, about_type]
    if argument.file == "in":
        words.append("Sent as a file part of multipart/form-data.")
    elif argument.file == "out":
        words.append("The name of the file in the answer; only its last part counts.")
    elif argument.server_path:
        words.append("A path on the server: for administrators.")
    return " ".join(word.strip() for word in words if word)
