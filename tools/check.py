"""What is looked at while working: types, and beside them the quick tests."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.runs import Run, beside

TESTS = Path(__file__).resolve().parent.parent / "tests"
PLUGINS = ("-p", "no:schemathesis", "-p", "no:hypothesispytest")
"""One file alone needs these plugins, which each process of pytest would load for seconds."""

_AS_A_WHOLE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.(airflow|server|slow)\b", re.MULTILINE)


def quick() -> list[str]:
    """
    Return pytest's options for the quick tests.

    Files without a quick test are not read: each worker would read them all, and longer than it tests some.
    """
    files = sorted(TESTS.rglob("test_*.py"))
    ignored = [f"--ignore={file}" for file in files if _AS_A_WHOLE.search(file.read_text())]
    return ["-m", "not airflow and not server and not slow", *PLUGINS, *ignored]


def main(options: Sequence[str]) -> int:
    """Run pytest on the quick tests with some options, and mypy beside it; return an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with beside(sys.executable, "-m", "mypy") as types:
        here = Run(sys.executable, [*quick(), *options], Path(".pytest_cache")).once()
        there = types.result()
    return here or there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
