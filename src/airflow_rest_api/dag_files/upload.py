"""The files of a deployment as they came in: in a private folder, measured, under names that were checked."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from airflow_rest_api import private_folders
from airflow_rest_api.errors import BadPath, TooLarge
from airflow_rest_api.operations.files import Upload

CONTROL = ".airflow_rest_api"
"""Our own folder in each bundle: see `transaction.py`."""

LONGEST_PART = 200
LONGEST_PATH = 1000
"""Bytes. File systems take 255 and some 4000; the rest is for the bundle's folder and for our own endings."""
DEEPEST = 20

LEFT_OUT = frozenset({"__MACOSX", "__pycache__", ".DS_Store", ".git"})
"""What archives have in them that was not meant to be deployed: names of files and of folders."""

SHOWN = 5
"""Paths in a message; more do not help."""

_DRIVE = re.compile(r"[A-Za-z]:")
_NO_CHARACTERS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, halves of surrogate pairs, and the separators of lines and paragraphs."""


def clean(name: str, argument: str = "file", *, folder: bool = False) -> str:
    """
    Return a file's name as a relative path with slashes, in its shortest form.

    :param argument: whose fault it is, for the message
    :param folder: it is the name of a folder
    :raises BadPath: absolute, leading upwards, too long or too deep, or with characters that no name has
    """
    if name.startswith("/") or _DRIVE.match(name):
        raise BadPath(name, "the path is absolute", argument)
    if "\\" in name:
        raise BadPath(name, "a backslash stands in it; the folders of a path are separated by /", argument)
    if any(unicodedata.category(sign) in _NO_CHARACTERS for sign in name):
        raise BadPath(name, "a control character stands in it, or it is no UTF-8", argument)
    # `tar czf x.tgz .` writes `./a.py`.
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts:
        raise BadPath(name, "it names no file", argument)
    if ".." in parts:
        raise BadPath(name, "the path leads upwards", argument)
    if CONTROL in (part.casefold() for part in parts):
        raise BadPath(name, f"{CONTROL} is the plugin's own folder", argument)
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        raise BadPath(name, f"a name has more than {LONGEST_PART} bytes", argument)
    path = "/".join(parts)
    folders = len(parts) if folder else len(parts) - 1
    if len(path.encode()) > LONGEST_PATH or folders > DEEPEST:
        raise BadPath(name, f"more than {LONGEST_PATH} bytes or {DEEPEST} folders", argument)
    return path


def left_out(path: str) -> bool:
    """Return whether a path of an archive is passed over."""
    parts = path.split("/")
    return not LEFT_OUT.isdisjoint(parts) or parts[-1].startswith("._")


def named(paths: Iterable[str]) -> str:
    """Return the first of some paths, for a message."""
    found = list(paths)
    return ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")


class FileNames:
    """The names of one deployment, none of which may stand for another on a file system that folds them."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: set[str] = set()

    def add(self, path: str, argument: str = "file") -> None:
        """Take a path; raise BadPath where a file of this name, or a folder, is there already."""
        key = _folded(path)
        if (other := self._files.get(key)) is not None:
            why = "is there twice" if other == path else f"cannot be told from {other!r} on every system"
            raise BadPath(path, why, argument)
        if key in self._folders:
            raise BadPath(path, "is a file, and a folder as well", argument)
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        for folder in above:
            if _folded(folder) in self._files:
                raise BadPath(path, f"{folder!r} is a folder, and a file as well", argument)
        self._files[key] = path
        self._folders.update(map(_folded, above))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


CHUNK = 64 * 1024


@dataclass(frozen=True)
class Bounds:
    """What one deployment may have: a number of files, and bytes of all of them together, unpacked."""

    files: int
    size: int


@dataclass(frozen=True)
class ReceivedFile:
    """A file that came in, by its path in the bundle, with slashes; `content` is where its content is."""

    path: str
    content: Path
    size: int
    sha256: str


class Received:
    """
    The files of one deployment, in a private folder.

    `DagFiles.receive` makes it and removes it in the end; `released`, it is removed with its operation.

    :param folder: of the bundle, to which the names of the files are relative; empty for the bundle itself
    :param parent: where the private folder is made; the system's temporary folder by default
    """

    def __init__(self, bounds: Bounds, folder: str = "", parent: Path | None = None) -> None:
        self.bounds = bounds
        self.released = False
        self._folder = folder
        self._names = FileNames()
        self._entries = 0
        self.size = 0
        self.path = private_folders.make(parent)
        self._contents = self.path / "received"
        self._contents.mkdir(mode=0o700)
        self._files: list[ReceivedFile] = []
        self.warnings: list[str] = []

    @property
    def files(self) -> Sequence[ReceivedFile]:
        """What came in, by path."""
        return sorted(self._files, key=lambda file: file.path)

    def count(self) -> None:
        """Take note of one more entry, whether or not it becomes a file; raise TooLarge."""
        self.expect_entries(1)
        self._entries += 1

    def expect_entries(self, count: int) -> None:
        """Raise TooLarge where so many entries may not come."""
        if self._entries + count > self.bounds.files:
            raise TooLarge(
                f"There are more than {self.bounds.files} files ([rest_api_plugin] dag_files_count)."
            )

    def room(self) -> int:
        """Return how many bytes may still come."""
        return self.bounds.size - self.size

    def expect(self, size: int) -> None:
        """Raise TooLarge where so many bytes may not come."""
        if size > self.room():
            raise TooLarge(
                f"There are more than {self.bounds.size} bytes ([rest_api_plugin] dag_files_size)."
            )

    def add(
        self,
        name: str,
        stream: IO[bytes],
        argument: str = "file",
        expect: Callable[[int], None] | None = None,
    ) -> None:
        """
        Take a file.

        :param argument: of the request, for messages
        :param expect: in place of our own: raises TooLarge where so many bytes may not come
        :raises BadPath: it cannot be called that
        :raises TooLarge: there is no room for it; what was too much has not been written
        """
        path = clean(name, argument)
        if self._folder:
            path = clean(f"{self._folder}/{path}", argument)
        self._names.add(path, argument)
        target = self._contents / str(len(self._files))
        digest, size, expect = hashlib.sha256(), 0, expect or self.expect
        with target.open("xb") as copy:
            while chunk := stream.read(CHUNK):
                expect(len(chunk))
                self.size += len(chunk)
                size += len(chunk)
                digest.update(chunk)
                copy.write(chunk)
        self._files.append(ReceivedFile(path, target, size, digest.hexdigest()))

    def uploads(self) -> dict[str, Upload]:
        """Return the files to be sent along, each under its path in the bundle. Blocks."""
        return {
            str(number): Upload(file.path, io.BytesIO(file.content.read_bytes()))
            for number, file in enumerate(self.files)
        }

    def private_folder(self, name: str) -> Path:
        """Return an empty folder of this name beside the contents."""
        folder = self.path / name
        folder.mkdir(mode=0o700)
        return folder

    def release(self) -> None:
        """Leave it to the operation that has been started with it as its workspace."""
        self.released = True

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
