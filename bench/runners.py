"""What a runner costs and brings: the same command here and by a runner, and the work of one and of two."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.client import PLUGIN, Client, Unexpected
from bench.figures import differences, ms
from demo.split import QUEUE
from demo.stack import Stack

COMMANDS = (
    ("version", ["version"]),
    ("tasks test", ["tasks", "test", "example_template", "greet", "2026-01-01"]),
)
SLEEPS = 4
"""Seconds of each operation by whose number runners are measured: most of it is no work of a processor."""
AT_ONCE = 2
"""Operations that each of these runners runs at a time."""
SLOW = ["tasks", "test", "example_slow", "work", "2026-01-01", "--task-params", f'{{"seconds": {SLEEPS}}}']
PATIENCE = 600.0

HEADERS = ("by a runner, over Redis", "API server ms", "runner ms", "adds ms")
WORK_HEADERS = (f"operations of {SLEEPS} s, {AT_ONCE} at a time each", "a minute")


@dataclass
class Added:
    """Seconds of a command; what stands at the same place of two lists was measured in the same round."""

    name: str
    here: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the row under `HEADERS`."""
        adds = median(differences(self.there, self.here))
        return [self.name, ms(median(self.here)), ms(median(self.there)), ms(adds)]


@dataclass
class Work:
    """How many operations one runner ended in how many seconds, and two."""

    count: int
    one: float
    two: float

    def cells(self) -> list[list[str]]:
        """Return the rows under `WORK_HEADERS`."""
        return [
            ["one runner", f"{60 * self.count / self.one:.0f}"],
            ["two runners", f"{60 * self.count / self.two:.0f}"],
            ["times as many", f"{self.one / self.two:.2f}"],
        ]


def measure_runners(
    folder: Path, settings: Mapping[str, str], runs: int, report: Callable[[str], None]
) -> tuple[list[Added], Work]:
    """
    Measure both on an Airflow on two hosts, of which the API server may run everything too.

    :raises Unexpected: a command does not succeed
    """
    report("starting Airflow on two hosts")
    env = {
        **settings,
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__REST_API_PLUGIN__RUN_DAG_CODE": "True",
        "AIRFLOW__REST_API_PLUGIN__PARALLELISM": str(AT_ONCE),
    }
    stack = Stack(
        folder / "split",
        dags=folder / "dags",
        components=("api-server", "dag-processor"),
        env=env,
        expect=("example_template", "example_slow"),
        topology="split",
    )
    with stack:
        client = Client(stack.url, stack.token())
        added = [Added(name) for name, _ in COMMANDS]
        for number in range(runs + 1):
            for row, (_, argv) in zip(added, COMMANDS, strict=True):
                here, there = _run(client, argv, "local"), _run(client, argv, QUEUE)
                if number:  # The first ones wait for what is warming up.
                    row.here.append(here)
                    row.there.append(there)
        count = 4 * AT_ONCE
        report(f"{count} operations by one runner and by two")
        one = _work(client, count)
        stack.add_runner("second")
        return added, Work(count, one, _work(client, count))


def _run(client: Client, argv: list[str], queue: str) -> float:
    body = {"argv": argv, "queue": queue}
    answer = client.send("POST", f"{PLUGIN}/v2/run", body, {"Prefer": "wait=110"})
    if answer.status != 200 or answer.body["state"] != "succeeded":
        raise Unexpected(f"{' '.join(argv)} at {queue}: {answer.status} {answer.body}")
    return answer.seconds


def _work(client: Client, count: int) -> float:
    """Have operations run that sleep, and return the seconds until the last of them has ended."""
    began = time.perf_counter()
    begun = [_begun(client) for _ in range(count)]
    while begun and time.perf_counter() - began < PATIENCE:
        found = client.send("GET", f"{PLUGIN}/v2/operations/{begun[0]}").body
        if found["state"] == "succeeded":
            del begun[0]
        elif found["state"] in ("queued", "running"):
            time.sleep(0.05)
        else:
            raise Unexpected(f"an operation of a runner: {found['state']}: {found['message']}")
    if begun:
        raise Unexpected(f"{len(begun)} operations of runners have not ended in {PATIENCE:.0f} s")
    return time.perf_counter() - began


def _begun(client: Client) -> Any:
    body = {"argv": SLOW, "queue": QUEUE}
    answer = client.send("POST", f"{PLUGIN}/v2/run", body, {"Prefer": "respond-async"})
    if answer.status != 202:
        raise Unexpected(f"{' '.join(SLOW)}: {answer.status} {answer.body}")
    return answer.body["id"]
