"""The lines in a command's output that its loggers wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

# What Airflow's loggers write: the classic format, and structlog's on a console, with and without colours.
_COLOUR = r"(?:\x1b\[[0-9;]*m)*"
_LOG_LINE = re.compile(
    rf"""
    {_COLOUR}
    (?:
        # [2026-…] {{file.py:12}} INFO -
        \[\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\]\n]*\]\ \{{[^}}\n]+:\d+\}}\ (?P<classic>[A-Z]+)\ -
        # 2026-…Z [info     ]
      | \d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[+-]\d\d:?\d\d)?{_COLOUR}\ \[{_COLOUR}
        (?P<console>debug|info|notset|warning|warn|error|exception|critical)\ *{_COLOUR}\]
    )
    """,
    re.VERBOSE,
)
# What 1.x printed while it loaded, on lines of their own.
_LOADING_LINE = re.compile(r"Loading pickle id |Loading DAGs? from |Filling up the DagBag from ")
# Behind the event of a line on the console: its logger, and what else was logged with it, as key=value.
_DETAILS = re.compile(
    rf"(?<!\ )\ +{_COLOUR}\[{_COLOUR}[\w.]+{_COLOUR}\]{_COLOUR}(?:$|\ {_COLOUR}[\w.]+{_COLOUR}=)"
    r"|(?: |\x1b\[[0-9;]*m)loc="
)
_CATEGORY = re.compile(r"category=(\w+)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

_JSON_KEYS = ("timestamp", "level", "event")
"""What each line of Airflow's JSON log has (airflow._shared.logging.structlog)."""

_NOISE = ("Skipping masking for a secret",)
"""Beginnings of warnings that tell nobody what to do, and this one something of a secret."""

_ALARMING = frozenset({"warning", "warn", "error", "exception", "critical"})


@dataclass(frozen=True)
class LogLine:
    """
    A line that a logger wrote.

    :ivar level: in small letters; empty where the line has none
    :ivar event: what happened, without time, logger and details
    :ivar deprecation: whether it is about code that is to be changed one day, and not about what was done
    """

    level: str
    event: str
    deprecation: bool = False

    @property
    def alarming(self) -> bool:
        """Whether it is a warning or worse for whoever ran the command."""
        return self.level in _ALARMING and not self.deprecation and not self.event.startswith(_NOISE)


def without_log_lines(text: str) -> str:
    """
    Return a command's output without the lines that its loggers wrote, and with every other line.

    A line is judged by itself alone: a value such as ``[1, 2]`` is not a log line, nor is what follows one.
    """
    return "".join(line for line, logged in _lines(text) if logged is None)


def alarms(text: str) -> list[str]:
    """Return what the warnings and errors among the log lines of a command's output say, each once."""
    said = (logged.event for _, logged in _lines(text) if logged is not None and logged.alarming)
    return [event for event in dict.fromkeys(said) if event]


def log_line(line: str) -> LogLine | None:
    """Return a line as what a logger wrote, None where it is none."""
    if match := _LOG_LINE.match(line):
        level = (match["classic"] or match["console"]).lower()
        rest = line[match.end() :]
        return LogLine(level, _event(rest), deprecation=_is_of_deprecation(rest))
    if _LOADING_LINE.match(line):
        return LogLine("", line.strip())
    return _json_line(line) if line.startswith("{") and line.endswith("}") else None


def _lines(text: str) -> Iterator[tuple[str, LogLine | None]]:
    *whole, rest = text.split("\n")
    for line in whole:
        yield f"{line}\n", log_line(line)
    if rest:
        yield rest, log_line(rest)


def _event(rest: str) -> str:
    cut = _DETAILS.search(rest)
    return _COLOURS.sub("", rest[: cut.start()] if cut else rest).strip()


def _is_of_deprecation(rest: str) -> bool:
    # Word by word: an expression for the whole takes minutes with a line that somebody made for it.
    return any("Deprecat" in word and word.endswith("Warning") for word in _CATEGORY.findall(rest))


def _json_line(line: str) -> LogLine | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(entry.get(key), str) for key in _JSON_KEYS):
        return None
    deprecation = "Deprecat" in str(entry.get("category", ""))
    return LogLine(entry["level"].lower(), entry["event"].strip(), deprecation)
