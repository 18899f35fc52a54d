"""The reference page: every command with its arguments and a line to try it, without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from airflow_rest_api import __version__
from airflow_rest_api.security.access import needs_in_words

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Argument, Command

_FOLDER = Path(__file__).parent / "templates"
_STYLE = (_FOLDER / "reference.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

EXAMPLES: dict[str, Any] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "datetime": "2026-01-31T00:00:00+00:00",
    "json": {"key": "value"},
    "list": "one,two",
}


def page(commands: Mapping[str, Command], address: str, root: str) -> str:
    """
    Return the page.

    :param address: of the app, with scheme and host, for the lines to try
    :param root: the path of the app, for links
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for command in commands.values():
        entry = {
            "command": command,
            "anchor": "-".join(command.path),
            "needs": needs_in_words(command),
            "curl": example(command, address),
        }
        groups.setdefault(command.path[0], []).append(entry)
    return _template().render(
        groups=groups, count=len(commands), root=root, style=_STYLE, version=__version__, address=address
    )


def example(command: Command, address: str) -> str:
    """Return a line for the shell that runs a command with the arguments it cannot do without."""
    words = ["curl", "-H", '"Authorization: Bearer $TOKEN"']
    needed = [argument for argument in command.arguments if argument.required and argument.file != "out"]
    if any(argument.file == "in" for argument in needed):
        for argument in needed:
            value = f"@{argument.name}.json" if argument.file == "in" else str(_example_value(argument))
            words += ["-F", shlex.quote(f"{argument.name}={value}")]
    else:
        body = {argument.name: _example_value(argument) for argument in needed}
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(body))]
    words.append(shlex.quote(f"{address}/v2/commands/{'/'.join(command.path)}"))
    return " ".join(words)


def _example_value(argument: Argument) -> Any:
    value = argument.choices[0] if argument.choices else EXAMPLES.get(argument.type, argument.name)
    return [value] if argument.repeatable else value


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("reference.html")
