"""What the output of a command says: its result, what its loggers wrote, and why it failed."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Invocation

Read = Callable[[str, bool], Any]
"""Takes what a command printed on standard output, and whether it succeeded; returns its result."""
SILENT = frozenset({"variables get"})
"""What prints a text of any content, and nothing else (`suppress_logs_and_warning`): none of it is a log."""
ATTEMPTS = 200
"""Lines that may begin with a bracket and yet be no JSON, such as the time stamps of log lines."""
READINGS = 10
"""How often a text is read at most: of lines that begin like JSON each may only end with the text."""
DEEPEST = 500
"""Levels of a result: it is written out deeper in the stack than it is read, and Python has 1,000."""
_NESTING = (dict, list, tuple)
TAIL = 64 * 1024
"""Characters of each stream that are looked at for a reason: what a command ends with is at its end."""
LONGEST_LINE = 2000
LONGEST = 500
TRACEBACK = "Traceback (most recent call last):"
ERRORS = frozenset({"error", "exception", "critical"})

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
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*")
# What Python warns of, as Airflow prints it on standard error before 3.2, and as Python itself does.
_WARNING_LINE = re.compile(r"(?:/[^:\n]+|<[^>\n]+>):\d+:? (?P<category>\w*Warning): (?P<text>.+)")
# What 1.x printed while it loaded, on lines of their own.
_LOADING_LINE = re.compile(r"Loading pickle id |Loading DAGs? from |Filling up the DagBag from ")
# What `teams list`, `plugins`, `dags pause` and `dags unpause` print in place of a list without entries.
_NOTHING = re.compile(r"No [\w ]{1,80} (?:found|loaded)\.?")
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
"""Beginnings of warnings that ask for nothing, and this one tells something of a secret."""

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
        """Return whether it is a warning or worse for who ran the command."""
        return self.level in _ALARMING and not self.deprecation and not self.event.startswith(_NOISE)


def without_log_lines(text: str) -> str:
    """
    Return a command's output without the lines that its loggers wrote, and with every other line.

    A line is judged by itself alone: a value such as ``[1, 2]`` is not a log line, nor is what follows one.
    """
    return "".join(line for line, logged in _log_lines(text) if logged is None)


def whole_log(stdout: str, stderr: str) -> str:
    """Return a command's standard output with what its loggers wrote on the other stream, by their times."""
    entries, logged = [], "".join(line for line, logged in _log_lines(stderr) if logged is not None)
    for text in (stdout, logged):
        moment = ""
        for line in text.splitlines(keepends=True):
            if log_line(line.removesuffix("\n")) is not None and (found := _MOMENT.search(line)):
                moment = found[0]
            entries.append((moment, line))
    return "".join(line for _, line in sorted(entries, key=itemgetter(0))) if logged else stdout


def alarms(text: str) -> list[str]:
    """Return the texts of the warnings and errors among the log lines of a command's output, each once."""
    events = (logged.event for _, logged in _log_lines(text) if logged is not None and logged.alarming)
    return [event for event in dict.fromkeys(events) if event]


def log_line(line: str) -> LogLine | None:
    """Return a line as what a logger wrote, None where it is none."""
    if match := _LOG_LINE.match(line):
        level = (match["classic"] or match["console"]).lower()
        rest = line[match.end() :]
        return LogLine(level, _event(rest), deprecation=_is_of_deprecation(rest))
    if _LOADING_LINE.match(line):
        return LogLine("", line.strip())
    if match := _WARNING_LINE.fullmatch(line):
        return LogLine("warning", match["text"].strip(), deprecation="Deprecat" in match["category"])
    return _json_line(line) if line.startswith("{") and line.endswith("}") else None


def _log_lines(text: str) -> Iterator[tuple[str, LogLine | None]]:
    *whole, rest = text.split("\n")
    for line in whole:
        yield f"{line}\n", log_line(line)
    if rest:
        yield rest, log_line(rest)


def _event(rest: str) -> str:
    cut = _DETAILS.search(rest)
    return _COLOURS.sub("", rest[: cut.start()] if cut else rest).strip()


def _is_of_deprecation(rest: str) -> bool:
    # Word by word: an expression for the whole takes minutes with a line that was made for it.
    return any("Deprecat" in word and word.endswith("Warning") for word in _CATEGORY.findall(rest))


def _json_line(line: str) -> LogLine | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(entry.get(key), str) for key in _JSON_KEYS):
        return None
    deprecation = "Deprecat" in str(entry.get("category", ""))
    event = _uncaught(entry) if entry.get("logger") == "unhandled_exception" else entry["event"].strip()
    return LogLine(entry["level"].lower(), event, deprecation)


