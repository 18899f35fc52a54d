"""File arguments: from the names a client gave to paths in a private folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from airflow_rest_api.errors import BadArgument

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Argument, Invocation
    from airflow_rest_api.operations.files import Upload, Workspace


class Parser(Protocol):
    """What checks a command line: the catalog."""

    def parse(self, argv: Sequence[str]) -> Invocation:
        """Return what the command line means; raise BadArgument."""


def with_files(
    parser: Parser | None, invocation: Invocation, workspace: Workspace, uploads: Mapping[str, Upload]
) -> list[str]:
    """
    Return the command line of an invocation with its file arguments leading into a private folder.

    :raises BadArgument: a file to be read was not uploaded, or a value's place on the command line cannot be
        found
    """
    argv = invocation.argv
    for argument in invocation.command.files(invocation.values, invocation.given):
        if argument.file == "in":
            if argument.name not in uploads:
                raise BadArgument(
                    argument.name,
                    f"argument {argument.name}: the file must be uploaded (multipart/form-data)",
                )
            path = workspace.write(argument.name, uploads[argument.name])
        else:
            path = workspace.place(argument.name, str(invocation.values[argument.name]))
        if parser is None:
            raise BadArgument(argument.name, f"argument {argument.name}: files are not taken here")
        invocation = _replaced(parser, invocation, argument, str(path))
        argv = invocation.argv
    return argv


def _replaced(parser: Parser, invocation: Invocation, argument: Argument, path: str) -> Invocation:
    """
    Return the invocation with another value for one argument.

    The same word may stand on a command line more than once (``variables import import``). Each place is
    tried, and the parser has the last word: the right one changes this argument and nothing else.
    """
    wanted = {**invocation.values, argument.name: path}
    for argv in _candidates(invocation, argument, str(invocation.values[argument.name]), path):
        try:
            parsed = parser.parse(argv)
        except BadArgument:
            continue
        if parsed.command.path == invocation.command.path and parsed.values == wanted:
            return parsed
    raise BadArgument(
        argument.name, f"argument {argument.name}: {invocation.values[argument.name]!r} cannot be used here"
    )


def _candidates(invocation: Invocation, argument: Argument, value: str, path: str) -> Iterator[list[str]]:
    argv = invocation.argv
    for place in range(len(argv) - 1, len(invocation.command.path) - 1, -1):
        word = argv[place]
        if word == value:
            replacement = path
        elif not argument.positional and word.startswith("-") and word.endswith(value) and word != value:
            replacement = word[: len(word) - len(value)] + path  # --save=value, -svalue
        else:
            continue
        yield [*argv[:place], replacement, *argv[place + 1 :]]
