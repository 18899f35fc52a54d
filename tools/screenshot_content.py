"""What the pictures of docs/ show: some operations, a deployed file, a component."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from demo.examples import SOURCE
from demo.stack import Stack

FILE = SOURCE.parent / "my_dag.py"
# Who ran what: command, arguments.
COMMANDS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("admin", "pools/set", {"pool": "warehouse", "slots": 4, "description": "Loads into the warehouse"}),
    ("op", "variables/set", {"key": "region", "value": "eu-west"}),
    ("user", "dags/trigger", {"dag_id": "example_template", "run_id": "first"}),
    ("viewer", "dags/list", {}),
    # Refused by Airflow: the DAG wants at least one.
    ("user", "dags/trigger", {"dag_id": "example_params", "conf": '{"times": 0}'}),
    ("op", "dags/pause", {"dag_id": "example_failure"}),
    ("user", "dags/trigger", {"dag_id": "my_dag", "run_id": "first"}),
)
SECONDS = 120.0


@dataclass(frozen=True)
class Content:
    """What was prepared: ids of operations and of a component, and the text of a file that does not work.

    :ivar token: of the administrator, which no picture may show
    """

    token: str
    finished: str
    running: str
    triggerer: str
    broken: str


@contextmanager
def content(stack: Stack) -> Iterator[Content]:
    """Fill a demo with what its users might have done; end afterwards what outlives the demo."""
    clients = {user: _client(stack, user) for user in ("admin", "op", "user", "viewer")}
    admin = clients["admin"]
    source = FILE.read_text()
    _deploy(admin, source)
    _deploy(admin, source.replace("schedule=None", 'schedule="@daily"'))
    for user, command, arguments in COMMANDS:
        _run(clients[user], command, arguments)
    _until_succeeded(stack, "my_dag", "first")
    finished = _run(admin, "dags/list-runs", {"dag_id": "my_dag"})
    service = _sent(admin.post("/services", json={"kind": "triggerer"}, headers=_wait(60)))
    slow = {"dag_id": "example_slow", "conf": '{"seconds": 300}'}
    running = _sent(admin.post("/commands/dags/test", json=slow, headers={"Prefer": "respond-async"}))
    broken = source.replace("@task", "@tsk", 1)
    token = admin.headers["Authorization"].split()[1]
    try:
        yield Content(token, finished["id"], running["id"], service["id"], broken)
    finally:
        # Only its supervisor holds it: it goes on when the API server ends.
        _sent(admin.post(f"/services/{service['id']}/stop", json={"force": True}, headers=_wait(60)))
        for client in clients.values():
            client.close()


def _client(stack: Stack, user: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"{stack.url}/admin/rest_api/v2",
        headers={"Authorization": f"Bearer {stack.token(user)}"},
        timeout=SECONDS,
        # The server is on this machine: no proxy of the environment is asked.
        trust_env=False,
    )


def _wait(seconds: int) -> dict[str, str]:
    return {"Prefer": f"wait={seconds}"}


def _sent(answer: httpx.Response) -> dict[str, Any]:
    """Return the answer of a request that went well."""
    if answer.is_error:
        raise RuntimeError(f"{answer.request.url.path}: {answer.status_code} {answer.text}")
    said: dict[str, Any] = answer.json()
    return said


def _run(client: httpx.Client, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a command to its end, whatever that is."""
    return _sent(client.post(f"/commands/{command}", json=dict(arguments), headers=_wait(60)))


def _deploy(client: httpx.Client, source: str) -> None:
    files = {"file": (FILE.name, source.encode())}
    options = {"overwrite": "true", "wait": "true", "unpause": "true"}
    operation = _sent(client.post("/dag-files", files=files, data=options, headers=_wait(60)))
    if operation["state"] != "succeeded":
        raise RuntimeError(f"{FILE.name} was not deployed: {operation['message']}")


def _until_succeeded(stack: Stack, dag_id: str, run_id: str) -> None:
    """Wait for a DAG run; its result is in a picture."""
    deadline = time.monotonic() + SECONDS
    while (state := stack.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]) != "success":
        if time.monotonic() > deadline or state == "failed":
            raise RuntimeError(f"{dag_id}, {run_id}: {state}")
        time.sleep(0.5)
