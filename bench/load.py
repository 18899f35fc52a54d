"""Many clients at once: how many requests a second, and what they are answered."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from bench.connections import Requests, Step, exchange
from bench.figures import ms
from bench.rows import Call, Load

HEADERS = ("commands", "clients", "requests/s", "median ms", "95th percentile ms", "answers")
GOOD = "200"
TURNS = 2
"""Into so many parts the seconds of a measurement are cut, between which the others have theirs."""


@dataclass
class Tally:
    """What came back; `answers` counts by status, and by what was not well with a command's."""

    clients: int
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a second that were answered well."""
        return self.answers[GOOD] / self.seconds if self.seconds else 0.0

    @property
    def middle(self) -> float | None:
        """The median of the seconds."""
        return median(self.latencies) if self.latencies else None

    @property
    def high(self) -> float | None:
        """The 95th percentile of the seconds."""
        return percentile(self.latencies, 95) if self.latencies else None

    def add(self, other: Tally) -> None:
        """Take in what came back another time."""
        self.seconds += other.seconds
        self.answers += other.answers
        self.latencies += other.latencies

    def cells(self, name: str) -> list[str]:
        """Return the cells under `HEADERS`."""
        rate, answers = f"{self.rate:.1f}", describe(self.answers)
        return [name, str(self.clients), rate, ms(self.middle), ms(self.high), answers]


@dataclass
class Comparison:
    """
    The same load, by turns.

    :ivar rest: commands over REST
    :ivar second: the same, by the second server of the run
    :ivar own: Airflow's own REST API
    """

    name: str
    clients: int
    rest: Tally
    second: Tally | None
    own: Tally

    def cells(self) -> list[str]:
        """Return the cells under `comparison_headers`."""
        tallies = [tally for tally in (self.rest, self.second, self.own) if tally is not None]
        bad = Counter[str]()
        for tally in tallies:
            bad += Counter({what: count for what, count in tally.answers.items() if what != GOOD})
        return [
            self.name,
            str(self.clients),
            *(f"{tally.rate:.1f}" for tally in tallies),
            *(ms(tally.middle) for tally in tallies),
            *(ms(tally.high) for tally in tallies),
            describe(bad) or "none",
        ]


def comparison_headers(second: str | None) -> tuple[str, ...]:
    """Return the headers; `second` is what the second server is called, if there is one."""
    whose = ["", *([f", {second}"] if second else []), ", Airflow's own"]
    return (
        "commands",
        "clients",
        *(f"requests/s{who}" for who in whose),
        *(f"median ms{who}" for who in whose),
        *(f"95th percentile ms{who}" for who in whose),
        "other answers than 200",
    )


def describe(answers: Counter[str]) -> str:
    """Return a count in words, the most frequent first."""
    return ", ".join(f"{count} × {what}" for what, count in answers.most_common())


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def commands(requests: Requests, steps: Sequence[tuple[str, Mapping[str, str]]], client: int) -> list[Step]:
    """Return what one client sends, by its number."""
    return [
        Step(requests.command(name, {key: value.format(client=client) for key, value in arguments.items()}))
        for name, arguments in steps
    ]


def own_calls(requests: Requests, calls: Sequence[Call], client: int) -> list[Step]:
    """Return what one client sends to Airflow's own REST API, by its number."""
    return [
        Step(requests.own(Call(call.method, call.path.format(client=client), call.body))) for call in calls
    ]


def drive(requests: Requests, clients: Sequence[Iterator[Step]], seconds: float | None) -> Tally:
    """Let clients send their requests for some seconds, or for as long as they have any."""
    tally = Tally(len(clients))

    def take(kind: str, seconds: float) -> None:
        tally.answers[kind] += 1
        tally.latencies.append(seconds)

    started = perf_counter()
    exchange(requests.port, clients, seconds, take)
    tally.seconds = perf_counter() - started
    return tally


def compare(first: Requests, second: Requests | None, load: Load, clients: int, seconds: float) -> Comparison:
    """
    Return what one load brings, by turns: commands over REST, on a second server, Airflow's own REST API.

    :param seconds: for each of them
    """
    found = Comparison(
        load.name, clients, Tally(clients), None if second is None else Tally(clients), Tally(clients)
    )
    numbers = range(clients)
    for _ in range(TURNS):
        for requests, tally in ((first, found.rest), (second, found.second)):
            if requests is not None and tally is not None:
                steps = [itertools.cycle(commands(requests, load.steps, number)) for number in numbers]
                tally.add(drive(requests, steps, seconds / TURNS))
        steps = [itertools.cycle(own_calls(first, load.own, number)) for number in numbers]
        found.own.add(drive(first, steps, seconds / TURNS))
    return found
