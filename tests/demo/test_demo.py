"""`python -m demo`, as `make run` starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from demo.client import request
from demo.config import HEADER
from demo.ports import free_port
from tests.processes import command_of

ROOT = Path(__file__).resolve().parents[2]

# The first command waits for the warm parent, and here that for other tests.
PATIENT = {"AIRFLOW__REST_API_PLUGIN__DEFAULT_WAIT": "110"}

pytestmark = pytest.mark.airflow


class Demo:
    def __init__(self, home: Path, port: int, **env: str) -> None:
        self.home = home
        self.output = home.parent / f"{home.name}.{port}.txt"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo"],
                cwd=ROOT,
                env={**os.environ, **PATIENT, "PORT": str(port), "AIRFLOW_HOME": str(home), **env},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, pattern: str, seconds: float = 240) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output.read_text())):
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return found

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)


@contextmanager
def running(home: Path, **env: str) -> Iterator[Demo]:
    """A demo that is up, until it has ended."""
    demo = Demo(home, free_port(), **env)
    try:
        demo.wait_for(r"Ctrl-C ends it")
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.end()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("demo") / "airflow") as demo:
        yield demo


def test_it_says_once_that_it_is_ready_and_where(demo: Demo) -> None:
    facts = json.loads((demo.home / "demo.json").read_text())
    lines = [line for line in demo.output.read_text().splitlines() if line.startswith("Ready: ")]
    assert len(lines) == 1
    assert "Airflow is up; the commands are warming up ..." in demo.output.read_text().partition("Ready:")[0]
    assert lines[0].startswith(f"Ready: {facts['url']}/admin/rest_api/ ")
    assert facts["users"]["admin"] in lines[0]


def test_its_commands_run_at_once_when_it_says_that_it_is_ready(demo: Demo) -> None:
    log = (demo.home / "logs" / "api-server.out").read_text()
    warmed = [line for line in log.splitlines() if "The warm parent" in line]
    # The first one, which is still good: nothing of a fresh AIRFLOW_HOME has changed since.
    assert len(warmed) == 1
    assert "is ready after" in warmed[0]


def test_the_passwords_are_private_and_open_the_door_for_every_user(demo: Demo) -> None:
    assert stat.S_IMODE((demo.home / "demo.json").stat().st_mode) == 0o600
    facts = json.loads((demo.home / "demo.json").read_text())
    assert set(facts["users"]) == {"admin", "op", "user", "viewer"}
    for user, password in facts["users"].items():
        login = {"username": user, "password": password}
        token = request("POST", f"{facts['url']}/auth/token", login)["access_token"]
        assert request("GET", f"{facts['url']}/api/v2/dags", token=token)["total_entries"] == 4


def test_the_printed_command_works_when_pasted(demo: Demo) -> None:
    command = demo.wait_for(r"(?m)^curl .*$").group()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=150, check=True)
    operation = json.loads(done.stdout)
    assert operation["state"] == "succeeded", operation
    assert "example_slow" in operation["stdout"]


def test_example_dags_end_as_they_say(demo: Demo) -> None:
    facts = json.loads((demo.home / "demo.json").read_text())
    login = {"username": "admin", "password": facts["users"]["admin"]}
    token = request("POST", f"{facts['url']}/auth/token", login)["access_token"]
    wanted = {
        "example_template": "success",
        "example_params": "success",
        "example_slow": "success",
        "example_failure": "failed",
    }
    runs = {}
    for dag in wanted:
        conf = {"seconds": 1} if dag == "example_slow" else {}
        body = {"logical_date": None, "conf": conf}
        run = request("POST", f"{facts['url']}/api/v2/dags/{dag}/dagRuns", body, token=token)
        runs[dag] = f"{facts['url']}/api/v2/dags/{dag}/dagRuns/{run['dag_run_id']}"
    states: dict[str, str] = {}
    deadline = time.monotonic() + 240
    while states != wanted and time.monotonic() < deadline:
        states = {dag: request("GET", url, token=token)["state"] for dag, url in runs.items()}
        time.sleep(0.5)
    assert states == wanted


def files_of_the_clone() -> dict[str, bytes]:
    return {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in (ROOT / "examples").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_what_is_deployed_lands_below_airflow_home_and_the_clone_stays_as_it_was(demo: Demo) -> None:
    facts = json.loads((demo.home / "demo.json").read_text())
    login = {"username": "admin", "password": facts["users"]["admin"]}
    token = request("POST", f"{facts['url']}/auth/token", login)["access_token"]
    before = files_of_the_clone()
    url = f"{facts['url']}/admin/rest_api/v2/dag-files"
    upload = ["curl", "-s", "-H", f"Authorization: Bearer {token}", "-H", "Prefer: wait=110", url]
    form = ["-F", f"file=@{ROOT / 'examples' / 'my_dag.py'}", "-F", "folder=team"]
    done = subprocess.run([*upload, *form], capture_output=True, text=True, timeout=150, check=True)
    assert json.loads(done.stdout)["state"] == "succeeded", done.stdout
    assert (demo.home / "dags" / "team" / "my_dag.py").is_file()
    assert files_of_the_clone() == before
    status = ["git", "status", "--porcelain", "--", "examples/dags"]
    if (ROOT / ".git").exists():
        assert subprocess.run(status, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""


def test_a_second_demo_in_the_same_folder_is_refused(demo: Demo) -> None:
    second = Demo(demo.home, free_port())
    assert second.process.wait(120) == 1
    assert "Another demo is running in" in second.output.read_text()
    assert (demo.home / "demo.json").exists()
    assert demo.process.poll() is None


def test_ctrl_c_leaves_nothing_behind(demo: Demo) -> None:
    family = demo.family()
    assert len(family) >= 4
    assert demo.end(signal.SIGINT) == 0
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert not (demo.home / "demo.json").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("airflow.cfg", f"{HEADER}\n[core]\nparallelism = 4\nparallelism = 5\n"),
        ("examples.json", '{"example_slow.py": "0",}'),
        ("simple_auth_manager_passwords.json", "admin:secret"),
    ],
)
def test_a_file_that_its_user_has_broken_ends_it_with_one_line(tmp_path: Path, name: str, text: str) -> None:
    home = tmp_path / "airflow"
    home.mkdir()
    (home / name).write_text(text)
    demo = Demo(home, free_port())
    assert demo.process.wait(120) == 1
    *_, last = demo.output.read_text().splitlines()
    assert last.startswith("The demo failed: ")
    assert name in last
    assert (home / name).read_text() == text


@pytest.mark.parametrize("name", ["airflow.cfg", "airflow.db"])
def test_the_folder_of_another_airflow_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    home = tmp_path / "airflow"
    home.mkdir()
    (home / name).write_text("[core]\nfernet_key = precious\n")
    demo = Demo(home, free_port())
    assert demo.process.wait(120) == 1
    *_, last = demo.output.read_text().splitlines()
    assert last == (
        f"The demo failed: The Airflow in {home} is not the demo's;"
        " set AIRFLOW_HOME to another folder, or unset it"
    )
    assert [each.name for each in home.iterdir()] == [name]
    assert (home / name).read_text() == "[core]\nfernet_key = precious\n"


def test_a_port_in_use_ends_it_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        demo = Demo(tmp_path / "airflow", port)
        assert demo.process.wait(120) == 1
    *_, last = demo.output.read_text().splitlines()
    assert last == f"The demo failed: Port {port} is in use; set PORT to another one"


def is_component(process: psutil.Process, name: str) -> bool:
    """Tell whether a process is a component and not a fork of one, which has the same command line."""
    try:
        parent = process.parent()
    except psutil.Error:
        return False
    words = f"airflow {name}"
    return command_of(process).endswith(words) and not (parent and command_of(parent).endswith(words))


@pytest.mark.parametrize("victim", ["db migrate", "scheduler"])
def test_a_component_that_dies_during_the_start_ends_all(tmp_path: Path, victim: str) -> None:
    demo = Demo(tmp_path / "airflow", free_port())
    family: list[psutil.Process] = []
    found: psutil.Process | None = None
    deadline = time.monotonic() + 120
    while found is None:
        assert time.monotonic() < deadline, demo.output.read_text()
        time.sleep(0.05)
        family = demo.family()
        # Some components fork: the first of its kind is the component itself.
        found = next((each for each in family if is_component(each, victim)), None)
    found.kill()
    try:
        assert demo.process.wait(120) == 1
    finally:
        if demo.process.poll() is None:
            demo.end()
    *_, last = demo.output.read_text().splitlines()
    assert last.startswith(f"The demo failed: {victim.replace(' ', '-')} was killed by signal 9")
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert not (demo.home / "demo.json").exists()
