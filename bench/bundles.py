"""Commands on the tasks of one DAG, among ten, a hundred and a thousand DAG files: what the others cost."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.client import PLUGIN, Client, Unexpected
from bench.figures import ms, times
from bench.measure import PAUSE, process_seconds
from bench.rows import BUNDLE_ROWS, DAY, SIZES, Call, Row
from demo.stack import Stack

TEMPLATE = Path(__file__).resolve().parent / "dags" / "one_of_many.py"
PATIENCE = 900.0
PREFER = {"Prefer": "wait=110"}
Report = Callable[[str], None]


@dataclass
class Bundle:
    """
    Seconds by command.

    :ivar files: how many DAG files there are
    :ivar rest: over REST
    :ivar process: one run of a new process
    """

    files: int
    rest: dict[str, list[float]] = field(default_factory=dict)
    process: dict[str, float] = field(default_factory=dict)


def growth(found: Sequence[Bundle], command: str) -> float:
    """Return how many times as long a command takes with the most files as with the fewest."""
    return median(found[-1].rest[command]) / median(found[0].rest[command])


def gain(bundle: Bundle, command: str) -> float | None:
    """Return how many times as long the new process takes."""
    seconds = bundle.process.get(command)
    return None if seconds is None else seconds / median(bundle.rest[command])


def headers(found: Sequence[Bundle]) -> tuple[str, ...]:
    """Return the headers of the table."""
    few, many = found[0].files, found[-1].files
    return (
        "command",
        *(f"{bundle.files:,} files: REST ms" for bundle in found),
        f"{many:,} : {few:,}",
        f"{many:,} files: new process ms",
        "faster",
    )


def cells(found: Sequence[Bundle]) -> list[list[str]]:
    """Return the rows of the table."""
    return [
        [
            command,
            *(ms(median(bundle.rest[command])) for bundle in found),
            times(growth(found, command)),
            ms(found[-1].process.get(command)),
            times(gain(found[-1], command)),
        ]
        for command in found[0].rest
    ]


def dag_id(number: int) -> str:
    """Return the id of the DAG in the file of that number."""
    return f"{TEMPLATE.stem}_{number:04}"


def write_files(folder: Path, count: int) -> None:
    """Write so many files of one DAG each."""
    folder.mkdir()
    template = TEMPLATE.read_text("utf-8")
    for number in range(count):
        (folder / f"{dag_id(number)}.py").write_text(template.replace(TEMPLATE.stem, dag_id(number)), "utf-8")


def chosen(row: Row, files: int) -> dict[str, str]:
    """Return the arguments of a row for the DAG in the midst of the files."""
    return {name: value.format(dag=dag_id(files // 2)) for name, value in row.arguments.items()}


def measure_bundles(
    folder: Path, settings: Mapping[str, str], runs: int, command_line: bool, report: Report
) -> list[Bundle]:
    """
    Return the measurements: of all sizes by turns, each with an API server of its own.

    :param folder: for the files and the homes
    :param settings: of the servers, in the environment
    :param runs: measurements of each command and size
    :param command_line: whether the new process is measured, once, among the most files
    """
    found = [Bundle(files) for files in SIZES]
    # Airflow's migrations take longer than all that is measured: once is enough.
    report("an empty database for the bundles")
    with Stack(folder / "empty", dags=folder / "empty", components=(), env=settings) as empty:
        pass
    with contextlib.ExitStack() as running:
        stacks = []
        for bundle in found:
            report(f"starting an API server for {bundle.files:,} files")
            stacks.append(_start(folder, bundle.files, settings, empty.database))
            running.callback(stacks[-1].stop)
        clients = []
        for stack, bundle in zip(stacks, found, strict=True):
            report(f"taking in {bundle.files:,} files")
            clients.append(_prepared(stack, bundle.files))
        for number in range(-1, runs):
            report(f"bundles: round {number + 1} of {runs}")
            for row in BUNDLE_ROWS:
                for bundle, client in zip(found, clients, strict=True):
                    time.sleep(PAUSE)
                    seconds = client.run(row.command, chosen(row, bundle.files), PREFER).seconds
                    if number >= 0:
                        bundle.rest.setdefault(row.command, []).append(seconds)
        if command_line:
            for row in BUNDLE_ROWS:
                report(f"airflow {row.command} among {found[-1].files:,} files")
                argv = clients[-1].run(row.command, chosen(row, found[-1].files), PREFER).body["argv"]
                found[-1].process[row.command] = process_seconds(argv, stacks[-1].environment)
    return found


def _start(folder: Path, files: int, settings: Mapping[str, str], empty: Path) -> Stack:
    dags = folder / f"bundle-{files}"
    write_files(dags, files)
    stack = Stack(folder / f"home-{files}", dags=dags, components=("api-server",), env=settings)
    stack.home.mkdir(mode=0o700)
    shutil.copy(empty, stack.database)
    stack.start()
    return stack


def _prepared(stack: Stack, files: int) -> Client:
    """Let Airflow take the files in, and make a run of the chosen DAG; return a client."""
    client = Client(stack.url, stack.token())
    answer = client.send(
        "POST", f"{PLUGIN}/v2/run", {"argv": ["dags", "reserialize"]}, {"Prefer": "respond-async"}
    )
    if answer.status != 202:
        raise Unexpected(f"dags reserialize: {answer.status} {answer.body}")
    path = f"{PLUGIN}/v2/operations/{answer.body['id']}"
    end = time.monotonic() + PATIENCE
    while (operation := client.send("GET", path, headers={"Prefer": "wait=50"}).body)["state"] != "succeeded":
        if operation["state"] not in ("queued", "running") or time.monotonic() > end:
            raise Unexpected(f"dags reserialize: {operation}")
    client.own(
        Call("POST", f"dags/{dag_id(files // 2)}/dagRuns", {"dag_run_id": "bench", "logical_date": DAY})
    )
    return client
