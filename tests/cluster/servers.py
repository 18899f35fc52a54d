"""Two API servers, A and B, on one PostgreSQL database, and what tests do with them."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.cluster.following import PATIENCE, Follower
from tests.cluster.statements import Statements
from tests.server import conftest as single
from tests.stacks import Stack

DAGS = Path(__file__).resolve().parent / "dags"
PARALLELISM = 4
USERS = dict.fromkeys(("admin", "ada", "grace"), "ADMIN")
SETTINGS = {
    # What passes between Airflow and PostgreSQL is read by the proxy.
    "PGSSLMODE": "disable",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
    "AIRFLOW__REST_API_PLUGIN__PARALLELISM": str(PARALLELISM),
    # A task of Airflow goes on when it is asked to end.
    "AIRFLOW__REST_API_PLUGIN__CANCEL_GRACE": "2",
    "AIRFLOW__REST_API_PLUGIN__QUEUE_SIZE": "300",
    "AIRFLOW__REST_API_PLUGIN__QUEUE_PER_USER": "300",
    # The pages of these tests are compared with all that there is.
    "AIRFLOW__REST_API_PLUGIN__OPERATIONS_KEPT": "100000",
}


class Client(single.Client):
    """A client of one of the servers."""

    def __init__(self, stack: Stack, user: str = "admin") -> None:
        super().__init__(stack, user)
        self.timeout = 2 * PATIENCE

    def run(self, path: str, **arguments: object) -> dict[str, Any]:
        """Run a command by its name to its end; return its operation."""
        answer = self.post(f"/commands/{path}", json=arguments, headers={"Prefer": f"wait={PATIENCE:.0f}"})
        assert answer.status_code == 200, answer.text
        operation: dict[str, Any] = answer.json()
        return operation

    def begin(self, marker: str, **params: object) -> dict[str, Any]:
        """Start the command that prints line after line; return its operation at once."""
        body = ticker(marker, **params)
        answer = self.post("/commands/tasks/test", json=body, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        operation: dict[str, Any] = answer.json()
        return operation

    def until(
        self, operation: str, holds: Callable[[dict[str, Any]], object], seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until something holds of an operation, and return it."""
        deadline = time.monotonic() + seconds
        while not holds(said := self.operation(operation)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:g} s: {said}")
            time.sleep(0.1)
        return said

    def operation(self, identifier: str, wait: int = 0) -> dict[str, Any]:
        """Return an operation, once it has ended or after so many seconds."""
        answer = self.get(f"/operations/{identifier}", headers={"Prefer": f"wait={wait}"})
        assert answer.status_code in (200, 202), answer.text
        operation: dict[str, Any] = answer.json()
        return operation

    def every(self, **wanted: object) -> Iterator[dict[str, Any]]:
        """Yield all operations of a list, page by page."""
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            answer = self.get("/operations", params={**wanted, **more})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            yield from page["operations"]
            if (cursor := page["next"]) is None:
                return

    def follow(self, operation: str, after: str | None = None) -> Follower:
        """Follow an operation's events."""
        return Follower(self, operation, after)


class Cluster:
    """
    The two servers, each behind a proxy of its own in front of the database; A can be started anew.

    :param url: of an empty database
    """

    def __init__(self, folder: Path, url: str) -> None:
        address = make_url(url)
        host, port = str(address.host), address.port or 5432
        self.trace = folder / "trace"
        self.trace.touch()
        self.gate = folder / "trace.gate"
        """While it is there, commands wait where they parse DAG files."""
        self.proxies = {name: Statements(host, port) for name in "ab"}
        through = {
            name: address.set(port=proxy.port).render_as_string(hide_password=False)
            for name, proxy in self.proxies.items()
        }
        env = {**SETTINGS, "CLUSTER_TRACE": str(self.trace)}

        def stack(name: str, like: Stack | None = None) -> Stack:
            more = {**env, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": through[name]}
            return Stack(
                folder / name, components=("api-server",), dags=DAGS, users=USERS, env=more, like=like
            )

        self.b = stack("b")
        self.a = stack("a", like=self.b)
        self._engine = create_engine(address)

    def start(self) -> None:
        """Start both, and have the DAG known."""
        self.b.start()
        with Client(self.b) as client:
            # Its engine warms up while the other server starts.
            parsed = client.line("dags", "reserialize", Prefer="respond-async").json()
            self.start_a()
            parsed = client.operation(parsed["id"], wait=120)
            assert parsed["state"] == "succeeded", parsed

    def start_a(self) -> None:
        """Start A where it does not run."""
        if self.a.components and self.a.components[0].process.poll() is None:
            return
        self.a.stop()
        self.a.start()

    def stop(self) -> None:
        """End everything."""
        for proxy in self.proxies.values():
            proxy.restore()
        self.a.stop()
        self.b.stop()
        for proxy in self.proxies.values():
            proxy.cut()
        self._engine.dispose()

    def signal_a(self, number: signal.Signals) -> None:
        """Send a signal to A's API server, and to nothing that it has started."""
        os.kill(self.a.components[0].process.pid, number)

    def query(self, statement: str, **values: object) -> list[Sequence[Any]]:
        """Return the rows that the database itself answers with, past the proxies."""
        with self._engine.begin() as connection:
            found = connection.execute(text(statement), values)
            return [tuple(row) for row in found] if found.returns_rows else []

    def unfinished(self) -> list[str]:
        """Return the operations that have not ended."""
        found = self.query("SELECT id FROM rest_api_operation WHERE state IN ('queued', 'running')")
        return [str(identifier) for (identifier,) in found]

    def let_end(self, marker: str) -> None:
        """Have the task with a marker end after its next line."""
        self.trace.with_name(f"{self.trace.name}.{marker}").touch()

    def traces(self) -> Counter[str]:
        """Return how often each line was written by the tasks: `<marker> begins`, `<marker> ends`."""
        return Counter(self.trace.read_text().splitlines())

    def runs(self, event: str, name: str) -> Counter[str]:
        """
        Return how often Airflow ran something with each name, as its own audit log has it.

        :param event: such as `cli_variables_set`
        :param name: a regular expression
        """
        rows = self.query("SELECT extra FROM log WHERE event = :event", event=event)
        return Counter(found for (extra,) in rows for found in re.findall(name, extra))


def left(processes: Iterable[psutil.Process], seconds: float = PATIENCE) -> list[psutil.Process]:
    """Wait for processes to end; return those that did not. A zombie has ended: only nobody asked how."""
    processes = list(processes)

    def alive() -> list[psutil.Process]:
        return [one for one in processes if one.is_running() and _status(one) != psutil.STATUS_ZOMBIE]

    wait_until(lambda: not alive(), seconds)
    return alive()


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.Error:
        return psutil.STATUS_ZOMBIE


_dates = itertools.count()


def ticker(marker: str, **params: object) -> dict[str, Any]:
    """Return the arguments of a `tasks test` that prints lines, each with a date of its own."""
    number = next(_dates)
    date = f"20{number // 336:02}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
    return {
        "dag_id": "ticker",
        "task_id": "work",
        "logical_date_or_run_id": date,
        "task_params": {"marker": marker, **params},
    }


def lines(printed: object, marker: str) -> list[int]:
    """Return the numbers of the lines that the task printed."""
    words = f" of {marker} at "
    return [
        int(line.partition(words)[0].rpartition("line ")[2])
        for line in str(printed).splitlines()
        if words in line and "line " in line.partition(words)[0]
    ]


def wait_until(holds: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait until something holds; return whether it does."""
    deadline = time.monotonic() + seconds
    while not (held := bool(holds())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held
