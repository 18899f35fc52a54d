"""Sixteen clients for a long time: whether each reads what it wrote, and whether anything is left behind."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from bench.connections import WRONG, Requests, Step
from bench.figures import mb
from bench.load import GOOD, Tally, drive
from bench.memory import SETTLE, Usage, usage, warm_parent
from bench.rows import MANY, SOAK_TEST

FILL = 1200
"""Requests before the first count: the API server keeps the last thousand operations."""
COUNTS = 6
"""How often is counted, evenly over the time, beside the first one."""
FORKED_EVERY = 8
"""Rounds of a client with a task among them, which is no command for a process that others share."""
Operation = Mapping[str, Any]
Right = Callable[[Operation], bool]

HEADERS = (
    "",
    "requests",
    "server descriptors",
    "server PSS MB",
    "parent descriptors",
    "parent PSS MB",
    "children",
    "their descriptors",
    "their PSS MB",
    "in all MB",
)


@dataclass(frozen=True)
class Count:
    """
    What the API server and the engine below it hold at one moment.

    :ivar requests: that were answered until then
    :ivar children: of the warm parent, with all that they started
    """

    when: str
    requests: int
    server: Usage
    parent: Usage
    children: Usage

    @property
    def size(self) -> int:
        """The bytes of all."""
        return self.server.pss + self.parent.pss + self.children.pss

    @property
    def descriptors(self) -> int:
        """Those of all."""
        return self.server.descriptors + self.parent.descriptors + self.children.descriptors

    def cells(self) -> list[str]:
        """Return the cells under `HEADERS`."""
        return [
            self.when,
            str(self.requests),
            str(self.server.descriptors),
            mb(self.server.pss),
            str(self.parent.descriptors),
            mb(self.parent.pss),
            str(self.children.processes),
            str(self.children.descriptors),
            mb(self.children.pss),
            mb(self.size),
        ]


def conclusion(tally: Tally, counts: Sequence[Count]) -> list[str]:
    """Return the sentences below the tables."""
    first, last = counts[0], counts[-1]
    wrong = sum(count for what, count in tally.answers.items() if what.endswith(WRONG))
    return [
        f"* Wrong answers: {wrong} of {sum(tally.answers.values())}",
        f"* Processes below the API server: {first.children.processes + 1} before, "
        f"{min(each.children.processes for each in counts) + 1} to "
        f"{max(each.children.processes for each in counts) + 1} since, "
        f"{last.children.processes + 1} after",
        f"* Descriptors of all: {first.descriptors} before, {last.descriptors} after",
        f"* Memory of all: {mb(first.size)} MB before, {mb(max(each.size for each in counts))} MB at most, "
        f"{mb(last.size)} MB after",
    ]


def result_is(value: Any) -> Right:
    """Return whether an operation's result is that value."""
    return lambda operation: bool(operation["result"] == value)


def prints(text: str) -> Right:
    """Return whether an operation's standard output has that text."""
    return lambda operation: text in operation["stdout"]


def has_row(**fields: str) -> Right:
    """Return whether an operation's result has a row with these fields."""

    def right(operation: Operation) -> bool:
        rows = operation["result"]
        return isinstance(rows, list) and any(fields.items() <= row.items() for row in rows)

    return right


def is_given(argument: str) -> Right:
    """Return whether an operation is the one with that argument."""
    return lambda operation: argument in operation["argv"]


def exchanges(client: int) -> Iterator[tuple[str, Mapping[str, Any], Right]]:
    """
    Yield without end what a client does: command, arguments, and whether an operation is right.

    What it writes is its own, and different each time: an answer that belongs to another client, or to
    another request, is a wrong one.
    """
    name, dag = f"soak_{client:02}", f"bench_{client:03}"
    option = {"section": "core", "option": "executor"}
    for turn in itertools.count():
        value, slots = f"of client {client}, round {turn}", 1 + (client + MANY * turn) % 1000
        yield "variables set", {"key": name, "value": value}, prints(name)
        yield "variables get", {"key": name}, result_is(value)
        yield "pools set", {"pool": name, "slots": slots, "description": value}, prints(name)
        yield "pools get", {"pool": name}, has_row(pool=name, slots=str(slots), description=value)
        yield "pools list", {}, has_row(pool=name, slots=str(slots), description=value)
        yield "connections list", {}, has_row(conn_id="bench")
        yield "dags pause", {"dag_id": dag}, has_row(dag_id=dag, is_paused="True")
        yield "config get-value", option, prints("LocalExecutor")
        yield "dags unpause", {"dag_id": dag}, has_row(dag_id=dag, is_paused="False")
        yield "variables get", {"key": name}, prints(f"{value}\n")
        yield "version", {}, prints(".")
        if turn % FORKED_EVERY == client % FORKED_EVERY:
            date = f"{2100 + turn % 900}-01-{client + 1:02}"
            yield "tasks test", {**SOAK_TEST, "logical_date_or_run_id": date}, is_given(date)


def steps(requests: Requests, client: int) -> Iterator[Step]:
    """Yield the requests of one client, each with what its answer has to be."""
    for command, arguments, right in exchanges(client):

        def is_right(body: Any, command: str = command, right: Callable[[Any], bool] = right) -> bool:
            return bool(body["command"] == command and right(body))

        yield Step(requests.command(command, arguments), is_right)


def soak(
    server: int, requests: Requests, seconds: float, report: Callable[[str], None]
) -> tuple[Tally, Sequence[Count]]:
    """
    Return what the clients were answered, and the counts before, several times meanwhile, and after.

    :param server: process id of the API server
    """
    # They go on where they were when they go on after a count.
    clients = [steps(requests, number) for number in range(MANY)]
    report(f"filling the store of operations with {FILL} requests")
    total = Tally(MANY)
    while len(total.latencies) < FILL:
        total.add(drive(requests, clients, 5.0))
    counts = [_count("before", 0, server)]
    found = Tally(MANY)
    for number in range(1, COUNTS + 1):
        report(f"{MANY} clients, {number} of {COUNTS} times {seconds / COUNTS:.0f} s")
        found.add(drive(requests, clients, seconds / COUNTS))
        counts.append(_count(f"after {number * seconds / COUNTS:.0f} s", len(found.latencies), server))
    # What went wrong before the first count went wrong too.
    found.answers += Counter({what: n for what, n in total.answers.items() if what != GOOD})
    return found, counts


def _count(when: str, requests: int, server: int) -> Count:
    time.sleep(SETTLE)
    parent = warm_parent(server)
    children = parent.children(recursive=True)
    return Count(when, requests, usage([psutil.Process(server)]), usage([parent]), usage(children))