def _uncaught(entry: dict[str, Any]) -> str:
    """Return what an exception said that nobody has caught: a log in JSON has it in place of a traceback."""
    raised = entry.get("exception")
    last = raised[0] if isinstance(raised, list) and raised and isinstance(raised[0], dict) else {}
    name, text = str(last.get("exc_type") or ""), str(last.get("exc_value") or "").strip()
    if not name:
        return str(entry["event"]).strip()
    # Its module is not said: those of Airflow's own whose texts are for people are mostly called so.
    return text if text and name.startswith("Airflow") else f"{name}: {text}".removesuffix(": ")


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


# Python writes NaN and Infinity, which are no JSON: they become null.
_DECODER = json.JSONDecoder(parse_constant=lambda word: None, parse_float=_finite)


def parse_result(stdout: str) -> Any:
    """
    Return the last JSON document in ``stdout``, None where there is none.

    Text that is JSON as a whole is taken as it is.
    """
    try:
        return _DECODER.decode(stdout)
    except (ValueError, RecursionError):
        found = deque(documents(stdout), maxlen=1)
        return found[0] if found else None


def too_deep(result: Any) -> bool:
    """Return whether a result is nested more than `DEEPEST` levels deep."""
    level = [result]
    for _ in range(DEEPEST):
        contents = (
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, _NESTING)
        )
        level = [one for content in contents for one in content if isinstance(one, _NESTING)]
        if not level:
            return False
    return True


def documents(stdout: str) -> Iterator[Any]:
    """
    Yield the JSON objects and arrays that a command printed, between log lines and other text.

    A document begins a line with a bracket, ends a line, and is not part of another.
    """
    position = attempts = 0
    left = READINGS * len(stdout)
    while attempts < ATTEMPTS and left > 0 and (start := _next_bracket(stdout, position)) >= 0:
        attempts += 1
        position = start + 1
        try:
            value, end = _DECODER.raw_decode(stdout, start)
        except (ValueError, RecursionError) as error:
            left -= getattr(error, "pos", len(stdout)) - start
            continue
        left -= end - start
        newline = stdout.find("\n", end)
        # "[2026-01-01] text" or "[1] text": the line goes on, so that it is a log line.
        if not stdout[end : newline if newline >= 0 else len(stdout)].strip():
            yield value
            position = end


def reader(invocation: Invocation) -> Read | None:
    """
    Return what reads the result of a command off its output, None where the command has none.

    That is the JSON that it was asked to print, or the value of a command that is there to print one: of
    `variables get` and `config get-value` the text, of the former with `--json` the value, of the latter None
    for no option; of the states the state, None where there is none; of `tasks list` the ids; of `dags
    next-execution` the date, None where no run follows, or with `--num-executions` the dates.
    """
    if invocation.values.get("output") == "json" and invocation.command.json_output:
        return _document
    value = _VALUES.get(invocation.command.name)
    if value is None:
        return None

    def read(stdout: str, done: bool) -> Any:
        text = stdout if invocation.command.name in SILENT else without_log_lines(stdout)
        # Without a line there is no text, not even an empty one.
        has_value = done and (text or value is not _text)
        return value(text.removesuffix("\n"), invocation.values) if has_value else None

    return read


def _document(stdout: str, done: bool) -> Any:
    # A log can be JSON as well.
    text = without_log_lines(stdout)
    found = parse_result(text)
    return [] if found is None and done and _NOTHING.fullmatch(text.strip()) else found


def _text(text: str, values: Mapping[str, Any]) -> str:
    return text


def _variable(text: str, values: Mapping[str, Any]) -> Any:
    if not values.get("json") or not text.startswith(("{", "[")):
        # A text prints as it is: what is no object and no list may be one that reads like a number.
        return text
    try:
        # The command prints what Python calls it; Python's own parser lets nobody else run for seconds.
        return json.loads(_PYTHON.sub(_in_json, text))
    except (ValueError, LookupError, SyntaxError, RecursionError):
        # A text: what prints as it is.
        return text


# A text as Python writes it, and what else has letters.
_PYTHON = re.compile(r"""'[^'\\\n]*(?:\\.[^'\\\n]*)*'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|[A-Za-z]+""")
_WORDS = {"True": "true", "False": "false", "None": "null", "e": "e"}


