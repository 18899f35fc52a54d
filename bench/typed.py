"""Whole processes: `airflow-rest` beside `airflow`, on the same lines, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.client import Unexpected
from bench.figures import ms, times
from bench.goals import at_least, verdict
from demo.stack import Stack

LINES: Mapping[str, float] = {"version": 10.0, "dags list -o json": 8.0}
"""How many times faster than `airflow` each is to be."""
SECONDS = ("version", 0.25)
"""What a whole process may take where that of `airflow` takes 2.4."""
SOURCES = Path(__file__).resolve().parent.parent / "client" / "src"
RUN = "import sys; from airflow_rest_client.cli import main; sys.exit(main())"

HEADERS = ("whole process", "airflow-rest ms", "airflow ms", "faster")


@dataclass(frozen=True)
class Typed:
    """Seconds of one line: of `airflow-rest`, and of `airflow`."""

    line: str
    ours: Sequence[float]
    plain: Sequence[float]

    @property
    def faster(self) -> float:
        """How many times faster ours is."""
        return median(self.plain) / median(self.ours)

    def cells(self) -> list[str]:
        """Return its row."""
        return [self.line, ms(median(self.ours)), ms(median(self.plain)), times(self.faster)]


def measure_typed(
    stack: Stack, folder: Path, runs: int, processes: int, report: Callable[[str], None]
) -> list[Typed]:
    """
    Time each line as a process of both.

    :param folder: for the client's cache, which a first run fills
    :raises Unexpected: one of them fails
    """
    ours = {
        **os.environ,
        "PYTHONPATH": str(SOURCES),
        "AIRFLOW_REST_HOME": str(folder),
        "AIRFLOW_REST_URL": stack.url,
        "AIRFLOW_REST_TOKEN": stack.token(),
        "NO_PROXY": "localhost,127.0.0.1",
    }
    # Nobody types with this, and it has each process compile the client anew.
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    found = []
    for line in LINES:
        report(f"airflow-rest {line}")
        client = [sys.executable, "-c", RUN, *line.split()]
        command = [str(Path(sys.executable).with_name("airflow")), *line.split()]
        _seconds(client, ours)
        seconds = [_seconds(client, ours) for _ in range(runs)]
        found.append(Typed(line, seconds, [_seconds(command, stack.environment) for _ in range(processes)]))
    return found


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unexpected(f"{' '.join(command[:4])}: exit code {done.returncode}: {done.stderr[-500:]}")
    return time.perf_counter() - begun


def goals(found: Sequence[Typed]) -> Iterator[str]:
    """Yield the lines of the goals."""
    for typed in found:
        yield at_least(f"airflow-rest {typed.line}", typed.faster, LINES[typed.line], "as fast as airflow")
        if typed.line == SECONDS[0]:
            seconds = median(typed.ours)
            yield verdict(
                seconds <= SECONDS[1], f"airflow-rest {typed.line} {seconds:.2f} s (at most {SECONDS[1]})"
            )
