"""From seconds that were measured to the figures of a table: arithmetic, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

MS = 1000


@dataclass
class Samples:
    """
    Seconds of one row; what stands at the same place of two lists was measured in the same round.

    :ivar rest: our REST call, HTTP in to HTTP out
    :ivar inside: the part of it from the start of the command to its end
    :ivar function: the command's function in a warm process of its own
    :ivar process: the same `airflow …` as a new process
    :ivar own: Airflow's own REST API
    :ivar second: the same REST call to the second server of the run
    """

    name: str
    rest: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    function: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)

    @property
    def speedup(self) -> float | None:
        """How many times as long the new process takes."""
        return median(self.process) / median(self.rest) if self.process else None

    @property
    def times_own(self) -> float | None:
        """How many times as long as Airflow's own REST API we take."""
        return median(self.rest) / median(self.own) if self.own else None

    @property
    def overhead(self) -> float:
        """Seconds of a REST call that are not the command's function."""
        return median(differences(self.rest, self.function))

    @property
    def http(self) -> float:
        """Seconds of a REST call outside of the process that runs the command."""
        return median(differences(self.rest, self.inside))


def differences(whole: Iterable[float], part: Iterable[float]) -> list[float]:
    """Return what is left of each measurement: paired, so that a slow moment of the machine hits both."""
    return [one - other for one, other in zip(whole, part, strict=True)]


def ms(seconds: float | None) -> str:
    """Return seconds as milliseconds, as exact as they are worth."""
    if seconds is None:
        return ""
    value = seconds * MS
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def times(ratio: float | None) -> str:
    """Return a ratio as text."""
    if ratio is None:
        return ""
    return f"{ratio:.1f}×" if ratio < 20 else f"{ratio:.0f}×"


def mb(size: float) -> str:
    """Return bytes as megabytes."""
    return f"{size / 2**20:.1f}"


def main_headers(second: str) -> tuple[str, ...]:
    """Return the headers; `second` is what the second server is called."""
    return (
        "command",
        "REST ms",
        f"{second} ms",
        "new process ms",
        "faster",
        "Airflow's REST ms",
        "of that",
        "function ms",
        "overhead ms",
        "of which HTTP ms",
    )


def main_cells(row: Samples) -> list[str]:
    """Return a row's cells under `main_headers`."""
    return [
        row.name,
        ms(median(row.rest)),
        ms(median(row.second)) if row.second else "",
        ms(median(row.process)) if row.process else "",
        times(row.speedup),
        ms(median(row.own)) if row.own else "",
        times(row.times_own),
        ms(median(row.function)),
        ms(row.overhead),
        ms(row.http),
    ]


def summary(rows: list[Samples]) -> list[str]:
    """Return the sentences below the table."""
    lines = []
    if speedups := [row.speedup for row in rows if row.speedup is not None]:
        lines.append(f"Faster than a new process: {times(median(speedups))} (median of {len(speedups)} rows)")
        under = [f"{row.name} {times(row.speedup)}" for row in rows if (row.speedup or 5) < 5]
        lines.append(f"Rows under 5×: {', '.join(under) or 'none'}")
    if any(row.own for row in rows):
        over = [f"{row.name} {times(row.times_own)}" for row in rows if (row.times_own or 0) > 3]
        lines.append(f"Rows over 3× Airflow's own REST API: {', '.join(over) or 'none'}")
    lines.append(f"Overhead of REST: {ms(median(row.overhead for row in rows))} ms (median of the rows)")
    lines += [f"Overhead of REST for version: {ms(row.overhead)} ms" for row in rows if row.name == "version"]
    return lines
