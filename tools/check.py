"""What is looked at while working: types, and beside them the quick tests."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.runs import Run, beside

MARKS = "not airflow and not server and not slow"
QUICKER = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "--ignore=tests/attacks/test_schema.py")
"""One file alone needs these plugins, which each process of pytest would load for seconds."""


def main(options: Sequence[str]) -> int:
    """Run pytest on the quick tests with some options, and mypy beside it; return an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with beside(sys.executable, "-m", "mypy") as types:
        here = Run(sys.executable, ["-m", MARKS, *QUICKER, *options], Path(".pytest_cache")).once()
        there = types.result()
    return here or there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
