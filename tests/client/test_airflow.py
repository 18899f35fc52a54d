"""The hook and the operator, in an Airflow that runs commands on another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import apart
from tests.client.conftest import slow
from tests.stacks import Stack
from tools.dist import CLIENT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

DAG = """
from airflow.sdk import DAG
from airflow_rest_client.airflow.operator import AirflowCommandOperator

with DAG("client_operator", schedule=None):
    for deferrable in (False, True):
        kind = "deferred" if deferrable else "waiting"
        options = {"conn_id": "other", "deferrable": deferrable}
        AirflowCommandOperator(task_id=f"{kind}_lists", command="dags list -o json", **options)
        command = ["variables", "get", "client_nothing"]
        AirflowCommandOperator(task_id=f"{kind}_fails", command=command, **options)
"""


class Here:
    """An Airflow with nothing but a database, whose tasks are tested on the command line."""

    def __init__(self, stack: Stack, other: Stack) -> None:
        connection = {
            "conn_type": "airflow_rest_api",
            "host": other.url,
            "login": "admin",
            "password": other.passwords["admin"],
        }
        self.environment = {
            **stack.environment,
            "PYTHONPATH": str(CLIENT / "src"),
            "AIRFLOW_CONN_OTHER": json.dumps(connection),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("airflow"))
        return subprocess.run(
            [program, *words], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="module")
def here(examples: Stack, tmp_path_factory: pytest.TempPathFactory) -> Here:
    folder = tmp_path_factory.mktemp("here")
    (folder / "dags").mkdir()
    (folder / "dags" / "client_operator.py").write_text(DAG)
    stack = Stack(folder / "home", components=(), dags=folder / "dags")
    with stack:
        found = Here(stack, examples)
        assert found.run("dags", "reserialize").returncode == 0
        return found


TESTED = (
    apart.SCRIPT
    + """
import json, sys
from functools import partial
from airflow.__main__ import main
from airflow_rest_api.airflow.compat.tasks import build_execution_api

def test(task):
    sys.argv = ["airflow", "tasks", "test", "client_operator", task, "2024-01-01"]
    main()

# Once, as it takes longer than all else.
build_execution_api()
tasks = sys.argv[1:]
print(json.dumps([apart(partial(test, task), f"{task}.out", f"{task}.err") for task in tasks]))
"""
)


@dataclass(frozen=True)
class Tested:
    """How a test of a task has ended."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def tested(here: Here, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tested]:
    """The tests of all tasks, each in a process of its own."""
    folder = tmp_path_factory.mktemp("tested")
    tasks = [f"{kind}_{does}" for kind in ("waiting", "deferred") for does in ("lists", "fails")]
    words = [sys.executable, "-c", TESTED, *tasks]
    done = subprocess.run(
        words, env=here.environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    return {
        task: Tested(code, *((folder / f"{task}.{stream}").read_text() for stream in ("out", "err")))
        for task, code in zip(tasks, codes, strict=True)
    }


@pytest.mark.parametrize("kind", ["waiting", "deferred"])
def test_a_command_runs_on_the_other_airflow_with_its_output_in_the_log(tested: dict[str, Tested], kind: str):
    done = tested[f"{kind}_lists"]

    assert done.exit_code == 0, done.stdout + done.stderr
    assert "is operation" in done.stdout
    assert "example_template" in done.stdout


@pytest.mark.parametrize("kind", ["waiting", "deferred"])
def test_a_command_that_fails_there_fails_the_task_here(tested: dict[str, Tested], kind: str):
    done = tested[f"{kind}_fails"]

    # Airflow's own end of that is another one on each version: with an exit code, with a line, or with both.
    said = done.stdout + done.stderr
    assert "Variable client_nothing does not exist" in said
    assert done.exit_code != 0 or "CommandFailed" in said


KILLED = """
import asyncio, json, sys
from airflow_rest_client.airflow.hook import RestApiHook
from airflow_rest_client.airflow.trigger import OperationTrigger
client = RestApiHook("other").get_conn()
operation = client.start(*json.loads(sys.argv[1]))
asyncio.run(OperationTrigger("other", operation.id).on_kill())
print(operation.wait(60).state)
"""


def test_ending_a_task_that_is_deferred_ends_the_command(here: Here):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(slow(120))],
        env=here.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["cancelled"], done.stderr


