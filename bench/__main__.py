"""`make bench`: start an Airflow, measure, print; progress goes to standard error."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench.client import Client, Unexpected
from bench.deploy import HEADERS as DEPLOY_HEADERS
from bench.deploy import measure_deployments
from bench.figures import MAIN_HEADERS, main_cells, mb, ms, summary, times
from bench.following import tables as following
from bench.function import Function
from bench.listing import SERVER, table
from bench.load import HEADERS as LOAD_HEADERS
from bench.load import drive
from bench.measure import measure, measure_legacy
from bench.memory import COMMANDS, measure_memory
from bench.rows import CLIENTS, EXPECTED, LEGACY, LOADS, ROWS, SETTINGS, SETUP, Row
from bench.soak import HEADERS as SOAK_HEADERS
from bench.soak import soak
from bench.table import render
from demo.examples import renew
from demo.stack import Stack, StackError

DAGS = Path(__file__).resolve().parent / "dags"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    names = [row.command for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works")
    parser.add_argument("--rows", help=f"only these, separated by commas, of: {', '.join(names)}")
    parser.add_argument("--runs", type=int, help="measurements of each row (25)")
    parser.add_argument("--processes", type=int, help="of them with a new process; 0 for none (5)")
    parser.add_argument("--seconds", type=float, help="of each measurement with many clients; 0 for none (8)")
    parser.add_argument("--deployments", type=int, help="of a new DAG file, with wait; 0 for none (15)")
    parser.add_argument(
        "--first-lines", type=int, help="of commands that two servers on PostgreSQL stream; 0 for none (15)"
    )
    parser.add_argument("--stored", type=int, help="operations to take pages of; 0 for none (1000000)")
    parser.add_argument(
        "--server", default=SERVER, help="PostgreSQL or MySQL at which they are (%(default)s)"
    )
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only 16 clients for that long")
    options = parser.parse_args(arguments)
    repetitions = (
        ("runs", 3, 25),
        ("processes", 1, 5),
        ("seconds", 1.0, 8.0),
        ("deployments", 3, 15),
        ("first_lines", 3, 15),
        ("stored", 20_000, 1_000_000),
    )
    for name, quick, full in repetitions:
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    options.processes = min(options.processes, options.runs)
    chosen = [name.strip() for name in options.rows.split(",")] if options.rows else names
    if unknown := set(chosen) - set(names):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    options.rows = [row for row in ROWS if row.command in chosen]
    return options


def report(text: str) -> None:
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when everything that was to be measured worked."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="airflow-rest-api-bench-") as name:
        folder = Path(name)
        renew(folder / "dags")
        shutil.copy(DAGS / "many.py", folder / "dags")
        report("starting Airflow")
        stack = Stack(
            folder / "home",
            dags=folder / "dags",
            components=("api-server", "dag-processor"),
            env=SETTINGS,
            expect=EXPECTED,
        )
        try:
            with stack:
                _bench(stack, options)
            if options.first_lines and not options.soak:
                _streams_table(options)
        except (StackError, Unexpected) as error:
            print(error, file=sys.stderr)
            return 1
    if options.stored and not options.soak:
        report(f"pages of {options.stored:,} operations")
        pages = table(options.server, options.stored, options.runs, report)
        print("\n" + pages if pages else "\nPages of operations: no such database server here, left out")
    return 0


def _bench(stack: Stack, options: argparse.Namespace) -> None:
    connect = partial(Client, stack.url, stack.token())
    client = connect()
    for call in SETUP:
        client.own(call)
    # The first one waits for the warm parent, which on a busy machine takes longer than a request waits.
    client.command("version", {}, {"Prefer": "wait=110"})
    server = next(each.process.pid for each in stack.components if each.name == "api-server")
    if options.soak:
        tally, counts = soak(server, connect, options.soak, report)
        print(render(LOAD_HEADERS, [tally.cells("all")]), end="\n\n")
        print(render(SOAK_HEADERS, [count.cells() for count in counts]))
        return
    _main_table(stack, client, options.rows, options)
    _legacy_table(client, options.runs)
    if options.seconds:
        _load_table(connect, options.seconds)
    if options.deployments:
        report(f"{options.deployments} deployments of a DAG file")
        deployments = measure_deployments(stack, client, options.deployments)
        print("\n" + render(DEPLOY_HEADERS, deployments.cells()))
    report("memory")
    memory = measure_memory(server, client, stack.environment)
    cells = [
        ["warm parent", mb(memory.parent)],
        [f"each of {memory.spares} spare children adds", mb(memory.spare)],
        [f"each of {COMMANDS} running commands (tasks test) adds", mb(memory.command)],
        ["the same command as a new process", mb(memory.process)],
    ]
    print("\n" + render(("memory", "MB"), cells))


def _main_table(stack: Stack, client: Client, rows: Sequence[Row], options: argparse.Namespace) -> None:
    with Function(stack.environment, stack.home) as function:
        samples = measure(
            rows,
            client,
            function,
            stack.environment,
            runs=options.runs,
            processes=options.processes,
            report=report,
        )
    print(f"Medians of {options.runs}; new processes: of {options.processes}, after one thrown away.\n")
    print(render(MAIN_HEADERS, [main_cells(row) for row in samples]), end="\n\n")
    print("\n".join(summary(samples)))


def _legacy_table(client: Client, runs: int) -> None:
    report("the 1.x contract")
    if not (found := measure_legacy(LEGACY, client, runs)):
        report("nothing answers to it: left out")
        return
    headers = ("1.x contract", "REST ms", "plugin 1.0.8 ms (recorded)", "faster")
    cells = [
        [row.api, ms(median(seconds)), ms(row.original), times(row.original / median(seconds))]
        for row, seconds in zip(LEGACY, found, strict=True)
    ]
    print("\n" + render(headers, cells))


def _streams_table(options: argparse.Namespace) -> None:
    found = following(options.server, options.first_lines, options.seconds or 1.0, report)
    print("\n" + ("\n\n".join(found) if found else "Streams of two servers: no PostgreSQL here, left out"))


def _load_table(connect: partial[Client], seconds: float) -> None:
    cells = []
    for load in LOADS:
        for clients in CLIENTS:
            report(f"{load.name}: {clients} clients for {seconds:.0f} s")
            cells.append(drive(connect, load, clients, seconds).cells(load.name))
    print("\n" + render(LOAD_HEADERS, cells))


if __name__ == "__main__":
    sys.exit(main())
