"""Every argument of every command, given what an attacker would give: nothing runs here."""

from __future__ import annotations

import pytest

from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.model import Argument, Command
from airflow_rest_api.errors import BadArgument

HOSTILE = [
    "; touch /tmp/x",
    "$(touch x)",
    "`touch x`",
    "| cat /etc/passwd",
    "&& reboot",
    "> /etc/passwd",
    "a\nb\r\nc",
    "'\"\\",
    "*?[a-z]{1,2}~",
    "%s%n{0}{{ 1 }}",
    "--help",
    "--",
    "-",
    "--output=yaml",
    "--yes",
    "-v",
    "--conn-uri=postgres://a:b@c",
    "--cfg-path=/etc/passwd",
    "@/etc/passwd",
    "../../../../etc/passwd",
    "/etc/passwd",
    "\u202e\u200b",
]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def others(command: Command, argument: Argument) -> dict[str, object]:
    """Return harmless values for what the command needs beside the argument."""
    return {
        other.name: _harmless(other)
        for other in command.arguments
        if other.required and other is not argument
    }


def _harmless(argument: Argument) -> object:
    if argument.choices:
        value: object = argument.choices[0]
    else:
        value = {"integer": 1, "number": 1, "datetime": "2026-01-01", "json": {}}.get(argument.type, "x")
    return [value] if argument.repeatable else value


@pytest.mark.slow
def test_a_hostile_value_stays_the_value_of_its_argument_or_is_refused(catalog: Catalog) -> None:
    tried = passed = 0
    for command in catalog.commands.values():
        for argument in command.arguments:
            if argument.flag:
                continue
            for hostile in HOSTILE:
                tried += 1
                given = {**others(command, argument), argument.name: hostile}
                try:
                    invocation = catalog.bind(command, given)
                except BadArgument:
                    continue
                passed += 1
                where = (command.name, argument.name, hostile)
                assert invocation.command is command, where
                assert invocation.given == set(given), where
                # In one word, whole: nobody splits it, and no shell sees it.
                assert any(word == hostile or word.endswith(f"={hostile}") for word in invocation.argv), where
                again = catalog.parse(invocation.argv)
                assert again.values == invocation.values, where
    assert tried > 5000
    assert passed > tried / 3


def test_a_value_in_the_place_of_a_positional_never_becomes_an_option(catalog: Catalog) -> None:
    for command in catalog.commands.values():
        positionals = [argument for argument in command.arguments if argument.positional]
        options = {flag for argument in command.arguments for flag in argument.flags}
        for argument in positionals:
            for flag in sorted(options):
                try:
                    invocation = catalog.bind(command, {**others(command, argument), argument.name: flag})
                except BadArgument:
                    continue
                assert invocation.argv.index("--") < len(invocation.argv) - invocation.argv[::-1].index(flag)
                assert argument.name in invocation.given
