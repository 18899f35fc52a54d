"""The files of a deployment as they came in: in a private folder, measured, under names that were checked."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_rest_api import private_folders
from airflow_rest_api.dag_files.names import Names, clean
from airflow_rest_api.errors import TooLarge

CHUNK = 64 * 1024


class Stream(Protocol):
    """Something to read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, none at the end."""


@dataclass(frozen=True)
class Bounds:
    """
    What one deployment may have.

    :param files: their number
    :param size: bytes of all files together, unpacked
    """

    files: int
    size: int


@dataclass(frozen=True)
class ReceivedFile:
    """
    A file that came in.

    :ivar path: relative to the bundle, with slashes
    :ivar content: where it lies
    """

    path: str
    content: Path
    size: int
    sha256: str


class Received:
    """
    The files of one deployment.

    :param folder: of the bundle, to which the names of the files are relative; empty for the bundle itself
    :param parent: where the private folder is made; the system's temporary folder by default
    """

    def __init__(self, bounds: Bounds, folder: str = "", parent: Path | None = None) -> None:
        self.bounds = bounds
        self._folder = folder
        self._names = Names()
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

    def add(self, name: str, stream: Stream, argument: str = "file") -> None:
        """
        Take a file.

        :param argument: of the request, for messages
        :raises BadName: it cannot be called that
        :raises TooLarge: there is no room for it; what was too much has not been written
        """
        path = clean(name, argument)
        path = f"{self._folder}/{path}" if self._folder else path
        self._names.add(path, argument)
        target = self._contents / str(len(self._files))
        digest, size = hashlib.sha256(), 0
        with target.open("xb") as copy:
            while chunk := stream.read(CHUNK):
                self.expect(len(chunk))
                self.size += len(chunk)
                size += len(chunk)
                digest.update(chunk)
                copy.write(chunk)
        self._files.append(ReceivedFile(path, target, size, digest.hexdigest()))

    def private_folder(self, name: str) -> Path:
        """Return an empty folder of this name beside the contents."""
        folder = self.path / name
        folder.mkdir(mode=0o700)
        return folder

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
