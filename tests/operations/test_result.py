from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from airflow.exceptions import AirflowFileParseException, FileSyntaxError

from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.operations import result
from airflow_rest_api.operations.result import (
    LONGEST,
    LogLine,
    alarms,
    log_line,
    parse_result,
    reader,
    reason,
    without_log_lines,
)

PRETTY = '[\n  {\n    "a": 1,\n    "b": [\n      2\n    ]\n  }\n]'


@pytest.mark.parametrize(
    ("stdout", "result"),
    [
        ('[{"a": 1}]\n', [{"a": 1}]),
        ("[]\n", []),
        ('{"a": "[x]"}', {"a": "[x]"}),
        ("null\n", None),
        ('2026-01-01T00:00:00Z [info     ] Filling up [airflow.x] loc=x.py:1\n[{"a": 1}]\n', [{"a": 1}]),
        ('[2026-01-01T00:00:00.000+0000] {x.py:1} INFO - text\n[{"a": 1}]\n', [{"a": 1}]),
        ('[1] a log line\n{"b": 2} another\n' + PRETTY + "\n", [{"a": 1, "b": [2]}]),
        (PRETTY + "\nWARNING: later\n[2026-01-01] {y} more\n", [{"a": 1, "b": [2]}]),
        ("before\n\n" + PRETTY + "\n\nafter [x]\n", [{"a": 1, "b": [2]}]),
        ('  {"a": 1}  \nend', {"a": 1}),
        ('{"a": 1}\n{"a": 2}\n', {"a": 2}),
    ],
)
def test_the_json_is_found_among_what_else_is_printed(stdout: str, result: Any):
    assert parse_result(stdout) == result


@pytest.mark.parametrize(
    "stdout", ["", "No data found\n", "[half", '{"a": ', "a [1]\n", "[x]\n{y}\n", "[" * 100_000]
)
def test_what_is_no_json_is_no_result_and_no_error(stdout: str):
    assert parse_result(stdout) is None


def test_much_text_with_many_brackets_takes_little_time():
    stdout = "[1] x\n" * 100_000 + "[" * 10_000 + "\n" + json.dumps([1])
    began = time.thread_time()
    parse_result(stdout)

    assert time.thread_time() - began < 1


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def read(catalog: Catalog, argv: list[str], stdout: str, *, done: bool = True) -> Any:
    """Return the result of a command line that printed something; it must have a reader."""
    reads = reader(catalog.parse(argv))
    assert reads is not None
    return reads(stdout, done)


LOG = "2026-01-01T00:00:00Z [info     ] Filling up [airflow.x] loc=x.py:1\n"
JSON_LOG = '{"timestamp": "2026-01-01T00:00:00Z", "level": "warning", "event": "hm"}\n'
STATE = ["dags", "state", "d", "r"]
TASK_STATE = ["tasks", "state", "d", "t", "r"]
NEXT = ["dags", "next-execution", "d"]
DATES = ["2026-11-10 00:00:00+00:00", "2026-11-11 00:00:00+00:00"]


@pytest.mark.parametrize("log", [LOG, JSON_LOG])
def test_json_that_was_asked_for_is_found_among_the_lines_of_a_log(catalog: Catalog, log: str):
    argv = ["pools", "list", "--output", "json"]
    assert read(catalog, argv, f'{log}[{{"pool": "p"}}]\n{log}') == [{"pool": "p"}]
    assert read(catalog, argv, log, done=False) is None


NOTHING = [
    (["teams", "list"], "No teams found."),
    (["plugins"], "No plugins loaded"),
    (["dags", "pause", "d", "--yes"], "No unpaused DAGs were found"),
    (["dags", "unpause", "d", "--yes"], "No paused DAGs were found"),
]


@pytest.mark.parametrize(("argv", "printed"), NOTHING)
def test_a_list_without_entries_is_one_also_where_airflow_says_so_in_words(
    catalog: Catalog, argv: list[str], printed: str
):
    if " ".join(argv[:2]) == "teams list" and "teams list" not in catalog.commands:
        pytest.skip("Airflow 3.2 has brought it")
    argv = [*argv, "--output", "json"]
    for log in ("", LOG, JSON_LOG):
        assert read(catalog, argv, f"{log}{printed}\n") == []
        assert read(catalog, argv, f"{log}{printed}\n", done=False) is None
    for other in ("", f"{printed} a", f"a\n{printed}"):
        assert read(catalog, argv, f"{other}\n") is None


