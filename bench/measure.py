"""Take the measurements of the main table, one round after the other, so that all see the same machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.client import Client, Unexpected
from bench.figures import Samples
from bench.function import Function
from bench.rows import LegacyRow, Row

PAUSE = 0.1
"""Seconds before each measurement: the spare child that the one before made necessary is ready by then."""

AIRFLOW = str(Path(sys.executable).with_name("airflow"))
Report = Callable[[str], None]


def spread(few: int, many: int) -> set[int]:
    """Return the numbers of `few` rounds, evenly spread over `many`."""
    few = min(few, many)
    return {number * many // few for number in range(few)}


def measure(
    rows: Sequence[Row],
    client: Client,
    function: Function,
    environment: Mapping[str, str],
    *,
    second: Client | None,
    runs: int,
    processes: int,
    report: Report,
) -> list[Samples]:
    """
    Return the measurements of all rows.

    :param second: of another server with the same database, which is asked by turns
    :param runs: rounds, in each of which every row is measured once
    :param processes: rounds in which the new process is measured too
    """
    lines = [_warm_up(row, client, second, function, environment, bool(processes), report) for row in rows]
    samples = [Samples(row.command) for row in rows]
    with_process = spread(processes, runs) if processes else set()
    for number in range(runs):
        report(f"round {number + 1} of {runs}" + (", with processes" if number in with_process else ""))
        for row, argv, found in zip(rows, lines, samples, strict=True):
            _prepare(row, client)
            answer = client.run(row.command, row.arguments)
            found.rest.append(answer.seconds)
            found.inside.append(_inside(answer.body))
            if second is not None:
                _prepare(row, client)
                found.second.append(second.run(row.command, row.arguments).seconds)
            _prepare(row, client)
            found.function.append(function.seconds(argv))
            if row.own is not None:
                _prepare(row, client)
                found.own.append(client.own(row.own).seconds)
            if number in with_process:
                _prepare(row, client)
                found.process.append(process_seconds(argv, environment))
    return samples


def measure_legacy(rows: Sequence[LegacyRow], client: Client, runs: int) -> list[list[float]]:
    """Return the seconds of each request of the 1.x contract; none at all where nothing answers to it."""
    answer = client.legacy("version", {})
    if answer.status != 200 or not isinstance(answer.body, dict) or "http_response_code" not in answer.body:
        return []
    found: list[list[float]] = [[] for _ in rows]
    for number in range(-1, runs):
        for row, seconds in zip(rows, found, strict=True):
            _prepare(row, client)
            answer = client.legacy(row.api, row.arguments)
            if answer.status != 200:
                raise Unexpected(f"{row.api}: {answer.status} {answer.body}")
            if number >= 0:
                seconds.append(answer.seconds)
    return found


def process_seconds(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run `airflow …` as a new process, and return how long it took."""
    started = time.perf_counter()
    done = subprocess.run(
        [AIRFLOW, *argv], env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise Unexpected(f"airflow {' '.join(argv)}: exit code {done.returncode}, {done.stderr[-500:]!r}")
    return seconds


def _warm_up(
    row: Row,
    client: Client,
    second: Client | None,
    function: Function,
    environment: Mapping[str, str],
    process: bool,
    report: Report,
) -> list[str]:
    """Do everything once, unmeasured; return the command line, which is the same for all that follow."""
    report(f"warming up: {row.command}")
    _prepare(row, client)
    argv: list[str] = client.run(row.command, row.arguments).body["argv"]
    if second is not None:
        _prepare(row, client)
        second.run(row.command, row.arguments)
    _prepare(row, client)
    function.seconds(argv)
    if row.own is not None:
        _prepare(row, client)
        client.own(row.own)
    if process:
        # The first one compiles what was not compiled yet.
        _prepare(row, client)
        process_seconds(argv, environment)
    return argv


def _prepare(row: Row | LegacyRow, client: Client) -> None:
    if row.before is not None:
        client.own(row.before)
    time.sleep(PAUSE)


def _inside(operation: Mapping[str, Any]) -> float:
    started, finished = (
        datetime.fromisoformat(operation[name].replace("Z", "+00:00"))
        for name in ("started_at", "finished_at")
    )
    return (finished - started).total_seconds()
