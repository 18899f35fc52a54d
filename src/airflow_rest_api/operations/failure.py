"""Why a command failed, in one sentence, read off what it printed."""

from __future__ import annotations

import json
import re

from airflow_rest_api.operations.log_lines import log_line

TAIL = 64 * 1024
"""Characters of each stream that are looked at: what a command ends with is at its end."""
LONGEST_LINE = 2000
LONGEST = 500

TRACEBACK = "Traceback (most recent call last):"
ERRORS = frozenset({"error", "exception", "critical"})
# As the interpreter prints an exception that nobody caught (`traceback.format_exception_only`).
_EXCEPTION = re.compile(r"(?P<module>(?:\w+\.)*)(?P<name>\w+)(?:: (?P<text>.*))?")
_OWN = "airflow."
"""Exceptions of Airflow's and its providers': what they say is meant for people, their class is not."""

# What a child of a 1.x endpoint tells its server (`legacy/child/messages.py`).
_TOLD = re.compile(r'airflow-rest-api[\w-]* (?P<kind>\w+): (?P<text>".*")')

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[@-~]")
_FRAME = "╭╮╰╯│─| \t"
"""What frames are drawn with, by `rich` and around the exceptions of a group."""
_RULES = "+-=_*#~^" + _FRAME
"""What a line that says nothing is made of."""


def reason(
    stderr: str, stdout: str, exit_code: int | None, *, secretive: bool = False, foreign: bool = False
) -> str:
    """
    Return why a command failed.

    That is what an exception that nobody caught says, else the last line on standard error, as `sys.exit`
    writes it, else the last error in the log, else the last words on standard output.

    :param secretive: what it printed can hold secrets, and what is said here is kept in clear: nothing is
        repeated but what Airflow's own code ended with, by `sys.exit`
    :param foreign: other code than Airflow's own ran in it
    """
    if secretive:
        said = "" if foreign or TRACEBACK in stderr else _last_line(stderr)
    else:
        said = _exception(stderr) or _last_line(stderr) or _last_error(stdout) or _last_words(stdout)
    said = " ".join(said.split())
    if not said:
        more = "; see what it printed." if stderr.strip() or stdout.strip() else ", and printed nothing."
        return f"The command ended with exit code {exit_code}{more}"
    return said if len(said) <= LONGEST else said[: LONGEST - 1].rstrip() + "…"


def _exception(stderr: str) -> str:
    """Return what the last exception says whose traceback was printed, empty where there is none."""
    head, found, rest = stderr[-TAIL:].rpartition(TRACEBACK)
    if not found or head.rpartition("\n")[2].strip(_RULES):
        return ""
    for line in _lines(rest):
        # Frames, their code and the marks below it are indented.
        if line[:1].isspace() or not line.strip(_RULES):
            continue
        match = _EXCEPTION.fullmatch(line)
        if match is None:
            return ""
        text = (match["text"] or "").strip()
        if not text:
            return str(match["name"])
        return text if match["module"].startswith(_OWN) else f"{match['name']}: {text}"
    return ""


def _last_line(text: str) -> str:
    for line in reversed(_lines(text)):
        if told := _TOLD.fullmatch(line):
            if told["kind"] == "refused":
                return _text(told["text"])
        elif line.strip(_RULES) and log_line(line) is None:
            return line.strip(_FRAME)
    return ""


def _last_error(text: str) -> str:
    for line in reversed(_lines(text)):
        logged = log_line(line)
        if logged is not None and logged.level in ERRORS and logged.event:
            return logged.event
    return ""


def _last_words(text: str) -> str:
    """Return the last line, where it is no data: words with a blank between them."""
    line = _last_line(text)
    return line if re.match(r"[^\W\d_]+,? \w", line) else ""


def _text(document: str) -> str:
    try:
        return str(json.loads(document))
    except ValueError:
        return ""


def _lines(text: str) -> list[str]:
    lines = text[-TAIL:].splitlines()
    return [_ESCAPES.sub("", line[:LONGEST_LINE]).rstrip() for line in lines]
