"""Sixteen clients for a long time: what they are answered, and whether anything is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from bench.client import Client
from bench.figures import mb
from bench.load import Tally, drive
from bench.memory import SETTLE, Usage, tree, usage, warm_parent
from bench.rows import LOADS, Load

CLIENTS = 16
FILL = 1200
"""Commands before the first count: the API server keeps the last thousand operations."""
HEADERS = (
    "",
    "server descriptors",
    "server PSS MB",
    "engine processes",
    "engine descriptors",
    "engine PSS MB",
)


@dataclass(frozen=True)
class Count:
    """What the API server and the engine below it hold at one moment."""

    when: str
    server: Usage
    engine: Usage

    def cells(self) -> list[str]:
        """Return the cells under `HEADERS`."""
        return [
            self.when,
            str(self.server.descriptors),
            mb(self.server.pss),
            str(self.engine.processes),
            str(self.engine.descriptors),
            mb(self.engine.pss),
        ]


def soak(
    server: int, connect: Callable[[], Client], seconds: float, report: Callable[[str], None]
) -> tuple[Tally, Sequence[Count]]:
    """
    Return what the clients were answered, and the counts before, in the middle and after.

    :param server: process id of the API server
    """
    load = Load("all", tuple(step for load in LOADS for step in load.steps))
    total = Tally(CLIENTS)
    report(f"filling the store of operations with {FILL} commands")
    while len(total.latencies) < FILL:
        total.latencies += drive(connect, load, CLIENTS, 5.0).latencies
    counts = [_count("before", server)]
    total = Tally(CLIENTS)
    for when in ("in the middle", "after"):
        report(f"{CLIENTS} clients for {seconds / 2:.0f} s")
        half = drive(connect, load, CLIENTS, seconds / 2)
        total.seconds += half.seconds
        total.answers += half.answers
        total.latencies += half.latencies
        counts.append(_count(when, server))
    return total, counts


def _count(when: str, server: int) -> Count:
    time.sleep(SETTLE)
    engine = tree(warm_parent(server))
    return Count(when, usage([psutil.Process(server)]), usage(engine))
