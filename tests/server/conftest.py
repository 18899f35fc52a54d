"""A real API server with the plugin, and what its clients need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes import command_of
from tests.stacks import Stack

API = "/admin/rest_api/v2"


class Client(httpx.Client):
    """A client of the plugin, signed in as one user."""

    def __init__(self, stack: Stack, user: str = "admin") -> None:
        headers = {"Authorization": f"Bearer {stack.token(user)}"}
        super().__init__(base_url=stack.url + API, headers=headers, timeout=120)

    def command(self, path: str, **arguments: object) -> httpx.Response:
        """Run a command by its name."""
        return self.post(f"/commands/{path}", json=arguments)

    def line(self, *argv: str, **headers: str) -> httpx.Response:
        """Run a command by its command line."""
        return self.post("/run", json={"argv": argv}, headers=headers)

    def until(self, operation: str, holds: Callable[[dict[str, object]], object]) -> dict[str, object]:
        """Wait until something holds of an operation, and return it."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            said: dict[str, object] = self.get(f"/operations/{operation}").json()
            if holds(said):
                return said
            time.sleep(0.05)
        raise TimeoutError(str(said))


@pytest.fixture(scope="module")
def stack(examples: Stack) -> Stack:
    return examples


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Client]:
    with Client(stack) as client:
        yield client


def family(stack: Stack) -> list[psutil.Process]:
    """Return the API server's processes."""
    server = next(one for one in stack.components if one.name == "api-server")
    root = psutil.Process(server.process.pid)
    return [root, *root.children(recursive=True)]


def engine(stack: Stack) -> list[psutil.Process]:
    """Return the processes of the plugin's engine: the warm parent and its children."""
    return [one for one in family(stack) if "airflow_rest_api.engine" in command_of(one)]


def parent(stack: Stack) -> psutil.Process:
    """Return the warm parent."""
    members = engine(stack)
    return next(one for one in members if one.ppid() not in {other.pid for other in members})


def wait_gone(processes: list[psutil.Process], seconds: float = 60) -> list[psutil.Process]:
    """Wait for processes to end; return those that did not."""
    return psutil.wait_procs(processes, timeout=seconds)[1]


def dag_file(stack: Stack, name: str) -> Path:
    """Return the path of an example DAG's file."""
    return stack.dags / f"{name}.py"
