"""Runs of pytest; the few tests that fail beside others are run once more, alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

FEW = 5
"""How many failures may be the machine's: real servers and browsers beside each other wait for each other."""


class Run:
    """
    Tests of the working folder.

    :param python: the interpreter
    :param options: pytest's
    :param record: the folder in which pytest keeps what has failed; another one for each interpreter
    """

    def __init__(self, python: str, options: Sequence[str], record: Path) -> None:
        self._command = [python, "-m", "pytest", "-o", f"cache_dir={record.absolute()}", *options]
        self._failed = record / "v" / "cache" / "lastfailed"

    def once(self) -> int:
        """Run them; return pytest's exit code."""
        return subprocess.call(self._command)

    def again(self) -> int:
        """Run those that failed, if they are few, in one process; name what passes; return an exit code."""
        failed = sorted(json.loads(self._failed.read_text())) if self._failed.exists() else []
        if not 0 < len(failed) <= FEW:
            return pytest.ExitCode.TESTS_FAILED
        print(f"\nOnce more, alone: {', '.join(failed)}", flush=True)
        code = subprocess.call([*self._command, "-n", "0", "--last-failed"])
        if code == pytest.ExitCode.OK:
            print(f"Passed only alone: {', '.join(failed)}", flush=True)
        return code
