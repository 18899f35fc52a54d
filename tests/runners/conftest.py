"""An API server that runs nothing of what is placed, and runners with folders of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.component import kill, on_host
from tests.runners.brokers import Broker, Redis
from tests.server.conftest import Client
from tests.stacks import Stack

DAG = """
import os, socket, time, uuid
from pathlib import Path
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

Path(os.environ["SEEN"], uuid.uuid4().hex).write_text(
    " ".join([str(os.getpid()), *os.environ.get("RUNNER", "none").split()])
)

def work(params):
    Path(os.environ["RAN"], f"{params['number']}-{uuid.uuid4().hex}").touch()
    for second in range(params["seconds"]):
        print(f"second {second} at {time.time()}", flush=True)
        time.sleep(1)

with DAG("on_runners", schedule=None, params={"number": 0, "seconds": 1}):
    PythonOperator(task_id="work", python_callable=work)
"""
"""Each process that imports it writes who it is; its task writes a file of its own, and sleeps."""


PLACEMENT = "execute = dags, dag-files = dags, service = dags, variables * = dags, connections * = dags"


class Runner:
    """A runner of a stack, with an AIRFLOW_HOME, a DAGs folder and a host name of its own."""

    def __init__(self, stack: Stack, name: str, home: Path, *queues: str, concurrency: int = 4) -> None:
        self.name = name
        self.home = home
        self.output = home / "runner.out"
        (home / "dags").mkdir(parents=True, exist_ok=True)
        (home / "dags" / "on_runners.py").write_text(DAG)
        env = {
            **stack.environment,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "RUNNER": name,
        }
        words = ["runner", "--queues", ",".join(queues), "--name", name, "--concurrency", str(concurrency)]
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                on_host(f"host-{name}", [sys.executable, "-m", "airflow_rest_api", *words]),
                env=env,
                stdout=out,
                stderr=out,
                cwd=home,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def end(self) -> int:
        """End it as an operator would; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            family = [psutil.Process(self.process.pid)]
            kill(family + family[0].children(recursive=True))
            raise

    def log(self) -> str:
        return self.output.read_text(errors="replace")


class Split:
    """A stack whose `execute` and `variables` commands run on runners, and the runners."""

    def __init__(self, folder: Path, broker: Broker, database: str | None, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.broker = broker
        self.ran = folder / "ran"
        self.seen = folder / "seen"
        for made in (self.ran, self.seen, folder / "dags"):
            made.mkdir(parents=True)
        self.runners: list[Runner] = []
        self.stack = Stack(
            folder / "home",
            components=("api-server",),
            dags=folder / "dags",
            database=database,
            env={
                "RAN": str(self.ran),
                "SEEN": str(self.seen),
                "AIRFLOW__REST_API_PLUGIN__RUNNER_BROKER": broker.url,
                "AIRFLOW__REST_API_PLUGIN__PLACEMENT": PLACEMENT,
                "AIRFLOW__REST_API_PLUGIN__DEFAULT_WAIT": "110",
                "AIRFLOW__REST_API_PLUGIN__RUN_DAG_CODE": "False",
                "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*, dags delete",
                **env,
            },
        )

    def runner(self, name: str, *queues: str, concurrency: int = 4) -> Runner:
        """Return a runner that is known to the API server."""
        runner = Runner(self.stack, name, self.folder / name, *queues, concurrency=concurrency)
        self.runners.append(runner)
        with Client(self.stack) as client:
            found = f"{name}@"
            until(
                lambda: any(
                    one["name"].startswith(found) for one in client.get("/runners").json()["runners"]
                ),
                120,
                runner.log,
            )
        return runner

    def close(self) -> None:
        for runner in self.runners:
            if runner.process.poll() is None:
                runner.end()
        self.stack.stop()
        self.broker.kill()


def until(holds: Callable[[], Any], seconds: float, otherwise: Callable[[], str] = lambda: "") -> Any:
    """Return what is true at last; raise TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise()[-3000:])
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """With one runner, over Redis."""
    folder = tmp_path_factory.mktemp("split")
    broker = Redis(folder / "redis")
    broker.start()
    made = Split(folder, broker, None, {})
    try:
        made.stack.start()
        made.runner("one", "dags")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def admin(split: Split) -> Iterator[Client]:
    with Client(split.stack) as client:
        yield client
