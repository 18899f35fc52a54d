"""All tests: on this interpreter, and meanwhile quick ones on two others with what is left idle."""

from __future__ import annotations

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

from tools.runs import Run

LEAST = 19


def main(options: Sequence[str]) -> int:
    """
    Run pytest with some options, and `tools.interpreters` beside it; return an exit code.

    What the others print comes when both have ended. A few tests that failed are then run once more, with the
    machine to themselves: one that passes now is named in a line of its own, one that fails again has failed.
    """
    # Whoever ends this one ends the others with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    tests = Run(sys.executable, options, Path(".pytest_cache"))
    with tempfile.TemporaryFile() as printed:
        others = subprocess.Popen(
            [sys.executable, "-m", "tools.interpreters", "--ends"],
            stdout=printed,
            stderr=subprocess.STDOUT,
            # A group of its own, to lower its priority and to end it with all that it has started.
            start_new_session=True,
        )
        try:
            stand_back(others.pid)
            here = tests.once()
            there = others.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(others.pid, signal.SIGTERM)
        printed.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(printed, sys.stdout.buffer)
    if here == pytest.ExitCode.TESTS_FAILED:
        here = tests.again()
    return here or there


def stand_back(group: int) -> None:
    """Let the processes of a group, which is a session as well, have what all others leave."""
    os.setpriority(os.PRIO_PGRP, group, LEAST)
    # Where Linux shares the processors between sessions, the above counts within each of them only.
    with suppress(OSError):
        Path(f"/proc/{group}/autogroup").write_text(str(LEAST))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
