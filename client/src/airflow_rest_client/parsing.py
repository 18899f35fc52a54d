"""Command lines, read with what the server says of a command: argparse, as Airflow reads them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from airflow_rest_client.catalog import Argument, Command


class _Unreadable(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    color: bool
    """Of its help; before Python 3.14 there is none."""

    def error(self, message: str) -> NoReturn:
        raise _Unreadable(message)


def parse(command: Command, words: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments that a command line gives, by name; None where it cannot be read."""
    try:
        found = parser_of(command, command.name, help=False).parse_args(list(words))
    except _Unreadable:
        return None
    return vars(found)


def parser_of(command: Command, program: str, *, help: bool = True) -> argparse.ArgumentParser:
    """Return a parser of a command's arguments: what is not given is not in what it finds."""
    parser = _Parser(
        prog=program,
        description=command.description or command.help,
        add_help=help,
        argument_default=argparse.SUPPRESS,
        # Airflow's texts have lines of their own.
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # What is printed is made plain, as the texts are the server's: of colours the rest would stay.
    parser.color = False
    for argument in command.arguments:
        _add(parser, argument)
    return parser


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    text = _help(argument)
    if argument.positional:
        nargs = ("+" if argument.required else "*") if argument.repeatable else None
        parser.add_argument(argument.name, nargs=nargs if argument.required or nargs else "?", help=text)
    elif argument.flag:
        positive = [flag for flag in argument.flags if flag != argument.negative]
        for flags, value in ((positive, True), ([argument.negative], False)):
            if names := [flag for flag in flags if flag]:
                parser.add_argument(*names, dest=argument.name, action="store_const", const=value, help=text)
    else:
        options: dict[str, Any] = {"nargs": "*"} if argument.together else {}
        if argument.repeatable and not argument.together:
            options["action"] = "append"
        parser.add_argument(
            *argument.flags,
            dest=argument.name,
            metavar=_metavar(argument),
            required=argument.required,
            help=text,
            **options,
        )


def _metavar(argument: Argument) -> str:
    if argument.choices:
        return f"{{{','.join(argument.choices)}}}"
    return argument.name.upper()


def _help(argument: Argument) -> str:
    text = argument.help or ""
    if argument.file == "in":
        text += " (a file of this machine)"
    elif argument.file == "out":
        text += " (written on this machine)"
    return text.replace("%", "%%")
