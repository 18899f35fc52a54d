"""The static files of the page, as the package brings them."""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "static"

# By the end of the name, what is served; nothing else in the folder is.
MEDIA_TYPES: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

STYLE = "style.css"
"""All style sheets of the page in one, in the order of their names: one request in place of many."""

MAIN, FIRST_VIEW = "main.js", "commands"

_IMPORT = re.compile(rb'^(?:import|export) [^"]*"(\.[^"]+)";$', re.MULTILINE)
_IMPORT_LATER = re.compile(rb'\bimport\("(\.[^"]+)"\)')

FOREVER = "private, max-age=31536000, immutable"
"""For an address that holds the version: what is there never changes."""

ASK_AGAIN = "no-cache"
"""For an address that stays the same: the browser asks whether its copy is still good."""


@dataclass(frozen=True)
class Asset:
    """One file. `etag`: of its content, with the quotes."""

    name: str
    content: bytes
    media_type: str
    etag: str

    @cached_property
    def packed(self) -> bytes:
        """The content as gzip, packed once: that takes too long for an event loop."""
        return gzip.compress(self.content, mtime=0)


@dataclass(frozen=True)
class Assets:
    """
    All files, by their path below the folder.

    :ivar version: of all of them together: part of their address, so that no browser mixes two versions
    """

    files: Mapping[str, Asset]
    version: str

    def find(self, path: str) -> tuple[Asset, str] | None:
        """
        Return the file at a path and how long a browser may keep it; None where there is none.

        The path is looked up, not opened, so that it leads to nothing but these files.

        :param path: with the version in front or without
        """
        first, _, rest = path.partition("/")
        if first == self.version and rest in self.files:
            return self.files[rest], FOREVER
        # Another version: of an API server beside this one, or of a page opened before an upgrade.
        if _is_version(first) and rest in self.files:
            return self.files[rest], ASK_AGAIN
        return (self.files[path], ASK_AGAIN) if path in self.files else None

    def modules(self, view: str, chosen: bool = False) -> list[str]:
        """
        Return the paths of the modules that show a view, for the browser to fetch all of them at once.

        :param view: by its name; the first one in place of one that there is not
        :param chosen: with something chosen in it, which the view may have further modules for
        """
        path = f"views/{view}.js"
        path = path if path in self.files else f"views/{FIRST_VIEW}.js"
        found: list[str] = []
        waiting = [MAIN, path, *(self._imported(path, _IMPORT_LATER) if chosen else ())]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.append(name)
                waiting += self._imported(name, _IMPORT)
        return found

    def _imported(self, name: str, how: re.Pattern[bytes]) -> list[str]:
        folder = posixpath.dirname(name)
        targets = (target.decode() for target in how.findall(self.files[name].content))
        return [posixpath.normpath(posixpath.join(folder, target)) for target in targets]


@cache
def load() -> Assets:
    """Return the files, read once."""
    return read(FOLDER)


def read(folder: Path) -> Assets:
    """Read the files of a folder."""
    found = sorted(file for file in folder.rglob("*") if file.suffix in MEDIA_TYPES and file.is_file())
    contents = {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
    # What others have made is for pages of its own.
    styles = [
        name for name in contents if name.endswith(".css") and not name.startswith(("vendor/", "docs/"))
    ]
    contents[STYLE] = b"\n".join(contents.pop(name) for name in styles)
    files: dict[str, Asset] = {}
    whole = hashlib.sha256()
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        whole.update(f"{name} {digest}\n".encode())
        files[name] = Asset(name, content, MEDIA_TYPES[Path(name).suffix], f'"{digest[:20]}"')
    return Assets(files, f"v{whole.hexdigest()[:12]}")


def _is_version(part: str) -> bool:
    return len(part) == 13 and part[0] == "v" and part[1:].isalnum()