def holds(code: str) -> None:
    """Run assertions in a process that has the client."""
    environment = {**os.environ, "PYTHONPATH": str(CLIENT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_connection_can_be_tried():
    code = """
import json, os
from airflow_rest_client.airflow.hook import RestApiHook, url_of, credentials_of
from airflow.sdk import Connection
for fields, url in (
    ({"host": "https://a.example/airflow/"}, "https://a.example/airflow"),
    ({"host": "a.example"}, "https://a.example"),
    ({"host": "a.example/x", "schema": "http", "port": 8080}, "http://a.example:8080/x"),
    ({"host": "a.example:443", "port": 8080}, "https://a.example:443"),
    ({"host": "::1", "port": 8080}, "https://[::1]:8080"),
    ({"host": "http://[::1]/x", "port": 8080}, "http://[::1]:8080/x"),
    ({"host": "[::1]:443", "port": 8080}, "https://[::1]:443"),
):
    assert url_of(Connection(conn_id="c", conn_type="airflow_rest_api", **fields)) == url, fields
extra = json.dumps({"header_token": "h"})
found = credentials_of(Connection(conn_id="c", conn_type="x", password="t", extra=extra))
assert (found.token, found.username, found.header_token) == ("t", None, "h")
assert RestApiHook.get_ui_field_behaviour()["relabeling"]["host"] == "API server"
"""
    holds(code)


LATE = """
import asyncio, time
from datetime import timedelta
from airflow_rest_client.airflow import operator, trigger
from airflow_rest_client.model import OperationData

class Running(OperationData):
    async def wait(self, timeout):
        waited.append(timeout)
        return self
    async def cancel(self):
        self.data["state"] = "cancelled"
        return self

class Client:
    async def operation(self, identifier):
        return Running({"id": identifier, "command": "version", "state": "running"})
    def start(self, *words):
        return OperationData({"id": "o", "command": "version", "state": "running"})
    async def __aenter__(self):
        return self
    async def __aexit__(self, *_):
        pass

class Hook:
    default_conn_name = "other"
    def __init__(self, conn_id):
        pass
    async def get_async_conn(self):
        return Client()
    def get_conn(self):
        return Client()

async def event(made):
    return [one.payload async for one in made.run()]

waited = []
operator.RestApiHook = trigger.RestApiHook = Hook
limited = operator.AirflowCommandOperator(
    task_id="t", command="version", conn_id="other", deferrable=True, execution_timeout=timedelta(seconds=90)
)
try:
    limited.execute({})
except BaseException as deferred:  # Its class has another place on each version.
    name, arguments = deferred.trigger.serialize()
made = trigger.OperationTrigger(**arguments)
assert asyncio.run(event(made)) == [{"id": "o", "state": "cancelled", "late": True}]
assert 80 < waited[0] <= 90, waited
"""


def test_a_task_that_is_deferred_has_its_execution_timeout():
    holds(LATE)


PART = """
from airflow_rest_client.airflow.operator import AirflowCommandOperator
from airflow_rest_client.client import Operation
from airflow_rest_client.errors import RestError

def result(effect, **more):
    data = {"id": "o", "command": "version", "state": "succeeded", "effect": effect, **more}
    return AirflowCommandOperator(task_id="t", command="version")._result(Operation(None, data))

part = {"stdout": "[\\n… 7 bytes left out …\\n]", "truncated": True}
assert result("read", stdout="3.3") == "3.3"
assert result("read", stderr=part["stdout"], stdout="3.3", truncated=True) == "3.3"
assert result("execute", **part) is None
try:
    result("read", **part)
except RestError as error:
    assert "output_limit" in str(error)
else:
    raise AssertionError("a part was taken for the whole")
"""


def test_a_part_of_what_a_command_printed_is_no_result():
    holds(PART)
