"""Processor time of a command in all processes that have to do with it, as the kernel counts it."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass

import psutil

from bench.client import Unexpected
from bench.connections import Requests
from bench.figures import ms
from bench.load import GOOD, Tally, commands, describe, drive, own_calls
from bench.memory import tree, warm_parent
from bench.rows import Load

SETTLE = 0.5
"""Seconds until the children that are no longer needed have ended, and new spare ones are ready."""

HEADERS = (
    "processor time of a command",
    "API server, user ms",
    "system ms",
    "warm parent ms",
    "children ms",
    "in all ms",
)


@dataclass(frozen=True)
class Processor:
    """
    Seconds of processor time.

    :ivar user: of the API server, in its own code
    :ivar system: of the API server, in the kernel
    :ivar parent: of the warm parent, both
    :ivar children: of the warm parent's children, both: of those that live, and of those that it has reaped
    """

    user: float
    system: float
    parent: float
    children: float

    @property
    def total(self) -> float:
        """In all processes."""
        return self.user + self.system + self.parent + self.children

    def since(self, before: Processor, requests: int) -> Processor:
        """Return the share of one of the requests that there were in the meantime."""
        return Processor(
            (self.user - before.user) / requests,
            (self.system - before.system) / requests,
            (self.parent - before.parent) / requests,
            (self.children - before.children) / requests,
        )


@dataclass(frozen=True)
class Cost:
    """
    What one request takes of the processors.

    :ivar rest: a command over REST
    :ivar second: the same at the second server of the run
    :ivar own: Airflow's own REST API doing the same
    """

    name: str
    rest: Processor
    second: Processor | None
    own: Processor

    def cells(self) -> list[str]:
        """Return the cells under `cost_headers`."""
        parts = (self.rest.user, self.rest.system, self.rest.parent, self.rest.children, self.rest.total)
        second = [] if self.second is None else [ms(self.second.total)]
        return [self.name, *map(ms, parts), *second, ms(self.own.total)]


def cost_headers(second: str | None) -> tuple[str, ...]:
    """Return the headers; `second` is what the second server is called, if there is one."""
    return (*HEADERS, *([f"{second}, in all ms"] if second else []), "Airflow's own REST ms")


def read(server: int) -> Processor:
    """Return what the API server with the process id `server`, and the engine below it, have taken so far."""
    parent = warm_parent(server)
    children, engine = parent.children(recursive=True), {each.pid for each in tree(parent)}
    user = system = 0.0
    for process in tree(psutil.Process(server)):
        # What was forked or has ended between two looks is seen by the next one.
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.pid not in engine:
                used = process.cpu_times()
                user, system = user + used.user, system + used.system
    own = parent.cpu_times()
    taken = own.children_user + own.children_system
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            taken += sum(child.cpu_times()[:4])
    return Processor(user, system, own.user + own.system, taken)


def measure_cost(
    first: tuple[int, Requests], second: tuple[int, Requests] | None, load: Load, count: int
) -> Cost:
    """
    Return what one request takes of the processors when one client sends so many, one after the other.

    :param first: process id of an API server, and the requests to it
    """

    def cost(server: int, requests: Requests, own: bool) -> Processor:
        steps = own_calls(requests, load.own, 0) if own else commands(requests, load.steps, 0)
        time.sleep(SETTLE)
        before = read(server)
        tally = drive(requests, [itertools.islice(itertools.cycle(steps), count)], None)
        time.sleep(SETTLE)
        _check(tally, load.name)
        return read(server).since(before, count)

    rest = cost(*first, own=False)
    other = None if second is None else cost(*second, own=False)
    return Cost(load.name, rest, other, cost(*first, own=True))


def _check(tally: Tally, name: str) -> None:
    if set(tally.answers) != {GOOD}:
        raise Unexpected(f"{name}: {describe(tally.answers)}")
