from __future__ import annotations

import json
import time

import pytest

from airflow_rest_api.operations.log_lines import LogLine, alarms, log_line, without_log_lines

CLASSIC = "[2026-11-22 08:17:02,123] {__init__.py:51} INFO - Using executor LocalExecutor\n"
WITH_ZONE = "[2026-11-22T08:17:02.123+0000] {dagbag.py:588} INFO - Filling up the DagBag from /dags\n"
MODERN = (
    "2026-11-22T14:26:20.156096Z [info     ] Pushing xcom                   [task] loc=task_runner.py:2280\n"
)
WITH_OFFSET = "2026-11-22 14:27:50.039868+00:00 [warning  ] careful [task] dag_id=golden_basic\n"
JSON = '{"timestamp":"2026-11-22T14:26:20Z","level":"info","event":"Pushing xcom","logger":"task"}\n'
LOADING = "Filling up the DagBag from /dags\n"
COLOURED = "\x1b[2m2026-11-22T14:26:20.156096Z\x1b[0m [\x1b[32m\x1b[1minfo     \x1b[0m] Pushing\n"


@pytest.mark.parametrize("line", [CLASSIC, WITH_ZONE, MODERN, WITH_OFFSET, COLOURED, JSON, LOADING])
def test_log_lines_are_taken_out_wherever_they_are(line: str) -> None:
    assert without_log_lines(f"{line}a\n{line}{line}b{line}") == f"a\nb{line}"


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]\n",
        '[\n  "a",\n  {"b": null}\n]\n',
        "[2026-11-22] is a date\n",
        "2026-11-22T14:26:20Z\n",
        "2026-11-22 [info] by a person\n",
        "line1\n[not a log\nline3\n",
        "dag_id | state\n=======+======\nx      | [a]\n",
        "no newline at the end",
        '{"a": 1}\n',
        '{"timestamp": "2026-11-22", "level": "info"}\n',
        '{"timestamp": 1, "level": "info", "event": "x"}\n',
        '{"timestamp": "t", "level": "info", "event": {"of": "mine"}}\n',
        '[{"timestamp": "t", "level": "info", "event": "x"}]\n',
        '  {"timestamp": "t", "level": "info", "event": "x"}\n',
        '{"timestamp": "t", "level": "info", "event": "x"} behind\n',
        '{"timestamp": "t", "level": "info", "event": "x"\n',
        '{\n"timestamp": "t", "level": "info", "event": "x"}\n',
        "",
    ],
)
def test_everything_else_survives(text: str) -> None:
    assert without_log_lines(text) == text


def warning(event: str, more: str = "") -> str:
    return f"2026-11-22T14:26:20.156096Z [warning  ] {event}{more}\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (CLASSIC, LogLine("info", "Using executor LocalExecutor")),
        (MODERN, LogLine("info", "Pushing xcom")),
        (WITH_OFFSET, LogLine("warning", "careful")),
        (COLOURED, LogLine("info", "Pushing")),
        (JSON, LogLine("info", "Pushing xcom")),
        (LOADING, LogLine("", LOADING.strip())),
        (warning("a [b] c"), LogLine("warning", "a [b] c")),
        (warning("a  b", "   [airflow.x] x=1"), LogLine("warning", "a  b")),
        (warning("a [b] c", " [airflow.x]"), LogLine("warning", "a [b] c")),
        (
            warning("a", " \x1b[0m[\x1b[34m\x1b[1mx\x1b[0m]\x1b[0m \x1b[36mkey\x1b[0m=v"),
            LogLine("warning", "a"),
        ),
        (warning("a", " loc=x.py:1"), LogLine("warning", "a")),
        (warning(""), LogLine("warning", "")),
        ("text\n", None),
    ],
)
def test_a_log_line_is_its_level_and_what_happened(line: str, found: LogLine | None) -> None:
    assert log_line(line.removesuffix("\n")) == found


@pytest.mark.parametrize("level", ["warning", "warn", "error", "exception", "critical"])
def test_warnings_and_worse_are_alarms(level: str) -> None:
    console = f"2026-11-22T14:26:20Z [{level:9}] a [x]\n"
    classic = f"[2026-11-22 08:17:02,123] {{x.py:1}} {level.upper()} - b\n"
    logged = json.dumps({"timestamp": "t", "level": level, "event": "c"})
    assert alarms(f"{console}text\n{classic}{logged}") == ["a", "b", "c"]


@pytest.mark.parametrize("level", ["debug", "info", "notset"])
def test_what_is_less_is_none(level: str) -> None:
    logged = json.dumps({"timestamp": "t", "level": level, "event": "c"})
    assert alarms(f"2026-11-22T14:26:20Z [{level:9}] a\n{logged}\n") == []


def test_an_alarm_is_told_once_and_an_empty_one_not_at_all() -> None:
    assert alarms(warning("b") + warning("a") + warning("b", "  [other] x=1") + warning("")) == ["b", "a"]


@pytest.mark.parametrize(
    ("category", "told"),
    [
        ("DeprecationWarning", False),
        ("RemovedInAirflow4Warning", True),
        ("AirflowProviderDeprecationWarning", False),
        ("PendingDeprecationWarning", False),
        ("UserWarning", True),
        ("DeprecatedThing", True),
    ],
)
def test_what_is_to_be_changed_one_day_is_no_alarm(category: str, told: bool) -> None:
    expected = ["old"] if told else []
    assert alarms(warning("old", f"   [py.warnings] category={category} filename=x.py")) == expected


def test_a_json_line_has_its_deprecation_in_a_key() -> None:
    entry = {"timestamp": "t", "level": "warning", "event": "old", "category": "DeprecationWarning"}
    assert alarms(json.dumps(entry)) == []
    assert alarms(json.dumps({**entry, "category": "UserWarning"})) == ["old"]


STAMP = "2026-11-22T14:26:20Z [warning  ]"
HOSTILE = {
    "blanks": (f"{STAMP} a", " ", ""),
    "brackets": (f"{STAMP} a", " [", ""),
    "closed brackets": (f"{STAMP} a", " [b]", ""),
    "colours": (f"{STAMP} a ", "\x1b[0m", "b"),
    "colours in front": ("", "\x1b[0m", "b"),
    "colours behind the time": ("2026-11-22T14:26:20Z", "\x1b[0m", "b"),
    "categories": (f"{STAMP} a category=", "Deprecat", ""),
    "many categories": (f"{STAMP} a", " category=Deprecat", ""),
    "loc": (f"{STAMP} a", " loc", ""),
    "a time without an end": ("[2026-11-22 08:17:02", ",", ""),
    "a file without an end": ("[2026-11-22 08:17:02,1] {", ":1", ""),
    "a fraction": ("2026-11-22T14:26:20", ".1", ""),
    "JSON": ("", '{"a":', ""),
    "arrays": ('{"a":', "[", ""),
    "lines of JSON": ("", "{\n", ""),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_time_for_a_line_grows_as_the_line_does(kind: str) -> None:
    begin, middle, end = HOSTILE[kind]

    def seconds(size: int) -> float:
        text = begin + middle * (size // len(middle)) + end
        began = time.thread_time()
        without_log_lines(text)
        alarms(text)
        return time.thread_time() - began

    # Sixteen times as long: with the square of it, 256 times. A quarter of a second is nobody's trouble.
    assert seconds(1_048_576) < max(0.25, 64 * seconds(65_536))
