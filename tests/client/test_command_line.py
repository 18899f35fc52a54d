"""`airflow-rest` against a real Airflow: what happens on the way, and what is told to a user."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_rest_client import Client
from airflow_rest_client.cli import exits
from demo.component import stop
from tests.client.conftest import LINES, CommandLine, counted, expected, slow
from tests.keeping import wait_for
from tests.proxy import Proxy
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def client(examples: Stack) -> Iterator[Client]:
    with Client(examples.url, examples.token()) as client:
        yield client


@pytest.fixture(scope="module")
def lines(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a DAG whose task prints lines."""
    file = tmp_path_factory.mktemp("lines") / "client_lines.py"
    file.write_text(LINES)
    client.deploy(file, overwrite=True)
    return "client_lines"


def test_somebody_signs_in_and_runs_commands(examples: Stack, airflow_rest: CommandLine, tmp_path: Path):
    nothing = dict.fromkeys(("AIRFLOW_REST_URL", "AIRFLOW_REST_TOKEN"), "")
    signed = airflow_rest(
        "login",
        f"{examples.url}/admin/rest_api/",
        "-u",
        "admin",
        stdin=examples.passwords["admin"],
        **nothing,
    )
    assert signed.returncode == 0, signed.stderr
    assert "commands" in signed.stdout

    listed = airflow_rest("dags", "list", "-o", "json", **nothing)
    assert "example_template" in {dag["dag_id"] for dag in json.loads(listed.stdout)}
    (tmp_path / "vars.json").write_text('{"client_colour": "green"}')
    for words, code, out in (
        (("variables", "import", "vars.json"), 0, "1 of 1 variables successfully updated.\n"),
        (("variables", "get", "client_colour"), 0, "green\n"),
        (("variables", "delete", "client_colour"), 0, "Variable client_colour deleted\n"),
        (("variables", "get", "client_colour"), 1, ""),
    ):
        done = airflow_rest(*words, cwd=tmp_path, **nothing)
        assert (done.returncode, done.stdout) == (code, out), done.stderr


def test_a_token_that_is_no_good_is_one_line_and_an_exit_code_of_its_own(airflow_rest: CommandLine):
    airflow_rest("version")
    done = airflow_rest("version", AIRFLOW_REST_TOKEN="a.b.c")

    assert (done.returncode, done.stdout) == (exits.NOT_SIGNED_IN, "")
    assert len(done.stderr.splitlines()) == 1
    assert "not signed in" in done.stderr


def test_who_may_not_is_told_why(examples: Stack, airflow_rest: CommandLine):
    done = airflow_rest("variables", "list", AIRFLOW_REST_TOKEN=examples.token("viewer"))
    assert done.returncode == exits.NOT_ALLOWED
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_cancels_the_command(airflow_rest: CommandLine, client: Client):
    running = airflow_rest.start(*slow(120))
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("1 of 120"):
            break
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)

    assert running.returncode == exits.CANCELLED
    assert "cancelling" in err
    last = next(client.operations(1, command="tasks test"))
    assert (last.state, last.message) == ("cancelled", "The command was cancelled by admin.")


def test_who_reads_no_further_ends_the_command(airflow_rest: CommandLine, client: Client):
    running = airflow_rest.start(*slow(120))
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=60) == exits.BROKEN_PIPE

    operation = next(client.operations(1, command="tasks test")).wait(30)
    assert operation.state == "cancelled"


def test_a_detached_command_is_followed_later_from_its_beginning(airflow_rest: CommandLine):
    identifier = airflow_rest("--detach", *slow(3)).stdout.strip()
    done = airflow_rest("operations", "follow", identifier)

    assert done.returncode == 0, done.stderr
    assert counted(done.stdout, 3) == expected(3)
    shown = airflow_rest("operations", "show", identifier, "-o", "json")
    assert json.loads(shown.stdout)["state"] == "succeeded"
    assert identifier in airflow_rest("operations", "list").stdout


class Cutting(Proxy):
    """A proxy that ends every connection after a while."""

    def __init__(self, port: int, seconds: float) -> None:
        super().__init__("127.0.0.1", port)
        self.times = 0
        self._seconds = seconds
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.cut()
            self.restore()
            self.times += 1

    def end(self) -> None:
        self._ended.set()
        self.cut()