def _in_json(found: re.Match[str]) -> str:
    """Return in JSON what Python writes in another way; raise LookupError where it is no JSON value."""
    word = found[0]
    if word[0] not in "'\"":
        return _WORDS[word]
    return json.dumps(ast.literal_eval(word) if "\\" in word else word[1:-1])


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
    while starts := [place for place in (text.find("[", position), text.find("{", position)) if place >= 0]:
        place = min(starts)
        line = text.rfind("\n", 0, place) + 1
        if not text[line:place].strip():
            return place
        newline = text.find("\n", place)
        if newline < 0:
            break
        position = newline + 1
    return -1


# As the interpreter prints an exception that was not caught (`traceback.format_exception_only`).
_EXCEPTION = re.compile(r"(?P<module>(?:\w+\.)*)(?P<name>\w+)(?:: (?P<text>.*))?")
_OWN = "airflow."
"""Exceptions of Airflow's and its providers': their texts are meant for people, their classes are not."""

# The first error of an AirflowFileParseException; that of a YAML file has several lines.
_PARSE_ERROR = re.compile(
    r"=+ Parse error +\d+ =+\n(?P<error>\S.*(?:\n(?!=+ Parse error |Line number: ).+)*)"
    r"(?:\nLine number: +(?P<line>\d+))?"
)

# A message of a child of a 1.x endpoint (`legacy/child/messages.py`).
_MESSAGE = re.compile(r'airflow-rest-api[\w-]* (?P<kind>\w+): (?P<text>".*")')

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[@-~]")
_FRAME = "╭╮╰╯│─| \t"
"""What frames are drawn with, by `rich` and around the exceptions of a group."""
_RULES = "+-=_*#~^" + _FRAME
"""What a line without words is made of."""


def reason(
    stderr: str, stdout: str, exit_code: int | None, *, secretive: bool = False, foreign: bool = False
) -> str:
    """
    Return why a command failed.

    That is what is wrong with a file, or the text of an exception that was not caught, else the last line on
    standard error, as `sys.exit` writes it, else the last error in the log, else the last words on standard
    output.

    :param secretive: what it printed can hold secrets, and the reason is kept in clear: nothing is
        repeated but what Airflow's own code ended with, by `sys.exit`
    :param foreign: other code than Airflow's own ran in it
    """
    if secretive:
        found = "" if foreign or TRACEBACK in stderr else _last_line(stderr)
    else:
        found = _broken_file(stderr) or _exception(stderr) or _last_line(stderr)
        found = found or _last_error(stdout) or _last_words(stdout)
    found = " ".join(found.split())
    if not found:
        more = "; see what it printed." if stderr.strip() or stdout.strip() else ", and printed nothing."
        return f"The command ended with exit code {exit_code}{more}"
    return found if len(found) <= LONGEST else found[: LONGEST - 1].rstrip() + "…"


def _broken_file(stderr: str) -> str:
    """Return why Airflow could not read a file of variables or connections, where it ended with that."""
    head, _, form = stderr[-TAIL:].rpartition("\nFilename: ")
    file, _, errors = form.rstrip().partition("\n\n")
    found = _PARSE_ERROR.match(errors)
    if found is None or "\n\n" in errors:
        return ""
    # Behind the name of the exception, where that was not caught.
    what = head.rpartition("\n")[2].rpartition(": ")[2].rstrip(".")
    # Lines of the file, and the marks below them, are indented.
    *_, why = (line for line in found["error"].split("\n") if not line[:1].isspace())
    place = f"{file}, line {found['line']}" if found["line"] else file
    return f"{what}: {why.rstrip('.')} ({place})"


def _exception(stderr: str) -> str:
    """Return the text of the last exception whose traceback was printed, empty where there is none."""
    head, found, rest = stderr[-TAIL:].rpartition(TRACEBACK)
    if not found or head.rpartition("\n")[2].strip(_RULES):
        return ""
    for line in _last_lines(rest):
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
    for line in reversed(_last_lines(text)):
        if message := _MESSAGE.fullmatch(line):
            if message["kind"] == "refused":
                return _json_text(message["text"])
        elif line.strip(_RULES) and log_line(line) is None:
            return line.strip(_FRAME)
    return ""


def _last_error(text: str) -> str:
    for line in reversed(_last_lines(text)):
        logged = log_line(line)
        if logged is not None and logged.level in ERRORS and logged.event:
            return logged.event
    return ""


def _last_words(text: str) -> str:
    """Return the last line, where it is no data: words with a blank between them."""
    line = _last_line(text)
    return line if re.match(r"[^\W\d_]+,? \w", line) else ""


def _json_text(document: str) -> str:
    try:
        return str(json.loads(document))
    except ValueError:
        return ""


def _last_lines(text: str) -> list[str]:
    lines = text[-TAIL:].splitlines()
    return [_ESCAPES.sub("", line[:LONGEST_LINE]).rstrip() for line in lines]
