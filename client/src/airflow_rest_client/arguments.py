"""From what a Python program gives to the request that says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_rest_client.catalog import Catalog, Command
from airflow_rest_client.commands import bound, uploads
from airflow_rest_client.exchanges import line, named
from airflow_rest_client.http import Request


def of(catalog: Catalog, words: Sequence[str], arguments: Mapping[str, Any]) -> tuple[Request, bool]:
    """
    Return the request that runs a command, and whether that only reads.

    :param words: its name and what is given by its place; without arguments by name a command line
    :raises TypeError: the arguments do not fit the command
    """
    words = [str(word) for word in words]
    command, rest = catalog.split(words)
    if command is None:
        if arguments:
            raise TypeError(f"Airflow has no command {' '.join(words)}")
        # The server says which ones may have been meant.
        return line(words), False
    if not arguments and any(word.startswith("-") for word in rest):
        return _line(command, words, rest), command.reads
    given: tuple[Any, ...] = tuple(rest)
    places = command.positionals
    if places and places[-1].repeatable and len(given) >= len(places):
        # The last one has all that follows, as on a command line.
        given = (*given[: len(places) - 1], list(given[len(places) - 1 :]))
    return by_name(command, bound(command, given, arguments)), command.reads


def by_name(command: Command, arguments: dict[str, Any]) -> Request:
    """Return the request that runs a command with its arguments by name; files go along."""
    values, files = uploads(command, arguments)
    return named(command.name, values, files)


def _line(command: Command, words: Sequence[str], rest: Sequence[str]) -> Request:
    _, files = uploads(command, dict(command.parse(rest) or {}))
    return line(words, files)
