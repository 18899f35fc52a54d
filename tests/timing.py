"""Where the time of a run goes: each of its processes notes it down, and the closing lines show it."""

from __future__ import annotations

import atexit
import json
import os
import resource
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from tests.units import unit

SHOWN = 12
"""How many of the slowest files are named."""


class Note(TypedDict):
    """What took how long, in seconds."""

    worker: str
    kind: str
    name: str
    seconds: float


def _shared() -> Path:
    """Return the folder that the processes of this run share; its first process makes and removes it."""
    if (known := os.environ.get("AIRFLOW_REST_API_TESTS_RUN")) is None:
        known = os.environ["AIRFLOW_REST_API_TESTS_RUN"] = tempfile.mkdtemp(prefix="rest-api-tests-run-")
        atexit.register(shutil.rmtree, known, ignore_errors=True)
    return Path(known)


SHARED = _shared()
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


def note(kind: str, name: str, seconds: float) -> None:
    """Write down what took how long; `kind` is a line of the summary."""
    line: Note = {"worker": WORKER, "kind": kind, "name": name, "seconds": seconds}
    with (SHARED / f"times-{WORKER}.jsonl").open("a") as file:
        file.write(f"{json.dumps(line)}\n")


@contextmanager
def noted(kind: str, name: str) -> Iterator[None]:
    """Write down how long the body takes."""
    begun = time.monotonic()
    try:
        yield
    finally:
        note(kind, name, time.monotonic() - begun)


def note_processors() -> None:
    """Write down how long this process, and those that it has waited for, had a processor."""
    for name, who in (("itself", resource.RUSAGE_SELF), ("its processes", resource.RUSAGE_CHILDREN)):
        used = resource.getrusage(who)
        note("processor", name, used.ru_utime + used.ru_stime)


_noted = 0.0


def note_unit(name: str) -> None:
    """Write down how long a unit that is over had a processor: what it started has been waited for."""
    global _noted
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    note("processor of a unit", name, used - _noted)
    _noted = used


def notes() -> list[Note]:
    """Return what all processes have written down."""
    files = sorted(SHARED.glob("times-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def summary(tests: Iterable[tuple[str, str, float]], found: Iterable[Note]) -> list[str]:
    """
    Return the closing lines.

    :param tests: worker, file and seconds of each setup, call and teardown
    :param found: the notes of all processes
    """
    files: dict[str, float] = defaultdict(float)
    units: dict[str, float] = defaultdict(float)
    workers: dict[str, float] = defaultdict(float)
    for worker, file, seconds in tests:
        files[file] += seconds
        units[unit(file)] += seconds
        workers[worker] += seconds
    kinds: dict[str, list[Note]] = defaultdict(list)
    for each in found:
        kinds[each["kind"]].append(each)
    of_units = kinds.pop("processor of a unit", [])
    processors: dict[str, list[str]] = defaultdict(list)
    for each in kinds.pop("processor", []):
        processors[each["worker"]].append(f"{each['name']} {each['seconds']:.0f} s")
    lines = [
        f"{kind}: {len(each)} in {sum(one['seconds'] for one in each):.0f} s; most: {_most(each)}"
        for kind, each in sorted(kinds.items())
    ]
    for worker, seconds in sorted(workers.items()):
        used = ", ".join(processors[worker]) or "unknown"
        lines.append(f"worker {worker}: {seconds:.0f} s of tests; processor: {used}")
    busy = {each["name"]: each["seconds"] for each in of_units}
    for kind, times in (("units", units), ("units, of a processor", busy)):
        longest = [f"{name.removeprefix('tests/')} {seconds:.0f} s" for name, seconds in _slowest(times)]
        lines.append(f"{kind}: {', '.join(longest)}")
    return [*lines, *(f"{seconds:6.1f} s {file}" for file, seconds in _slowest(files))]


def _slowest(times: Mapping[str, float]) -> list[tuple[str, float]]:
    most = sorted(times.items(), key=lambda item: -item[1])[:SHOWN]
    return [(name, seconds) for name, seconds in most if seconds >= 1]


def _most(each: list[Note]) -> str:
    worst = sorted(each, key=lambda one: -one["seconds"])[:3]
    return ", ".join(f"{one['name']} {one['seconds']:.0f} s" for one in worst)
