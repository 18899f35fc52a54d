"""What went wrong in a file, in words without the places of the server."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

LONGEST = 2000

_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)', re.MULTILINE)


def sentence(path: str, text: str) -> str:
    """
    Return what is wrong with a file, in one line, from a traceback as Airflow keeps it.

    :param path: of the file, in its bundle
    """
    lines = [line for file, line in _FRAME.findall(text) if file == path or file.endswith(f"/{path}")]
    place = f"{path}, line {lines[-1]}" if lines else path
    return f"{place}: {' '.join(_last_words(text).split())}"[:LONGEST]


class Words:
    """
    Words about one file.

    :param view: where the files lie while they are checked
    :param root: the bundle as it is
    :param path: of the file, in the bundle
    """

    def __init__(self, view: Path, root: Path, path: str) -> None:
        self._folders = (f"{view}/", f"{root}/")
        self._path = path

    def shown(self, text: str) -> str:
        """Return a text with paths relative to the bundle."""
        for folder in self._folders:
            text = text.replace(folder, "")
        return text

    def of_exception(self, error: BaseException) -> dict[str, Any]:
        """Return what is wrong, and in which line of the file."""
        return self.of_text("".join(traceback.format_exception(error)))

    def of_text(self, text: str) -> dict[str, Any]:
        """
        Return the same from a traceback as Airflow keeps it.

        The line is the innermost one in the file itself; where a module of the bundle failed, the message
        names it.
        """
        text = self.shown(text)
        message = _last_words(text)
        frames = _FRAME.findall(text)
        lines = [int(line) for file, line in frames if file == self._path]
        inner = [(file, line) for file, line in frames if not file.startswith(("/", "<"))]
        if inner and inner[-1][0] != self._path:
            message += f" ({inner[-1][0]}, line {inner[-1][1]})"
        return {"line": lines[-1] if lines else None, "message": message[:LONGEST]}


def _last_words(text: str) -> str:
    """Return the exception at the end of a traceback, with all its lines."""
    lines = text.strip().splitlines()
    # Below the last indented line: the exception and whatever lines it has.
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(" "):
            return "\n".join(lines[number + 1 :]).strip() or lines[-1].strip()
    return "\n".join(lines[-20:])
