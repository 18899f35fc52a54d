"""Form fields are text: to the values that the arguments take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Argument, Command

LONGEST_SWITCH = 100
"""Characters of a text that are looked at for one of these."""
_SWITCH = {
    "true": True,
    "on": True,
    "1": True,
    "yes": True,
    "false": False,
    "off": False,
    "0": False,
    "no": False,
}


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
        return _SWITCH.get(text[:LONGEST_SWITCH].strip().lower(), text)
    try:
        if argument.type == "integer":
            return int(text)
        if argument.type == "number":
            return float(text)
    except ValueError:
        return text
    return text
