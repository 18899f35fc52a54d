"""Clients that follow a running command: when they see its first line, and what they cost the database."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine, make_url

from bench.client import PLUGIN, Client, Unexpected
from bench.figures import ms
from bench.listing import SERVER, empty_database
from bench.load import percentile
from bench.table import render
from demo.stack import Stack, StackError

DAGS = Path(__file__).resolve().parent / "dags"
USERS = dict.fromkeys(("admin", "ada", "grace"), "ADMIN")
"""A user may follow fifty operations at a time."""
RUNS = 15
CLIENTS = (0, 1, 100)
SECONDS = 8.0
PATIENCE = 120.0

HEADERS = ("first line of a command, from print() to a client", "median ms", "95th percentile ms")
COST_HEADERS = ("clients who follow one command", "transactions/s: it runs here", "it runs elsewhere")

_PRINTED = re.compile(r"printed at ([0-9.]+)")
_dates = itertools.count()
Report = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """Two API servers with one PostgreSQL database: commands run on the first."""

    here: Stack
    there: Stack
    engine: Engine

    def transactions(self) -> int:
        """Return how many transactions the database has had."""
        query = text(
            "SELECT pg_stat_get_db_xact_commit(oid) FROM pg_database WHERE datname=current_database()"
        )
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


class Follower(threading.Thread):
    """
    Follows an operation over a connection of its own, until it has ended or its client has gone.

    :ivar first: the seconds from printing to reading of the first line that says when it was printed
    """

    def __init__(self, stack: Stack, token: str, operation: str) -> None:
        super().__init__(daemon=True)
        self.first: float | None = None
        self.reads = threading.Event()
        self._left = False
        parts = urlsplit(stack.url)
        self._connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=PATIENCE)
        self._connection.request(
            "GET",
            f"{parts.path}/{PLUGIN}/v2/operations/{operation}/events",
            headers={"Authorization": f"Bearer {token}", "Host": parts.netloc},
        )

    def run(self) -> None:
        """Read until there is no more."""
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(self._connection):
            response = self._connection.getresponse()
            while not self._left and (line := response.readline()):
                if self.first is None and (found := _PRINTED.search(line.decode())):
                    self.first = time.time() - float(found[1])
                    self.reads.set()

    def leave(self) -> None:
        """Go away at the next line."""
        self._left = True


def first_lines(pair: Pair, runs: int) -> tuple[list[float], list[float]]:
    """Return the seconds until a client of the server that runs a command has its line, and of the other."""
    here: list[float] = []
    there: list[float] = []
    client = Client(pair.here.url, pair.here.token())
    tokens = pair.here.token(), pair.there.token()
    for _ in range(runs):
        operation = _begin(client, lines=1, every=1.0)
        followers = [
            Follower(stack, token, operation)
            for stack, token in zip((pair.here, pair.there), tokens, strict=True)
        ]
        for each in followers:
            each.start()
        for each, seconds in zip(followers, (here, there), strict=True):
            each.join(PATIENCE)
            if each.first is None:
                raise Unexpected(f"{operation}: a client that followed it saw no line")
            seconds.append(each.first)
    return here, there


def cost(pair: Pair, stack: Stack, clients: int, seconds: float) -> float:
    """
    Return the transactions a second in the database while a command prints and clients follow it.

    :param stack: the server whose clients they are
    """
    runner = Client(pair.here.url, pair.here.token())
    operation = _begin(runner, lines=100_000, every=0.5)
    tokens = [stack.token(user) for user in USERS]
    followers = []
    try:
        _until_it_prints(runner, operation)
        for number in range(clients):
            followers.append(Follower(stack, tokens[number % len(tokens)], operation))
            followers[-1].start()
        for each in followers:
            if not each.reads.wait(PATIENCE):
                raise Unexpected(f"{operation}: one of {clients} clients saw no line")
        # The database counts what its connections have told it, which each does once a second.
        time.sleep(2)
        before, began = pair.transactions(), time.perf_counter()
        time.sleep(seconds)
        return (pair.transactions() - before) / (time.perf_counter() - began)
    finally:
        for each in followers:
            each.leave()
        runner.send("POST", f"{PLUGIN}/v2/operations/{operation}/cancel", headers={"Prefer": "wait=60"})


def _until_it_prints(client: Client, operation: str) -> None:
    end = time.monotonic() + PATIENCE
    while not _PRINTED.search(client.send("GET", f"{PLUGIN}/v2/operations/{operation}").body["stdout"]):
        if time.monotonic() > end:
            raise Unexpected(f"{operation} printed nothing")
        time.sleep(0.1)


def _begin(client: Client, **params: Any) -> str:
    arguments = {
        "dag_id": "bench_clock",
        "task_id": "tell",
        "logical_date_or_run_id": f"2{next(_dates):03}-01-01",
        "task_params": json.dumps(params),
    }
    answer = client.command("tasks test", arguments, {"Prefer": "respond-async"})
    if answer.status != 202:
        raise Unexpected(f"tasks test: {answer.status} {answer.body}")
    return str(answer.body["id"])


@contextmanager
def pair_of_servers(url: str, folder: Path) -> Iterator[Pair]:
    """Start two API servers on an empty database."""
    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(DAGS / "clock.py", dags)
    env = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}
    here = Stack(folder / "here", components=("api-server",), dags=dags, users=USERS, env=env)
    there = Stack(folder / "there", components=("api-server",), dags=dags, users=USERS, env=env, like=here)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with here, there:
            for stack in (there, here):
                client = Client(stack.url, stack.token())
                argv = {"argv": ["dags", "reserialize"]}
                answer = client.send("POST", f"{PLUGIN}/v2/run", argv, {"Prefer": "wait=110"})
                if answer.status != 200 or answer.body["state"] != "succeeded":
                    raise Unexpected(f"dags reserialize: {answer.status} {answer.body}")
            yield Pair(here, there, engine)
    finally:
        engine.dispose()


def tables(server: str, runs: int, seconds: float, report: Report) -> list[str] | None:
    """
    Return the tables, None where there is no PostgreSQL at the address.

    :param runs: commands whose first line is waited for
    :param seconds: for which queries are counted, at each number of clients
    """
    if make_url(server).get_backend_name() != "postgresql":
        return None
    with empty_database(server) as url, tempfile.TemporaryDirectory(prefix="airflow-rest-api-bench-") as name:
        if url is None:
            return None
        report("starting two API servers on PostgreSQL")
        with pair_of_servers(url, Path(name)) as pair:
            report(f"first lines of {runs} commands")
            rows = [
                [where, ms(median(found)), ms(percentile(found, 95))]
                for where, found in zip(
                    ("of the server that runs it", "of another server"), first_lines(pair, runs), strict=True
                )
            ]
            costs = []
            for clients in CLIENTS:
                report(f"{clients} clients follow a command")
                found = [cost(pair, stack, clients, seconds) for stack in (pair.here, pair.there)]
                costs.append([str(clients), *(f"{each:.1f}" for each in found)])
    return [render(HEADERS, rows), render(COST_HEADERS, costs)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure alone: `python -m bench.following`."""
    parser = argparse.ArgumentParser(prog="python -m bench.following", description=__doc__)
    parser.add_argument("--server", default=SERVER, help="the PostgreSQL where a database is made")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args(arguments)
    try:
        found = tables(
            options.server,
            options.runs,
            options.seconds,
            lambda said: print(said, file=sys.stderr, flush=True),
        )
    except (StackError, Unexpected) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n\n".join(found) if found else "There is no PostgreSQL")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
