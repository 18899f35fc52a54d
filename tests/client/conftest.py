"""The command line of the client as a process of its own, in an environment without Airflow."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.servers import require_client
from tests.stacks import Stack

LINES = """
import sys, time
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

def say(params):
    begun = time.monotonic()
    for number in range(params["lines"]):
        print(f"line {number}")
        if number % 1000 == 999:
            sys.stdout.flush()
            time.sleep(max(0.0, begun + (number + 1) / params["rate"] - time.monotonic()))

with DAG("client_lines", schedule=None, params={"lines": 1000, "rate": 10000}):
    PythonOperator(task_id="say", python_callable=say)
"""
"""A DAG whose task prints as many lines as it is asked for, in a second as many as that."""


class CommandLine:
    """Runs `airflow-rest` for one Airflow."""

    def __init__(self, stack: Stack, home: Path, url: str | None = None) -> None:
        self.folder = require_client()
        self.program = self.folder / "bin" / "airflow-rest"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AIRFLOW", "PYTHON"))
            },
            "PATH": os.pathsep.join((str(self.program.parent), os.environ.get("PATH", os.defpath))),
            "NO_PROXY": "localhost,127.0.0.1",
            "AIRFLOW_REST_HOME": str(home),
            "AIRFLOW_REST_URL": url or stack.url,
            "AIRFLOW_REST_TOKEN": stack.token(),
        }

    def __call__(
        self, *words: str, stdin: str = "", cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Return how a command line ended."""
        return self.run([str(self.program), *words], stdin, cwd, env)

    def run(
        self, words: Sequence[str], stdin: str, cwd: Path | None, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Return how any command ended that may use it."""
        return subprocess.run(
            words,
            input=stdin,
            cwd=cwd,
            env={**self.environment, **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Return a process that runs a command line."""
        return subprocess.Popen(
            [str(self.program), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            text=True,
        )


@pytest.fixture
def airflow_rest(examples: Stack, tmp_path: Path) -> CommandLine:
    """The command line of somebody who is the administrator of the stack with the examples."""
    return CommandLine(examples, tmp_path / "client-home")


def slow(seconds: int) -> Sequence[str]:
    """Return a command line that prints a line a second."""
    return ("tasks", "test", "example_slow", "work", "2024-01-01", "-t", f'{{"seconds": {seconds}}}')


def counted(text: str, seconds: int) -> list[str]:
    """Return those lines of its output, of the seconds."""
    return [line for line in text.splitlines() if line.endswith(f" of {seconds} seconds")]


def expected(seconds: int) -> list[str]:
    """Return what `counted` is of all of them, in order."""
    return [f"{number} of {seconds} seconds" for number in range(1, seconds + 1)]
