"""What a command printed, as a value: its JSON, or the one thing that it is there to print."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_rest_api.operations.log_lines import without_log_lines

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Invocation

Read = Callable[[str, bool], Any]
"""Takes what a command printed on standard output, and whether it succeeded; returns its result."""

SILENT = frozenset({"variables get"})
"""What prints a text of any content, and nothing else (`suppress_logs_and_warning`): none of it is a log."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


# Python writes NaN and Infinity, which are no JSON: they are null to whoever reads the result.
_DECODER = json.JSONDecoder(parse_constant=lambda word: None, parse_float=_finite)
ATTEMPTS = 200
"""Lines that may begin with a bracket and yet be no JSON, such as the time stamps of log lines."""


def parse_result(stdout: str) -> tuple[bool, Any]:
    """
    Return whether ``stdout`` holds a JSON document, and the document: the last one, where there are more.

    Text that is JSON as a whole is taken as it is.
    """
    try:
        return True, _DECODER.decode(stdout)
    except (ValueError, RecursionError):
        pass
    found, document = False, None
    for value in documents(stdout):
        found, document = True, value
    return found, document


def documents(stdout: str) -> Iterator[Any]:
    """
    Yield the JSON objects and arrays that a command printed, between log lines and other text.

    A document begins a line with a bracket, ends a line, and is not part of another.
    """
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
            yield value
            position = end


def reader(invocation: Invocation) -> Read | None:
    """
    Return what reads the result of a command off its output, None where the command has none.

    That is the JSON that it was asked to print, or the value of a command that is there to print one: of
    `variables get` and `config get-value` the text, of the former with `--json` the value; of the states the
    state, None where there is none; of `tasks list` the ids; of `dags next-execution` the date, None where no
    run follows, or with `--num-executions` the dates.
    """
    if invocation.values.get("output") == "json" and invocation.command.json_output:
        # A log can be JSON as well.
        return lambda stdout, done: parse_result(without_log_lines(stdout))[1]
    value = _VALUES.get(invocation.command.name)
    if value is None:
        return None

    def read(stdout: str, done: bool) -> Any:
        text = stdout if invocation.command.name in SILENT else without_log_lines(stdout)
        return value(text.removesuffix("\n"), invocation.values) if done else None

    return read


def _text(text: str, values: Mapping[str, Any]) -> str:
    return text


def _variable(text: str, values: Mapping[str, Any]) -> Any:
    if not values.get("json") or not text.startswith(("{", "[")):
        # A text prints as it is: what is no object and no list may be one that reads like a number.
        return text
    try:
        # The command prints what Python calls it.
        value = ast.literal_eval(text)
        json.dumps(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        # A text: what prints as it is.
        return text
    return value


def _lines(text: str, values: Mapping[str, Any]) -> list[str]:
    return text.split("\n") if text else []


def _state(text: str, values: Mapping[str, Any]) -> str | None:
    # `dags state` adds the configuration of a run that has one: "success, {…}".
    state = text.partition(",")[0].strip()
    return None if state in ("None", "") else state


def _dates(text: str, values: Mapping[str, Any]) -> Any:
    if values.get("table"):
        return None
    dates = [None if line == "None" else line for line in text.split("\n")]
    return dates if (values.get("num_executions") or 1) != 1 else dates[0]


_VALUES: Mapping[str, Callable[[str, Mapping[str, Any]], Any]] = {
    "config get-value": _text,
    "dags next-execution": _dates,
    "dags state": _state,
    "tasks list": _lines,
    "tasks state": _state,
    "variables get": _variable,
}


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
