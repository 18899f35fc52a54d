"""How fast one of Airflow's own routes answers while many clients are served."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from multiprocessing.connection import Connection

from bench.client import Client, Unexpected
from bench.connections import Requests, Step
from bench.figures import ms, times
from bench.load import GOOD, TURNS, Tally, commands, describe, drive, own_calls, percentile
from bench.rows import LOADS, MANY, Call

ROUTE = Call("GET", "version")
EVERY = 0.05
"""Seconds from one request to the next."""
HEADERS = ("GET /api/v2/version", "median ms", "95th percentile ms", "of that alone", "served beside it/s")


@dataclass
class Beside:
    """
    Seconds of the route; `tally` is what was answered beside it.

    :ivar name: what else the server did
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    tally: Tally = field(default_factory=lambda: Tally(MANY))

    @property
    def high(self) -> float:
        """The 95th percentile."""
        return percentile(self.seconds, 95)


def cells(found: Sequence[Beside]) -> list[list[str]]:
    """Return the rows under `HEADERS`; the first one is the route alone."""
    return [
        [
            each.name,
            ms(percentile(each.seconds, 50)),
            ms(each.high),
            "" if each is found[0] else times(each.high / found[0].high),
            "" if each is found[0] else f"{each.tally.rate:.1f}",
        ]
        for each in found
    ]


def measure_beside(
    first: tuple[Client, Requests], second: tuple[str, Client, Requests] | None, seconds: float
) -> list[Beside]:
    """
    Return the route alone, beside many clients who run commands, and beside as many of Airflow's own API.

    :param first: a client of the server, and the requests to it
    :param second: what the second server is called, with its own
    :param seconds: for each of them
    """
    client, requests = first
    own = [call for load in LOADS for call in load.own]
    kinds: list[tuple[Beside, Client, Requests, list[list[Step]]]] = [
        (Beside("alone"), client, requests, []),
        (Beside(f"beside {MANY} clients of commands"), client, requests, _all_commands(requests)),
        (
            Beside(f"beside {MANY} clients of Airflow's own REST API"),
            client,
            requests,
            [own_calls(requests, own, number) for number in range(MANY)],
        ),
    ]
    if second is not None:
        name, other, its_requests = second
        found = Beside(f"{name}: beside {MANY} clients of commands")
        kinds.append((found, other, its_requests, _all_commands(its_requests)))
    for _ in range(TURNS):
        for beside, prober, theirs, steps in kinds:
            _measure(beside, prober, theirs, [itertools.cycle(each) for each in steps], seconds / TURNS)
    return [beside for beside, *_ in kinds]


def _all_commands(requests: Requests) -> list[list[Step]]:
    """Return what each of the many clients sends; they do not all send the same at the same time."""
    steps = [step for load in LOADS for step in load.steps]
    return [
        commands(requests, [*steps[number % len(steps) :], *steps[: number % len(steps)]], number)
        for number in range(MANY)
    ]


def _measure(
    beside: Beside, client: Client, requests: Requests, clients: list[Iterator[Step]], seconds: float
) -> None:
    # In a process of its own: a thread would wait for the other clients' turn of the interpreter as well.
    here, there = multiprocessing.Pipe(duplex=False)
    # Its connection is its own: the server may have closed one that was idle for long.
    client.close()
    asking = multiprocessing.get_context("fork").Process(target=_ask, args=(client, seconds, here, there))
    asking.start()
    there.close()
    try:
        if clients:
            beside.tally.add(drive(requests, clients, seconds))
        found = here.recv()
    except EOFError:
        found = "its process has ended"
    finally:
        asking.terminate()
        asking.join()
        here.close()
    if isinstance(found, str):
        raise Unexpected(f"{beside.name}: {ROUTE.path} was not answered: {found}")
    beside.seconds += found
    if clients and not beside.tally.answers[GOOD]:
        raise Unexpected(f"{beside.name}: {describe(beside.tally.answers) or 'no answer'}")


def _ask(client: Client, seconds: float, others: Connection, found: Connection) -> None:
    """Send the seconds that each answer of the route took, or why there is none."""
    others.close()
    took: list[float] = []
    try:
        # It connects first.
        client.own(ROUTE)
        began = time.perf_counter()
        for number in itertools.count():
            due = began + number * EVERY
            if due >= began + seconds:
                break
            time.sleep(max(0.0, due - time.perf_counter()))
            took.append(client.own(ROUTE).seconds)
    except (Unexpected, OSError, HTTPException) as error:
        found.send(f"{type(error).__name__}: {error}")
    else:
        found.send(took)
