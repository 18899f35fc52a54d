"""All tests on this interpreter, and meanwhile the types, and quick tests on two others."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from tools.runs import Run, beside
from tools.versions import NEWEST, run


def main(options: Sequence[str]) -> int:
    """
    Run pytest with some options, and mypy and `tools.interpreters` beside it; return an exit code.

    On another Airflow than the newest that is supported: the part of the tests that is for all of them.

    What these print comes when all have ended. A few tests that failed are then run once more, with the
    machine to themselves: one that passes now is named in a line of its own, one that fails again has failed.
    """
    # Whoever ends this one ends the others with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Not by importing it, which makes an AIRFLOW_HOME where there is none.
    if not version("apache-airflow").startswith(f"{NEWEST}."):
        return run(Path(sys.prefix))
    tests = Run(sys.executable, options, Path(".pytest_cache"))
    with (
        beside(sys.executable, "-m", "mypy") as types,
        beside(sys.executable, "-m", "tools.interpreters", "--ends") as others,
    ):
        others.stand_back()
        here = tests.once()
        there = [each.result() for each in (types, others)]
    if here == pytest.ExitCode.TESTS_FAILED:
        here = tests.again()
    return here or max(there)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
