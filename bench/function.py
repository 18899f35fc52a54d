"""
How long the function of a command itself takes: no HTTP, no queue, no recording.

`python -m bench.function` is a process as warm as the engine's parent. For each command line on its standard
input it forks a child as ready as a spare one, and prints the seconds from the parser to the exit handlers.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from bench.client import Unexpected

ROOT = Path(__file__).resolve().parent.parent
SCREEN = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
"""What the engine sets for its commands."""
RESULT = struct.Struct("di")


class Function:
    """
    Times commands in children of one warm process.

    :param environment: with which an `airflow` command works
    :param folder: working folder of the commands
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.function", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**environment, **SCREEN},
        )

    def seconds(self, argv: Sequence[str]) -> float:
        """Return how long a command took; raise `Unexpected` when it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(list(argv)) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Unexpected(f"The warm process for {argv} ended")
        seconds, code = json.loads(line)
        if code != 0:
            raise Unexpected(f"{' '.join(argv)}: exit code {code} in a warm child")
        return float(seconds)

    def __enter__(self) -> Function:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _time_in_child(argv: list[str]) -> tuple[float, int]:
    from airflow_rest_api.airflow import warm

    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        warm.prepare_spare()
        started = time.perf_counter()
        code = _airflow(argv)
        os.write(theirs, RESULT.pack(time.perf_counter() - started, code))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        result = pipe.read()
    os.waitpid(pid, 0)
    seconds, code = RESULT.unpack(result) if len(result) == RESULT.size else (0.0, -1)
    return seconds, code


def _airflow(argv: list[str]) -> int:
    """Be the command `airflow`, up to what an interpreter does at its end; return the exit code."""
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *argv]
    try:
        airflow()  # type: ignore[no-untyped-call]
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return code


def main(folder: str) -> None:
    """Time each command line that comes in."""
    from airflow_rest_api.airflow import warm

    os.chdir(folder)
    warm.warm_up(lambda paths: None)
    gc.collect()
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(_time_in_child(json.loads(line))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
