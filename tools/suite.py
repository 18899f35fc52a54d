"""All tests: on this interpreter, and meanwhile the quick ones on the others with what is left idle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

LEAST = 19


def main(options: Sequence[str]) -> int:
    """
    Run pytest with some options, and `tools.interpreters` beside it; return an exit code.

    What the others print comes when both have ended.
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
            here = subprocess.call([sys.executable, "-m", "pytest", *options])
            there = others.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(others.pid, signal.SIGTERM)
        printed.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(printed, sys.stdout.buffer)
    return here or there


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