@pytest.mark.parametrize("value", ["v", "", "a\nb", "a\n", " v ", "[1, 2]", "None", '{"a": 1}', "[2026] x"])
def test_the_value_of_a_variable_is_the_text_that_it_is(catalog: Catalog, value: str):
    assert read(catalog, ["variables", "get", "k"], f"{value}\n") == value
    for log in ("", LOG, JSON_LOG):
        assert read(catalog, ["config", "get-value", "core", "x"], f"{log}{value}\n") == value


@pytest.mark.parametrize("log", [LOG, JSON_LOG])
def test_a_variable_that_reads_like_a_log_is_its_value(catalog: Catalog, log: str):
    # The command has its logs suppressed: whatever it prints is the value.
    assert read(catalog, ["variables", "get", "k"], log) == log.removesuffix("\n")


def test_numbers_that_json_cannot_hold_are_null(catalog: Catalog):
    argv = ["pools", "list", "--output", "json"]
    assert read(catalog, argv, "[NaN, -Infinity, 1e999, 1.5]\n") == [None, None, None, 1.5]
    assert read(catalog, argv, "text\n[NaN]\n") == [None]


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, None, True, False, -1.5, 1e-07, 1e300]},
        {"it's": "a\\b", "a \"b\" 'c'": "\n\t\0\x1b\u65e5\U0001f600\ud800"},
        *([], {}, [[]], "text", "two\nlines", "5", "None", "it's [1", "\u65e5", {"a": "'"}, {"True": "None"}),
    ],
)
def test_a_variable_read_as_json_is_its_value(catalog: Catalog, value: Any):
    # Airflow prints what Python calls it. What is no object and no list stays text: `5` can be "5" as well.
    assert read(catalog, ["variables", "get", "k", "--json"], f"{value}\n") == value


NO_VALUES = [
    "[true]",
    "[nan]",
    "['a' 'b']",
    "['a\nb']",
    "[b'x']",
    "[0x1f]",
    "[(1, 2)]",
    "[" * 100_000,
    "[" + "9" * 5000,
]


@pytest.mark.parametrize(
    "printed", ["nan_", "{1: 2", "{1, 2}", "b'x'", "(" * 100_000, "x" * 100_000, "1j", *NO_VALUES]
)
def test_what_is_no_json_value_is_a_text(catalog: Catalog, printed: str):
    assert read(catalog, ["variables", "get", "k", "--json"], f"{printed}\n") == printed


def test_text_that_begins_like_json_in_each_line_is_not_read_for_each(monkeypatch: pytest.MonkeyPatch):
    read_from: list[int] = []

    class Noted(json.JSONDecoder):
        def raw_decode(self, text: str, start: int = 0) -> Any:
            read_from.append(start)
            return super().raw_decode(text, start)

    monkeypatch.setattr(result, "_DECODER", Noted())

    assert list(result.documents("[1,\n" * 150 + '{"a": 1}\n')) == []
    assert len(read_from) < 20
    # What ends early is no work: such are the lines of a log.
    assert list(result.documents("[2026-01-01] words\n" * 150 + '{"a": 1}\n')) == [{"a": 1}]


