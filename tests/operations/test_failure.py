from __future__ import annotations

import subprocess
import sys
import time

import pytest

from airflow_rest_api.operations.failure import LONGEST, reason

LOG = (
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
        (LOG + "Pool a does not exist\n", "Pool a does not exist"),
        ("Pool a does not exist\n" + LOG, "Pool a does not exist"),
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
    assert reason("", LOG + error + LOG, 1) == "The database is locked."
    assert reason(LOG, "a table\nNothing was found.\n", 1) == "Nothing was found."
    for data in (LOG, '[{"a": 1}]', "]\n", "3\n", "-----\n", "| a | b |"):
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


@pytest.mark.parametrize(
    "character", ["a", ".", "a.", ":", ": ", " ", "\x1b[", "\x1b[0", "\n", "│", "-", "[", "{", "\u0301"]
)
def test_no_output_takes_long(character: str):
    text = character * 1_000_000
    started = time.thread_time()
    for stderr in (text, TRACE + text, TRACE * 5000, text + TRACE + text):
        reason(stderr, text, 1)
    assert time.thread_time() - started < 2.0
