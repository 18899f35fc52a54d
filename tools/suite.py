"""
All tests here; meanwhile types, quick tests on two other interpreters, and environments of other Airflows.

Then the tests on these.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.versions import NEWEST, SITES
from tools import versions
from tools.runs import Run, beside


def main(options: Sequence[str]) -> int:
    """
    Run pytest with some options, and mypy and `tools.interpreters` beside it; return an exit code.

    Where all that holds, `tools.versions` follows. On another Airflow than the newest that is supported: the
    part of the tests that is for all of them, and nothing else.

    What these print comes when all have ended. A few tests that failed are then run once more, with the
    machine to themselves: one that passes now is named in a line of its own, one that fails again has failed.
    """
    # Whoever ends this one ends the others with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Not by importing it, which makes an AIRFLOW_HOME where there is none.
    airflow = ".".join(version("apache-airflow").split(".")[:2])
    if airflow != NEWEST:
        site = next(site for site in SITES if site.airflow == airflow)
        return versions.run(site, Path(sys.prefix))
    tests = Run(sys.executable, options, Path(".pytest_cache"))
    with (
        beside(sys.executable, "-m", "mypy") as types,
        beside(sys.executable, "-m", "tools.interpreters", "--ends") as others,
        # One that cannot be made is told of by those who need it.
        beside(sys.executable, "-m", "tools.versions", versions.PREPARE) as prepared,
    ):
        others.stand_back()
        prepared.stand_back()
        here = tests.once()
        there = [each.result() for each in (types, others)]
        prepared.process.wait()
    if here == pytest.ExitCode.TESTS_FAILED:
        here = tests.again()
    return here or max(there) or versions.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