def test_python_reads_nothing_long_of_a_variable(catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    # Its parser lets no other thread run before it is done: of a megabyte that takes seconds.
    read_by_python: list[str] = []
    literal_eval = result.ast.literal_eval
    monkeypatch.setattr(
        result.ast, "literal_eval", lambda text: read_by_python.append(text) or literal_eval(text)
    )
    value = {"a\\": [[], "b", 1.5, None] * 1000}

    assert read(catalog, ["variables", "get", "k", "--json"], f"{value}\n") == value
    assert read_by_python == [r"'a\\'"]


def test_a_command_that_failed_has_no_value(catalog: Catalog):
    for argv in (["variables", "get", "k"], ["tasks", "list", "d"], TASK_STATE, STATE, NEXT):
        assert read(catalog, argv, "words\n", done=False) is None


@pytest.mark.parametrize("log", ["", LOG, JSON_LOG])
def test_an_option_that_there_is_not_has_no_value_and_one_that_is_set_to_nothing_an_empty_text(
    catalog: Catalog, log: str
):
    assert read(catalog, ["config", "get-value", "core", "none"], log) is None
    assert read(catalog, ["config", "get-value", "core", "nothing"], f"{log}\n") == ""


def test_tasks_are_a_list_of_their_ids(catalog: Catalog):
    assert read(catalog, ["tasks", "list", "d"], f"{LOG}a\nb.c\n") == ["a", "b.c"]
    assert read(catalog, ["tasks", "list", "d"], "\n") == []
    assert read(catalog, ["tasks", "list", "d"], "") == []


def test_a_state_is_a_word_or_nothing(catalog: Catalog):
    for argv in (STATE, TASK_STATE):
        assert read(catalog, argv, f"{LOG}success\n") == "success"
        assert read(catalog, argv, "None\n") is None
        assert read(catalog, argv, "") is None
    assert read(catalog, STATE, 'failed, {"a": "b, c"}\n') == "failed"


def test_the_next_run_is_a_date_or_nothing(catalog: Catalog):
    assert read(catalog, NEXT, f"{DATES[0]}\n") == DATES[0]
    assert read(catalog, NEXT, "None\n") is None


def test_the_next_runs_are_a_list_in_which_nothing_is_the_end(catalog: Catalog):
    several = [*NEXT, "--num-executions", "3"]
    assert read(catalog, several, "\n".join([*DATES, "None", ""])) == [*DATES, None]
    assert read(catalog, several, "None\n") == [None]
    assert read(catalog, [*NEXT, "--table"], "a table\n") is None


def test_other_commands_have_no_result_of_their_own(catalog: Catalog):
    for argv in (["version"], ["pools", "list"], ["dags", "pause", "d"], ["tasks", "clear", "d"]):
        assert reader(catalog.parse(argv)) is None


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
        ("/a b/x.py:48 UserWarning: careful: now\n", LogLine("warning", "careful: now")),
        ("<string>:1: SAWarning: careful\n", LogLine("warning", "careful")),
        ("/x.py:1 XDeprecationWarning: old\n", LogLine("warning", "old", deprecation=True)),
        ("text\n", None),
        ("x.py:48 UserWarning: no place of Python's\n", None),
        ("/a/x.py:48 no warning\n", None),
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


@pytest.mark.slow
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


LOGGED = (
    "2026-11-26T04:56:01.923243Z [warning  ] Could not import graphviz. [py.warnings] category=UserWarning\n"
)
TRACE = """Traceback (most recent call last):
  File "/a/b.py", line 1, in main
    args.func(args)
    ~~~~~~~~~^^^^^^
"""


def dies(code: str) -> str:
    """Return what a program of Python's prints that ends with an error."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize(
    ("stderr", "sentence"),
    [
        (
            TRACE + "airflow.exceptions.DagNotFound: Dag id a not found in DagModel\n",
            "Dag id a not found in DagModel",
        ),
        (TRACE + "airflow.sdk.exceptions.AirflowException: no such pool\n", "no such pool"),
        (TRACE + "airflow.providers.x.Wrong\n", "Wrong"),
        (TRACE + "KeyError: 'a'\n", "KeyError: 'a'"),
        (
            TRACE + "sqlalchemy.exc.OperationalError: no such table: x\n[SQL: SELECT 1]\n(Background …)\n",
            "OperationalError: no such table: x",
        ),
        (TRACE + "ValueError: first\n\n" + TRACE + "RuntimeError: second\n", "RuntimeError: second"),
        (LOGGED + "Pool a does not exist\n", "Pool a does not exist"),
        ("Pool a does not exist\n" + LOGGED, "Pool a does not exist"),
        ("\x1b[31mPool  a\x1b[0m\tdoes not exist\n\n", "Pool a does not exist"),
        (
            "usage: …\nairflow a command error: argument -o: invalid choice: 'x', see help above.\n",
            "airflow a command error: argument -o: invalid choice: 'x', see help above.",
        ),
        ('airflow-rest-api-k3y refused: "There is no DAG \\"a\\"."\n', 'There is no DAG "a".'),
        ('It broke.\nairflow-rest-api warning: "It is old."\n', "It broke."),
        ("╭───── Error ─────╮\n│ It is broken. │\n╰───────────╯\n", "It is broken."),
    ],
)
def test_a_command_that_fails_says_why_in_one_sentence(stderr: str, sentence: str):
    assert reason(stderr, "[1, 2]\n", 1) == sentence


def broken(*errors: FileSyntaxError) -> str:
    """Return what Airflow says of a file that it cannot read."""
    return str(AirflowFileParseException("Failed to load the secret file.", "a.json", list(errors)))


YAML = """while parsing a flow sequence
  in "<unicode string>", line 1, column 6:
    key: [hunter2
         ^
expected ',' or ']', but got '<stream end>'
  in "<unicode string>", line 2, column 1:
    \n    ^"""
UNREADABLE = "Failed to load the secret file"


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ([FileSyntaxError(1, "Expecting value")], f"{UNREADABLE}: Expecting value (a.json, line 1)"),
        (
            [FileSyntaxError(2, "Key is empty."), FileSyntaxError(5, "Value is empty.")],
            f"{UNREADABLE}: Key is empty (a.json, line 2)",
        ),
        # Airflow counts the lines of YAML from 0, and does not name that one.
        (
            [FileSyntaxError(0, "Key is empty."), FileSyntaxError(5, "Value is empty.")],
            f"{UNREADABLE}: Key is empty (a.json)",
        ),
        (
            [FileSyntaxError(1, YAML)],
            f"{UNREADABLE}: expected ',' or ']', but got '<stream end>' (a.json, line 1)",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_what_is_wrong_where(
    errors: list[FileSyntaxError], sentence: str
):
    said = broken(*errors)
    assert reason(f"{LOGGED}{said}\n", "", 1) == sentence
    assert reason(f"{TRACE}airflow.exceptions.AirflowFileParseException: {said}\n", "", 1) == sentence
    # As where a secrets backend has such a file, and the command goes on without it.
    assert reason(f"{LOGGED}{said}\nConnection not found.\n", "", 1) == "Connection not found."


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.exit('It is not there.')", "It is not there."),
        ("raise SystemExit('two\\nlines')", "lines"),
        ("{}['a']", "KeyError: 'a'"),
        ("assert 1 == 2", "AssertionError"),
        ("1 +", "SyntaxError: invalid syntax"),
        (
            "import json; json.loads('nothing')",
            "JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        ),
        ("try:\n  {}['a']\nexcept KeyError as e:\n  raise ValueError('no a') from e", "ValueError: no a"),
        ("try:\n  {}['a']\nexcept KeyError:\n  raise ValueError('no a')", "ValueError: no a"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_what_this_interpreter_prints_is_understood(code: str, sentence: str):
    assert reason(dies(code), "", 1) == sentence


def test_without_a_word_on_standard_error_the_log_and_the_output_are_looked_at():
    error = "2026-11-26T04:56:01Z [error    ] The database is locked. [airflow.x] loc=a.py:1\n"
    assert reason("", LOGGED + error + LOGGED, 1) == "The database is locked."
    assert reason(LOGGED, "a table\nNothing was found.\n", 1) == "Nothing was found."
    for data in (LOGGED, '[{"a": 1}]', "]\n", "3\n", "-----\n", "| a | b |"):
        assert reason("", data, 7) == "The command ended with exit code 7; see what it printed."
    assert reason("", " \n", 7) == "The command ended with exit code 7, and printed nothing."


def test_of_an_output_that_can_hold_secrets_only_airflows_own_last_word_is_repeated():
    secret = "The password is hunter2\n"
    for stderr, stdout in (("", secret), (TRACE + f"ValueError: {secret}", "")):
        assert "hunter2" not in reason(stderr, stdout, 1, secretive=True)
    assert "hunter2" not in reason(secret, "", 1, secretive=True, foreign=True)
    assert reason("Connection not found.\n", secret, 1, secretive=True) == "Connection not found."


def test_a_sentence_is_bounded():
    long = reason("x" * 100_000, "", 1)
    assert (len(long), long[-1]) == (LONGEST, "…")


@pytest.mark.slow
@pytest.mark.parametrize(
    "character", ["a", ".", "a.", ":", ": ", " ", "\x1b[", "\x1b[0", "\n", "│", "-", "[", "{", "\u0301"]
)
def test_no_output_takes_long(character: str):
    text = character * 1_000_000
    started = time.thread_time()
    form = broken(FileSyntaxError(0, "."))
    for stderr in (text, TRACE + text, TRACE * 5000, text + TRACE + text, form + text[:50_000] + "\n\n"):
        reason(stderr, text, 1)
    assert time.thread_time() - started < 2.0


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ([("AirflowException", "Dag 'd' could not be found")], "Dag 'd' could not be found"),
        (
            [("EOFError", "EOF when reading a line"), ("KeyError", "the cause")],
            "EOFError: EOF when reading a line",
        ),
        ([("StopIteration", "")], "StopIteration"),
        ([("AirflowException", "")], "AirflowException"),
        ([], "Unhandled exception"),
        (None, "Unhandled exception"),
        (["odd"], "Unhandled exception"),
    ],
)
def test_an_exception_that_a_json_log_has_is_the_reason(raised: Any, told: str) -> None:
    found = [
        dict(zip(("exc_type", "exc_value"), one, strict=True)) if isinstance(one, tuple) else one
        for one in raised or ()
    ]
    entry = {"timestamp": "t", "level": "critical", "event": "Unhandled exception"}
    line = json.dumps({**entry, "logger": "unhandled_exception", "exception": found})
    assert reason("", f"{line}\n", 1) == told