def test_a_proxy_that_cuts_every_connection_changes_nothing(examples: Stack, tmp_path: Path):
    proxy = Cutting(examples.port, 1.7)
    try:
        done = CommandLine(examples, tmp_path, f"http://127.0.0.1:{proxy.port}/airflow")(*slow(12))
    finally:
        proxy.end()

    assert done.returncode == 0, done.stderr
    assert counted(done.stdout, 12) == expected(12)
    assert done.stderr == ""
    assert proxy.times >= 5


def test_ten_thousand_lines_a_second_arrive_complete_and_in_order(airflow_rest: CommandLine, lines: str):
    number = 60_000
    params = json.dumps({"lines": number, "rate": 10_000})
    done = airflow_rest("tasks", "test", lines, "say", "2024-01-01", "-t", params)

    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.splitlines() if line.startswith("line ")]
    assert found == [f"line {count}" for count in range(number)]


def test_a_server_that_starts_anew_is_waited_for_and_says_how_the_command_ended(tmp_path: Path):
    with Stack(tmp_path / "home", components=("api-server",)) as stack:
        stack.wait_for_commands()
        airflow_rest = CommandLine(stack, tmp_path / "client-home")
        identifier = airflow_rest("--detach", *slow(60)).stdout.strip()
        following = airflow_rest.start("operations", "follow", identifier)
        assert following.stdout is not None
        for line in following.stdout:
            if line.startswith("2 of 60"):
                break
        stop(stack.components)
        stack.components.clear()
        time.sleep(2)
        assert following.poll() is None
        stack.components.append(stack._launch("api-server", "api-server"))
        out, err = following.communicate(timeout=120)

    assert following.returncode == exits.CANCELLED, (out, err)
    assert "The API server was stopped." in err


def test_a_folder_of_dags_is_deployed_and_its_faults_are_told_by_line(
    airflow_rest: CommandLine, tmp_path: Path
):
    folder = tmp_path / "dags"
    (folder / "team").mkdir(parents=True)
    good = "from airflow.sdk import DAG\nwith DAG('client_deployed', schedule=None): ...\n"
    (folder / "team" / "good.py").write_text(good)
    (folder / "bad.py").write_text("from airflow.sdk import DAG\nimport no_such_module\n")
    failed = airflow_rest("deploy", "dags", cwd=tmp_path)
    assert failed.returncode == 1
    assert failed.stdout.startswith("dags/bad.py:2: ModuleNotFoundError: No module named 'no_such_module'")

    (folder / "bad.py").unlink()
    done = airflow_rest("deploy", "dags", "--unpause", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "client_deployed" in done.stdout
    assert "ready" in done.stderr
    assert "client_deployed" in airflow_rest("dags", "list").stdout


def test_the_components_of_an_airflow_are_started_and_stopped(airflow_rest: CommandLine):
    assert "log-server" in airflow_rest("services", "kinds").stdout
    started = airflow_rest("services", "start", "triggerer", "capacity=10", "-o", "json")
    assert started.returncode == 0, started.stderr
    identifier = json.loads(started.stdout)["id"]
    assert identifier in airflow_rest("services", "list").stdout
    assert airflow_rest("services", "log", identifier, "--stream", "stderr").returncode == 0
    stopped = airflow_rest("services", "stop", identifier, "-o", "json")
    assert json.loads(stopped.stdout)["state"] in ("stopping", "stopped")
    wait_for(
        lambda: (
            json.loads(airflow_rest("services", "show", identifier, "-o", "json").stdout)["state"]
            == "stopped"
        )
    )
    assert airflow_rest("services", "forget", identifier).returncode == 0


def test_names_are_completed_from_the_server(airflow_rest: CommandLine):
    assert airflow_rest("__complete", "tasks", "test", "example_sl").stdout == "example_slow\n"
    assert airflow_rest("__complete", "tasks", "test", "example_slow", "").stdout == "work\n"
    assert airflow_rest("__complete", "pools", "get", "").stdout == "default_pool\n"
