"""All tests: on this interpreter, and meanwhile the quick ones on the others with what is left idle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

LEAST = 19
FEW = 5
"""How many failures may be the machine's: real servers and browsers beside each other wait for each other."""

LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main(options: Sequence[str]) -> int:
    """
    Run pytest with some options, and `tools.interpreters` beside it; return an exit code.

    What the others print comes when both have ended. A few tests that failed are then run once more, with the
    machine to themselves: one that passes now is named in a line of its own, one that fails again has failed.
    """
    # Whoever ends this one ends the others with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryFile() as printed:
        others = subprocess.Popen(
            [sys.executable, "-m", "tools.interpreters"],
            stdout=printed,
            stderr=subprocess.STDOUT,
            # A group of its own, to lower its priority and to end it with all that it has started.
            start_new_session=True,
        )
        try:
            os.setpriority(os.PRIO_PGRP, others.pid, LEAST)
            here = run(options)
            there = others.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(others.pid, signal.SIGTERM)
        printed.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(printed, sys.stdout.buffer)
    if here == pytest.ExitCode.TESTS_FAILED:
        here = again(options)
    return here or there


def run(options: Sequence[str]) -> int:
    """Run pytest in the working folder; return its exit code."""
    return subprocess.call([sys.executable, "-m", "pytest", *options])


def again(options: Sequence[str]) -> int:
    """Run what failed in the last run, if it is little, alone and in one process; return an exit code."""
    failed = sorted(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else []
    if not 0 < len(failed) <= FEW:
        return pytest.ExitCode.TESTS_FAILED
    print(f"\nOnce more, alone: {', '.join(failed)}", flush=True)
    code = run([*options, "-n", "0", "--last-failed"])
    if code == pytest.ExitCode.OK:
        print(f"Passed only alone: {', '.join(failed)}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
