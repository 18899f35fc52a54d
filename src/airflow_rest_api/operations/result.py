"""The JSON in what a command printed."""

from __future__ import annotations

import json
from typing import Any

_DECODER = json.JSONDecoder()
ATTEMPTS = 200
"""Lines that may begin with a bracket and yet be no JSON, such as the time stamps of log lines."""


def parse_result(stdout: str) -> tuple[bool, Any]:
    """
    Return whether ``stdout`` holds a JSON document, and the document.

    Commands print log lines before their JSON and sometimes after it. The document is the last one that
    begins a line with a bracket, ends a line, and is not part of another. Text that is JSON as a whole is
    taken as it is.
    """
    try:
        return True, json.loads(stdout)
    except (ValueError, RecursionError):
        pass
    found, document = False, None
    position = attempts = 0
    while attempts < ATTEMPTS and (start := _next_bracket(stdout, position)) >= 0:
        attempts += 1
        try:
            value, end = _DECODER.raw_decode(stdout, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        if stdout[end:].split("\n", 1)[0].strip():
            # "[2026-01-01] text" or "[1] text": the line goes on, so that it is a log line.
            position = start + 1
        else:
            found, document, position = True, value, end
    return found, document


def _next_bracket(text: str, position: int) -> int:
    """Return where the next line begins with a bracket, or -1."""
    while position < len(text):
        starts = [place for place in (text.find("[", position), text.find("{", position)) if place >= 0]
        if not starts:
            return -1
        place = min(starts)
        line = text.rfind("\n", 0, place) + 1
        if not text[line:place].strip():
            return place
        position = place + 1
        newline = text.find("\n", place)
        if newline < 0:
            return -1
        position = newline + 1
    return -1
