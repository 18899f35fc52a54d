"""Runs of pytest, and what runs beside; few tests that fail beside others are run once more, alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

FEW = 5
"""How many failures may be the machine's: real servers and browsers beside each other wait for each other."""


class Run:
    """
    Tests of the working folder.

    :param python: the interpreter
    :param options: pytest's
    :param record: the folder in which pytest keeps what has failed; another one for each interpreter
    :param env: variables beside those that are set
    """

    def __init__(
        self, python: str, options: Sequence[str], record: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._env = {**os.environ, **(env or {})}
        self._command = [python, "-m", "pytest", "-o", f"cache_dir={record.absolute()}", *options]
        self._failed = record / "v" / "cache" / "lastfailed"

    def once(self) -> int:
        """Run them; return pytest's exit code."""
        return subprocess.call(self._command, env=self._env)

    def again(self) -> int:
        """
        Run those that failed, if they are few, in one process; name what passes; return an exit code.

        Those of one file count as few: they share what they start.
        """
        failed = sorted(json.loads(self._failed.read_text())) if self._failed.exists() else []
        files = {test.partition("::")[0] for test in failed}
        if not failed or (len(failed) > FEW and len(files) > 1):
            return pytest.ExitCode.TESTS_FAILED
        named = ", ".join(failed if len(failed) <= FEW else [f"{len(failed)} of {files.pop()}"])
        print(f"\nOnce more, alone: {named}", flush=True)
        code = subprocess.call([*self._command, "-n", "0", "--last-failed"], env=self._env)
        if code == pytest.ExitCode.OK:
            print(f"Passed only alone: {named}", flush=True)
        return code


LEAST = 19


class Beside:
    """A command that runs meanwhile; what it prints is kept until `result` is asked for."""

    def __init__(self, command: Sequence[str], printed: IO[bytes]) -> None:
        self._printed = printed
        self.process = subprocess.Popen(
            command,
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            # A group of its own, to lower its priority and to end it with all that it has started.
            start_new_session=True,
        )

    def stand_back(self) -> None:
        """Let it have what all others leave."""
        group = self.process.pid
        os.setpriority(os.PRIO_PGRP, group, LEAST)
        # Where Linux shares the processors between sessions, the above counts within each of them only.
        with suppress(OSError):
            Path(f"/proc/{group}/autogroup").write_text(str(LEAST))

    def result(self) -> int:
        """Wait for its end, show what it has printed, and return its exit code."""
        code = self.process.wait()
        self._printed.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(self._printed, sys.stdout.buffer)
        sys.stdout.flush()
        return code

    def end(self) -> None:
        """End it with all that it has started, where it has not ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)


@contextmanager
def beside(*command: str) -> Iterator[Beside]:
    """Run a command for the time of the body, at most."""
    with tempfile.TemporaryFile() as printed:
        running = Beside(command, printed)
        try:
            yield running
        finally:
            running.end()
