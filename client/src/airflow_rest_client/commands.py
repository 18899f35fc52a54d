"""Commands as functions, such as `client.dags.trigger("my_dag")`, with the signature of the command."""

from __future__ import annotations

import keyword
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from airflow_rest_client.catalog import STDOUT, Argument, Catalog, Command
from airflow_rest_client.http import Upload

if TYPE_CHECKING:
    import inspect

TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "datetime": str,
    "json": dict,
    "list": list,
}


def python_name(name: str) -> str:
    """Return a name of Airflow's as Python can have it: `list-runs` is `list_runs`, `import` is `import_`."""
    name = name.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def signature(command: Command) -> inspect.Signature:
    """Return the signature of a command: what has a place there has one here, everything else a name."""
    import inspect

    parameters = []
    by_place = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # What may be left out cannot stand before what may not.
    for argument in sorted(command.positionals, key=lambda one: not one.required):
        parameters.append(_parameter(argument, by_place))
    for argument in command.arguments:
        if not argument.positional:
            parameters.append(_parameter(argument, inspect.Parameter.KEYWORD_ONLY))
    return inspect.Signature(parameters)


def _parameter(argument: Argument, kind: Any) -> inspect.Parameter:
    import inspect

    default = inspect.Parameter.empty if argument.required and not _made_up(argument) else None
    return inspect.Parameter(
        python_name(argument.name), kind, default=default, annotation=_annotation(argument, default)
    )


def _made_up(argument: Argument) -> bool:
    """Return whether the server names it where the client does not: a file that is written."""
    return argument.file == "out"


def _annotation(argument: Argument, default: Any) -> Any:
    import inspect

    kind: Any = TYPES.get(argument.type, str)
    if argument.file == "in":
        kind = os.PathLike
    if argument.repeatable:
        kind = GenericAlias(list, (kind,))
    return kind if default is inspect.Parameter.empty else kind | None


def documentation(command: Command) -> str:
    """Return the help of a command for Python."""
    lines = [command.description or command.help, ""]
    for argument in command.arguments:
        notes = []
        if argument.choices:
            notes.append(f"one of {', '.join(argument.choices)}")
        if argument.default not in (None, False, "", []):
            notes.append(f"by default {argument.default}")
        if argument.file == "in":
            notes.append("the path of a file here, or its content as bytes")
        if argument.file == "out":
            notes.append("the name under which the operation has the file")
        said = "; ".join([" ".join((argument.help or "").split()), *notes]).strip("; ")
        lines.append(f":param {python_name(argument.name)}: {said}")
    lines += [
        ":return: the operation, when it has ended well",
        ":raises CommandFailed: it ended in another way",
    ]
    return "\n".join(lines)


def bound(command: Command, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the arguments of a call by the names that the server has for them.

    :raises TypeError: they do not fit, as a call of any function
    """
    names = {python_name(argument.name): argument.name for argument in command.arguments}
    found = signature(command).bind(*args, **kwargs)
    return {names[name]: value for name, value in found.arguments.items() if value is not None}


def uploads(command: Command, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Upload]]:
    """
    Return arguments without the files among them, and those files.

    :raises OSError: a file cannot be read
    """
    files = {}
    for argument in command.arguments:
        value = arguments.get(argument.name)
        if argument.file == "in" and value is not None:
            arguments = {name: one for name, one in arguments.items() if name != argument.name}
            files[argument.name] = upload(value)
        elif argument.file == "out" and value is not None and value != STDOUT:
            arguments = {**arguments, argument.name: os.fspath(value)}
    return arguments, files


def upload(value: Any) -> Upload:
    """Return what a path, the content of a file, or an open file stands for."""
    if isinstance(value, bytes):
        return Upload("file.json", value)
    if hasattr(value, "read"):
        content = value.read()
        name = os.path.basename(str(getattr(value, "name", "file.json")))
        return Upload(name, content.encode() if isinstance(content, str) else content)
    return Upload(os.fspath(value), Path(value).read_bytes())


Run = Callable[[Command, dict[str, Any]], Any]


class Group:
    """
    The commands that share their first words, as attributes.

    :param run: runs one
    """

    def __init__(self, catalog: Catalog, words: str, run: Run) -> None:
        self._catalog = catalog
        self._words = words
        self._run = run
        self.__doc__ = catalog.groups.get(words)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return find(self._catalog, self._words, name, self._run)
        except AttributeError:
            raise AttributeError(f"Airflow has no command {self._words} {name}") from None

    def __dir__(self) -> list[str]:
        return names_below(self._catalog, self._words)

    def __repr__(self) -> str:
        return f"<commands airflow {self._words}: {', '.join(dir(self))}>"


def names_below(catalog: Catalog, words: str = "") -> list[str]:
    """Return the names of what is below some words: groups and commands."""
    depth = len(words.split())
    found = [
        name.split()[depth] for name in catalog if name.split()[:depth] == words.split() and name != words
    ]
    return sorted({python_name(name) for name in found})


def find(catalog: Catalog, words: str, name: str, run: Run) -> Any:
    """
    Return the group or the command of a name in Python's spelling.

    :raises AttributeError: there is none
    """
    depth = len(words.split())
    for known in catalog:
        parts = known.split()
        if parts[:depth] == words.split() and len(parts) > depth and python_name(parts[depth]) == name:
            path = " ".join(parts[: depth + 1])
            command = catalog.get(path)
            return Group(catalog, path, run) if command is None else function(command, run)
    raise AttributeError(name)


def function(command: Command, run: Run) -> Callable[..., Any]:
    """Return a function that runs a command, with its signature and help."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return run(command, bound(command, args, kwargs))

    call.__name__ = python_name(command.name.split()[-1])
    call.__qualname__ = ".".join(map(python_name, command.name.split()))
    call.__doc__ = documentation(command)
    call.__module__ = __name__
    # It is what `inspect.signature` and `help` look for, and no attribute of every callable.
    call.__signature__ = signature(command)  # type: ignore[attr-defined]
    return call


class AwaitedGroup:
    """
    What an attribute of a client of asyncio stands for, whose commands may still have to be asked for.

    A command is called, and awaited; which one it is, is looked up then.

    :param catalog: gives the commands
    """

    def __init__(
        self, catalog: Callable[[], Awaitable[Catalog]], words: str, run: Callable[..., Awaitable[Any]]
    ) -> None:
        self._catalog = catalog
        self._words = words
        self._run = run

    def __getattr__(self, name: str) -> AwaitedGroup:
        if name.startswith("_"):
            raise AttributeError(name)
        return AwaitedGroup(self._catalog, f"{self._words} {name}", self._run)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; raise AttributeError where there is none."""
        catalog, words = await self._catalog(), ""
        found: Any = None
        for name in self._words.split():
            found = find(catalog, words, name, self._run)
            words = f"{words} {name}".strip() if not isinstance(found, Group) else found._words
        if isinstance(found, Group):
            raise TypeError(f"airflow {self._words} is a group of commands")
        return await found(*args, **kwargs)
