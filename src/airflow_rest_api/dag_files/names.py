"""What a file of a deployment may be called: a relative path that stays where it belongs on every system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from airflow_rest_api.errors import BadPath

CONTROL = ".airflow_rest_api"
"""Our own folder in each bundle: see `place.py`."""

LONGEST_PART = 200
LONGEST_PATH = 1000
"""Bytes. File systems take 255 and some 4000; the rest is for the bundle's folder and for our own endings."""
DEEPEST = 20

LEFT_OUT = frozenset({"__MACOSX", "__pycache__", ".DS_Store", ".git"})
"""What archives have in them that nobody meant to deploy: names of files and of folders."""

_DRIVE = re.compile(r"[A-Za-z]:")
_NO_CHARACTERS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, halves of surrogate pairs, and the separators of lines and paragraphs."""


def clean(name: str, argument: str = "file") -> str:
    """
    Return a file's name as a relative path with slashes, in its shortest form.

    :param argument: whose fault it is, for the message
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
    if len(path.encode()) > LONGEST_PATH or len(parts) > DEEPEST:
        raise BadPath(name, f"more than {LONGEST_PATH} bytes or {DEEPEST} folders", argument)
    return path


def left_out(path: str) -> bool:
    """Return whether a path of an archive is passed over."""
    parts = path.split("/")
    return not LEFT_OUT.isdisjoint(parts) or parts[-1].startswith("._")


class Names:
    """The names of one deployment, none of which may stand for another on a file system that folds them."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, path: str, argument: str = "file") -> None:
        """Take a path; raise BadPath where a file of this name, or a folder, is there already."""
        key = _folded(path)
        if (other := self._files.get(key)) is not None:
            why = "is there twice" if other == path else f"cannot be told from {other!r} on every system"
            raise BadPath(path, why, argument)
        if key in self._folders:
            raise BadPath(path, "is a file, and a folder as well", argument)
        for folder in _above(path):
            if _folded(folder) in self._files:
                raise BadPath(path, f"{folder!r} is a folder, and a file as well", argument)
        self._files[key] = path
        self._folders.update({_folded(folder): folder for folder in _above(path)})


def _above(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
