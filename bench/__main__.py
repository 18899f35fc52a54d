"""`make bench`: start an Airflow, measure, print; progress goes to standard error."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import beside, bundles, goals, runners
from bench.client import Client, Unexpected
from bench.connections import Requests
from bench.deploy import HEADERS as DEPLOY_HEADERS
from bench.deploy import measure_deployments
from bench.figures import Samples, main_cells, main_headers, mb, ms, summary, times
from bench.following import tables as following
from bench.function import Function
from bench.listing import SERVER, table
from bench.load import HEADERS as LOAD_HEADERS
from bench.load import Comparison, compare, comparison_headers
from bench.measure import measure, measure_legacy
from bench.memory import COMMANDS, measure_memory
from bench.processor import Cost, cost_headers, measure_cost
from bench.rows import CLIENTS, EXPECTED, LEGACY, LOADS, MANY, ROWS, SETTINGS, SETUP
from bench.soak import HEADERS as SOAK_HEADERS
from bench.soak import conclusion, soak
from bench.table import render
from bench.typed import HEADERS as TYPED_HEADERS
from bench.typed import goals as typed_goals
from bench.typed import measure_typed
from demo.examples import renew
from demo.stack import Stack, StackError

DAGS = Path(__file__).resolve().parent / "dags"
SECOND = {"isolated": "the isolated way", "before": "the sources before"}
ISOLATED = {"AIRFLOW__REST_API_PLUGIN__RESIDENT_CHILDREN": "0"}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    names = [row.command for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works")
    parser.add_argument("--rows", help=f"only these, separated by commas, of: {', '.join(names)}")
    parser.add_argument("--runs", type=int, help="measurements of each row (20)")
    parser.add_argument("--processes", type=int, help="of them with a new process; 0 for none (5)")
    second = parser.add_mutually_exclusive_group()
    second.add_argument(
        "--no-isolated",
        dest="isolated",
        action="store_false",
        help="without a second server that runs commands the isolated way, each in a process of its own",
    )
    second.add_argument(
        "--before",
        type=lambda text: Path(text).resolve(),
        metavar="SOURCES",
        help="let the second server run these sources, the src folder of another commit",
    )
    parser.add_argument("--requests", type=int, help="of each load, for its processor time; 0 for none (100)")
    parser.add_argument("--seconds", type=float, help="of each measurement with many clients; 0 for none (4)")
    parser.add_argument(
        "--bundles", type=int, help="measurements of each command and size of the bundle; 0 for none (5)"
    )
    parser.add_argument(
        "--no-command-line",
        dest="command_line",
        action="store_false",
        help="without new processes among the most DAG files, of which each takes a while",
    )
    parser.add_argument("--deployments", type=int, help="of a new DAG file, with wait; 0 for none (15)")
    parser.add_argument("--runners", type=int, help="of each command here and by a runner; 0 for none (20)")
    parser.add_argument(
        "--first-lines", type=int, help="of commands that two servers on PostgreSQL stream; 0 for none (15)"
    )
    parser.add_argument("--stored", type=int, help="operations to take pages of; 0 for none (1000000)")
    parser.add_argument(
        "--server", default=SERVER, help="PostgreSQL or MySQL at which they are (%(default)s)"
    )
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only 16 clients, for that long")
    options = parser.parse_args(arguments)
    repetitions = (
        ("runs", 3, 20),
        ("processes", 1, 5),
        ("requests", 20, 100),
        ("seconds", 1.0, 4.0),
        ("bundles", 1, 5),
        ("deployments", 3, 15),
        ("runners", 3, 20),
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
    if options.before is not None and not (options.before / "airflow_rest_api").is_dir():
        parser.error(f"--before: no airflow_rest_api in {options.before}")
    options.rows = [row for row in ROWS if row.command in chosen]
    return options


def report(text: str) -> None:
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)


class Server:
    """An API server with its clients, warmed up."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.name = name
        self.pid = next(each.process.pid for each in stack.components if each.name == "api-server")
        self.client = Client(stack.url, stack.token())
        self.requests = Requests(stack.url, stack.token())
        # The first one waits for the warm parent, which on a busy machine takes longer than a request waits.
        self.client.command("version", {}, {"Prefer": "wait=110"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when everything that was to be measured worked."""
    options = parse(arguments)
    lines: list[str] = []
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
                lines += _bench(stack, folder, options)
            if options.bundles and not options.soak:
                lines += _bundles_table(folder, options)
            if options.runners and not options.soak:
                lines += _runners_tables(folder, options.runners)
            if options.first_lines and not options.soak:
                _streams_table(options)
        except (StackError, Unexpected) as error:
            print(error, file=sys.stderr)
            return 1
    if options.stored and not options.soak:
        report(f"pages of {options.stored:,} operations")
        pages = table(options.server, options.stored, options.runs, report)
        print("\n" + pages if pages else "\nPages of operations: no such database server here, left out")
    if lines:
        print("\nBeside the goals, of this run alone:\n\n" + "\n".join(lines))
    return 0


def _bench(stack: Stack, folder: Path, options: argparse.Namespace) -> list[str]:
    """Measure what one database is enough for; return the lines of the goals."""
    client = Client(stack.url, stack.token())
    for call in SETUP:
        client.own(call)
    first = Server(stack, "REST")
    if options.soak:
        tally, counts = soak(first.pid, first.requests, options.soak, report)
        print(render(LOAD_HEADERS, [tally.cells("all")]), end="\n\n")
        print(render(SOAK_HEADERS, [count.cells() for count in counts]), end="\n\n")
        print("\n".join(conclusion(tally, counts)))
        return []
    with ExitStack() as running:
        second = None
        if options.isolated or options.before:
            second = _second_server(running, stack, folder, options.before)
        rows = _main_table(stack, first, second, options)
        lines = list(goals.of_rows(rows))
        _legacy_table(first.client, options.runs)
        if options.processes:
            typed = measure_typed(stack, folder / "client", options.runs, options.processes, report)
            print("\n" + render(TYPED_HEADERS, [each.cells() for each in typed]))
            lines += typed_goals(typed)
        if options.requests:
            lines += goals.of_costs(_costs_table(first, second, options.requests))
        if options.seconds:
            loads = _load_table(first, second, options.seconds)
            lines += goals.of_loads(loads, SECOND[second.name] if second else "")
            lines += goals.of_beside(_beside_table(first, second, options.seconds))
    if options.deployments:
        report(f"{options.deployments} deployments of a DAG file")
        deployments = measure_deployments(stack, first.client, options.deployments)
        print("\n" + render(DEPLOY_HEADERS, deployments.cells()))
    report("memory")
    # The second server has ended: it would share pages with the first one.
    memory = measure_memory(first.pid, first.client, stack.environment)
    cells = [
        ["warm parent", mb(memory.parent)],
        [f"each of {memory.waiting} children that wait for a command adds", mb(memory.child)],
        [f"each of {COMMANDS} running commands (tasks test) adds", mb(memory.command)],
        ["the same command as a new process", mb(memory.process)],
    ]
    print("\n" + render(("memory", "MB"), cells))
    return lines


def _second_server(running: ExitStack, stack: Stack, folder: Path, before: Path | None) -> Server:
    """Start a server with the same database: one that runs commands the isolated way, or other sources."""
    name = "before" if before else "isolated"
    report(f"starting the second API server: {name}")
    env = {"PYTHONPATH": str(before)} if before else ISOLATED
    second = Stack(folder / name, components=("api-server",), like=stack, env={**SETTINGS, **env})
    return Server(running.enter_context(second), name)


def _main_table(
    stack: Stack, first: Server, second: Server | None, options: argparse.Namespace
) -> list[Samples]:
    with Function(stack.environment, stack.home) as function:
        samples = measure(
            options.rows,
            first.client,
            function,
            stack.environment,
            second=second.client if second else None,
            runs=options.runs,
            processes=options.processes,
            report=report,
        )
    print(f"Medians of {options.runs}; new processes: of {options.processes}, after one thrown away.\n")
    headers = main_headers(second.name if second else "isolated")
    print(render(headers, [main_cells(row) for row in samples]), end="\n\n")
    print("\n".join(summary(samples)))
    return samples


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


def _costs_table(first: Server, second: Server | None, count: int) -> list[Cost]:
    costs = []
    for load in LOADS:
        report(f"{load.name}: processor time of {count} requests")
        other = (second.pid, second.requests) if second else None
        costs.append(measure_cost((first.pid, first.requests), other, load, count))
    print("\n" + render(cost_headers(second.name if second else None), [cost.cells() for cost in costs]))
    return costs


def _load_table(first: Server, second: Server | None, seconds: float) -> list[Comparison]:
    found = []
    for load in LOADS:
        for clients in CLIENTS:
            report(f"{load.name}: {clients} clients for {seconds:.0f} s")
            requests = second.requests if second else None
            found.append(compare(first.requests, requests, load, clients, seconds))
    headers = comparison_headers(second.name if second else None)
    print("\n" + render(headers, [each.cells() for each in found]))
    return found


def _beside_table(first: Server, second: Server | None, seconds: float) -> list[beside.Beside]:
    report(f"a route of Airflow's own beside {MANY} clients")
    other = (second.name, second.client, second.requests) if second else None
    found = beside.measure_beside((first.client, first.requests), other, 2 * seconds)
    print("\n" + render(beside.HEADERS, beside.cells(found)))
    return found


def _bundles_table(folder: Path, options: argparse.Namespace) -> list[str]:
    found = bundles.measure_bundles(folder, SETTINGS, options.bundles, options.command_line, report)
    print("\n" + render(bundles.headers(found), bundles.cells(found)))
    return list(goals.of_bundles(found))


def _runners_tables(folder: Path, count: int) -> list[str]:
    if shutil.which("redis-server") is None:
        report("runners: no redis-server here, left out")
        return []
    added, work = runners.measure_runners(folder, SETTINGS, count, report)
    print("\n" + render(runners.HEADERS, [row.cells() for row in added]))
    print("\n" + render(runners.WORK_HEADERS, work.cells()))
    return list(goals.of_runners(added, work))


def _streams_table(options: argparse.Namespace) -> None:
    found = following(options.server, options.first_lines, options.seconds or 1.0, report)
    print("\n" + ("\n\n".join(found) if found else "Streams of two servers: no PostgreSQL here, left out"))


if __name__ == "__main__":
    sys.exit(main())
