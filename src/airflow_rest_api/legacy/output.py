"""What a command printed, as clients of the 1.x plugin get it."""

from __future__ import annotations

import re

# What Airflow's loggers write: the classic format, and structlog's on a console, with and without colours.
_LOG_LINE = re.compile(
    r"""
    (\x1b\[[0-9;]*m)*
    (
        # [2026-…] {file.py:12} INFO -
        \[\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\]]*\]\ \{[^}\n]+:\d+\}\ [A-Z]+\ -
        # 2026-…Z [info     ]
      | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(Z|[+-]\d\d:?\d\d)?(\x1b\[[0-9;]*m)*\ \[(\x1b\[[0-9;]*m)*
        (debug|info|notset|warning|warn|error|exception|critical)\ *(\x1b\[[0-9;]*m)*\]
    )
    """,
    re.VERBOSE,
)
# What 1.x printed while it loaded, on lines of their own.
_LOADING_LINE = re.compile(r"Loading pickle id |Loading DAGs? from |Filling up the DagBag from ")


def without_log_lines(text: str) -> str:
    """
    Return a command's output without the lines that its loggers wrote, and with every other line.

    A line is judged by its own beginning alone: a value such as ``[1, 2]`` is not a log line, nor is what
    follows one.
    """
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if not _LOG_LINE.match(line) and not _LOADING_LINE.match(line)
    )
