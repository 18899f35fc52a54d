"""What a child sends the server beside its output: lines on stderr, which the server takes out again."""
# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# One for all keys: the standard library keeps what it compiles, and would keep one for each request.
# With a key anywhere: a DAG file may have left a line unfinished.
_LINE = re.compile(
    r'(?:^airflow-rest-api|airflow-rest-api-(\w+)) (refused|answer|warning): (".*")\n?', re.MULTILINE
)

KEY = "message_key"
"""In an order: what the messages of its child carry, so that nothing else on stderr is taken for one."""

_key = ""

LONGEST = 16 * 1024
"""Characters of one message that are kept."""
MOST_WARNINGS = 100
"""Warnings of one child that are kept."""

REFUSED_EXIT_CODE = 64  # EX_USAGE of sysexits.h: the request was wrong

DEPENDENCY_FLAGS = {
    "ignore_all_dependencies": "ignore_all_deps",
    "ignore_dependencies": "ignore_task_deps",
    "ignore_depends_on_past": "ignore_depends_on_past",
    "force": "ignore_ti_state",
}
"""In an order of `run`: the arguments of 1.x, and what Airflow's dependency checker calls them."""


class OrderRefused(Exception):
    """The request cannot be done, and nothing was done; the message is one sentence."""


def unknown_dag(dag_id: str) -> str:
    """Return the message where there is no such DAG, in the words of 1.x."""
    return f"The DAG ID '{dag_id}' does not exist"


@dataclass
class Messages:
    """The messages of a child, and the rest of its stderr."""

    stderr: str
    refused: str | None = None
    answer: str | None = None
    warnings: list[str] = field(default_factory=list)


def warn(text: str) -> None:
    """Put a sentence into the answer's warning."""
    _send("warning", text)


def answer(text: str) -> None:
    """Make a sentence the answer's output."""
    _send("answer", text)


def ordered(function: Callable[[dict[str, Any]], int | None]) -> Callable[[list[str]], int]:
    """Make a function that takes an order an entry point of the engine's child; `OrderRefused` ends it."""

    @functools.wraps(function)
    def main(argv: list[str]) -> int:
        global _key
        order = json.loads(argv[0])
        _key = order.pop(KEY, "")
        try:
            return function(order) or 0
        except OrderRefused as refusal:
            _send("refused", str(refusal))
            return REFUSED_EXIT_CODE

    return main


def write(order: dict[str, Any], key: str = "") -> str:
    """
    Return an order as the one word that a child takes.

    :param key: letters and digits that nothing else in the child knows, for `read`
    """
    return json.dumps({**order, KEY: key})


def read(stderr: str, key: str = "") -> Messages:
    """Take the messages of a child, whose order had a key, out of its stderr."""
    found: list[tuple[str, str]] = []

    def take(line: re.Match[str]) -> str:
        if (line[1] or "") != key:
            return line[0]
        found.append((line[2], line[3]))
        return ""

    messages = Messages(_LINE.sub(take, stderr))
    for kind, text in found:
        try:
            sentence = json.loads(text)
        except ValueError:
            continue
        # The code of a DAG may write here too: a text it is, by the form of the line.
        sentence = str(sentence)[:LONGEST].encode(errors="replace").decode()
        if kind == "warning":
            if len(messages.warnings) < MOST_WARNINGS:
                messages.warnings.append(sentence)
        elif kind == "answer":
            messages.answer = sentence
        else:
            messages.refused = sentence
    return messages


def _send(kind: str, text: str) -> None:
    # A command may have left a line unfinished.
    sys.stdout.flush()
    name = f"airflow-rest-api-{_key}" if _key else "airflow-rest-api"
    print(f"{name} {kind}: {json.dumps(text)}", file=sys.stderr, flush=True)
