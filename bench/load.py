"""Many clients at once: how many requests a second, and what they are answered."""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from bench.client import Answer, Client
from bench.figures import ms
from bench.rows import Load

HEADERS = ("commands", "clients", "requests/s", "median ms", "95th percentile ms", "answers")
GOOD = "200"


@dataclass
class Tally:
    """What came back; `answers` counts by status, and by state where a command did not succeed."""

    clients: int
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a second that were answered well."""
        return self.answers[GOOD] / self.seconds if self.seconds else 0.0

    def cells(self, name: str) -> list[str]:
        """Return the cells under `HEADERS`."""
        middle = median(self.latencies) if self.latencies else None
        high = percentile(self.latencies, 95) if self.latencies else None
        return [name, str(self.clients), f"{self.rate:.1f}", ms(middle), ms(high), describe(self.answers)]


def describe(answers: Counter[str]) -> str:
    """Return a count in words, the most frequent first."""
    return ", ".join(f"{count} × {what}" for what, count in answers.most_common())


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def kind(answer: Answer) -> str:
    """Return what an answer is counted as."""
    state = answer.body.get("state") if isinstance(answer.body, dict) else None
    return str(answer.status) + (f" {state}" if state not in (None, "succeeded") else "")


def drive(connect: Callable[[], Client], load: Load, clients: int, seconds: float) -> Tally:
    """
    Let clients send their requests one after the other for some seconds, each with its own connection.

    :param connect: makes one client
    """
    tallies = [Tally(clients) for _ in range(clients)]
    started = time.perf_counter()
    threads = [
        threading.Thread(target=_work, args=(connect, load, number, started + seconds, tally))
        for number, tally in enumerate(tallies)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Tally(clients, time.perf_counter() - started)
    for tally in tallies:
        total.answers += tally.answers
        total.latencies += tally.latencies
    return total


def _work(connect: Callable[[], Client], load: Load, number: int, deadline: float, tally: Tally) -> None:
    steps = [
        (command, {name: value.format(client=number) for name, value in arguments.items()})
        for command, arguments in load.steps
    ]
    client = connect()
    turn = 0
    while time.perf_counter() < deadline:
        command, arguments = steps[turn % len(steps)]
        turn += 1
        try:
            answer = client.command(command, arguments)
        except (OSError, http.client.HTTPException) as error:
            tally.answers[type(error).__name__] += 1
            client.close()
            client = connect()
            continue
        tally.answers[kind(answer)] += 1
        tally.latencies.append(answer.seconds)
    client.close()
