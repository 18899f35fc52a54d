"""File arguments: the private folder of a command, and the command line that leads there."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from airflow_rest_api import private_folders
from airflow_rest_api.errors import BadArgument
from airflow_rest_api.operations.model import OutputFile

if TYPE_CHECKING:
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.commands.model import Argument, Invocation

log = logging.getLogger(__name__)

_UNSAFE = re.compile(r"[^\w.+@=-]", re.ASCII)
LONGEST_NAME = 100
MOST_FILES = 100
"""Files of one argument that are kept: the code of a DAG may write any number."""

OCTETS = "application/octet-stream"

# What commands write and DAG bundles hold. Not Python's table, which is another one on every system, and from
# which a browser could be handed what it runs.
_TYPES = {
    ".csv": "text/csv",
    ".env": "text/plain",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".sql": "application/sql",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}

MEDIA_TYPES = (OCTETS, *sorted(set(_TYPES.values())))
"""What a file can be sent as."""


@dataclass(frozen=True)
class Upload:
    """A file that the client sent along; only the ending of ``filename`` can matter to a command."""

    filename: str
    content: BinaryIO


class Removable(Protocol):
    """What an operation works on and removes at its end."""

    def remove(self) -> None: ...


async def removed(what: Removable) -> None:
    """
    Remove what an operation has worked on; its end does not depend on that.

    A private folder that stays is removed when the next server starts.
    """
    try:
        await asyncio.to_thread(what.remove)
    except Exception:
        # No thread may be left for it.
        log.exception("What an operation has worked on could not be removed")


class Workspace:
    """A folder that only the server's own user can enter, with one folder in it for each file argument."""

    def __init__(self, parent: Path | None = None) -> None:
        self.path = private_folders.make(parent)
        self._names: dict[str, str] = {}

    def write(self, argument: str, upload: Upload) -> Path:
        """Store an uploaded file for an argument; return its path."""
        path = self.place(argument, upload.filename)
        with path.open("xb") as file:
            shutil.copyfileobj(upload.content, file)
        return path

    def place(self, argument: str, name: str) -> Path:
        """
        Return the path at which the file of an argument goes; only the last part of ``name`` counts.

        What the command prints has the name as it was given.
        """
        folder = self.path / _UNSAFE.sub("_", argument)
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / safe_name(name)
        self._names[str(path)] = name
        return path

    def renamer(self) -> Renamer:
        """Return what replaces the paths in this folder by the names of the files, in a stream of bytes."""
        return Renamer({os.fsencode(path): name.encode() for path, name in self._names.items()})

    def collect(self, argument: str, limit: int) -> Iterator[tuple[OutputFile, bytes | None]]:
        """
        Read what the command wrote for an argument, also under names that it made up itself.

        :param limit: bytes of all files together above which a file's content is None
        """
        folder = self.path / _UNSAFE.sub("_", argument)
        left = limit
        for path in sorted(islice(folder.iterdir(), MOST_FILES)) if folder.is_dir() else []:
            # A link would let a command hand out any file of the server.
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                # Blanks at the end tell two names apart on a disk, and in no table of MySQL's.
                name = path.name.encode(errors="replace").decode().rstrip(" ") or "file"
                content = _read(path, left) if status.st_size <= left else None
                left -= len(content or b"")
                # Of what was read: it may have grown since it was looked at.
                size = status.st_size if content is None else len(content)
                yield OutputFile(argument, name, size, media_type(name)), content

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


class Renamer:
    """Replaces words in a stream that comes in pieces, wherever the pieces end."""

    def __init__(self, names: Mapping[bytes, bytes]) -> None:
        # No expression: the standard library keeps what it compiles, and these are other words each time.
        self._names = dict(sorted(names.items(), key=lambda item: len(item[0]), reverse=True))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that cannot be the beginning of a word any more."""
        data = self._held + data
        end = min((open_end(data, word) for word in self._names), default=len(data))
        # A word that is there as a whole is no longer a beginning.
        end = max([end, *(start + len(word) for start, word in self._found(data))])
        self._held = data[end:]
        return self._renamed(data[:end])

    def finish(self) -> bytes:
        """Return what was held back at the end of the stream."""
        rest, self._held = self._held, b""
        return self._renamed(rest)

    def _renamed(self, data: bytes) -> bytes:
        parts, end = [], 0
        for start, word in self._found(data):
            parts += [data[end:start], self._names[word]]
            end = start + len(word)
        return b"".join([*parts, data[end:]])

    def _found(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield where a word begins, and which: the first one, and the longest of those that begin there."""
        begins = {word: data.find(word) for word in self._names if word}
        end = 0
        while True:
            for word, begin in begins.items():
                if 0 <= begin < end:
                    begins[word] = data.find(word, end)
            there = [word for word, begin in begins.items() if begin >= 0]
            if not there:
                return
            # The longest come first, and so does the first of those that are as near.
            first = min(there, key=begins.__getitem__)
            yield begins[first], first
            end = begins[first] + len(first)


def _read(path: Path, most: int) -> bytes | None:
    """Return the content of a file; None where there is more of it: it may still be growing."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    return content if len(content) <= most else None


def open_end(data: bytes, word: bytes) -> int:
    """Return where the end of ``data`` begins that may become a word; the length of ``data`` if none."""
    start = data.find(word[:1], max(0, len(data) - len(word) + 1))
    while start >= 0:
        if word.startswith(data[start:]):
            return start
        start = data.find(word[:1], start + 1)
    return len(data)


def safe_name(name: str) -> str:
    """Return the last part of a path as a file name without surprises; its extension is kept."""
    base = _UNSAFE.sub("_", re.split(r"[/\\]", name)[-1])
    if not base.strip("._"):
        return "file"
    stem, dot, extension = base.rpartition(".")
    if dot and len(extension) < LONGEST_NAME:
        return stem[: LONGEST_NAME - len(extension) - 1] + dot + extension
    return base[:LONGEST_NAME]


def media_type(name: str) -> str:
    """Return the media type that a file's extension stands for."""
    extension = Path(name).suffix.lower() or (name if name.startswith(".") else "")
    return _TYPES.get(extension, OCTETS)


def with_files(
    parser: Catalog | None, invocation: Invocation, workspace: Workspace, uploads: Mapping[str, Upload]
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


def _replaced(parser: Catalog, invocation: Invocation, argument: Argument, path: str) -> Invocation:
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
