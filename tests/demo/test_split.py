"""`make run TOPOLOGY=split`: two hosts that share nothing but the database."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.client import request
from tests.demo.test_demo import ROOT, Demo, running
from tests.servers import require_program

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    require_program("redis-server", "redis-server")
    with running(tmp_path_factory.mktemp("split") / "airflow", TOPOLOGY="split") as demo:
        yield demo


@pytest.fixture(scope="module")
def facts(demo: Demo) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((demo.home / "demo.json").read_text())
    login = {"username": "admin", "password": found["users"]["admin"]}
    found["token"] = request("POST", f"{found['url']}/auth/token", login)["access_token"]
    return found


def test_it_says_that_it_is_split(facts: dict[str, Any]) -> None:
    assert facts["topology"] == "split"
    [runner] = request("GET", f"{facts['url']}/admin/rest_api/v2/runners", token=facts["token"])["runners"]
    assert (runner["healthy"], runner["queues"][0]) == (True, "dags")


def test_the_printed_command_works_when_pasted(demo: Demo) -> None:
    command = demo.wait_for(r"(?m)^curl .*$").group()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=150, check=True)
    assert "example_slow" in json.loads(done.stdout)["stdout"]


def test_what_needs_dag_files_runs_where_they_are(demo: Demo, facts: dict[str, Any]) -> None:
    api = f"{facts['url']}/admin/rest_api"
    said = {"argv": ["tasks", "test", "example_template", "greet", "2026-01-01"]}
    tested = request("POST", f"{api}/v2/run", said, token=facts["token"], prefer="wait=110")
    listed = request("GET", f"{api}/api?api=list_dags", token=facts["token"])

    assert (tested["state"], tested["queue"]) == ("succeeded", "dags"), tested
    assert "example_slow" in listed["output"]["stdout"]
    upload = ["curl", "-s", "-H", f"Authorization: Bearer {facts['token']}", f"{api}/v2/dag-files"]
    form = ["-H", "Prefer: wait=110", "-F", f"file=@{ROOT / 'examples' / 'my_dag.py'}"]
    done = subprocess.run([*upload, *form], capture_output=True, text=True, timeout=150, check=True)
    assert json.loads(done.stdout).get("state") == "succeeded", done.stdout
    assert (demo.home / "dags" / "my_dag.py").is_file()


def test_the_hosts_share_no_folder(demo: Demo, facts: dict[str, Any]) -> None:
    children = [psutil.Process(demo.process.pid), *psutil.Process(demo.process.pid).children()]
    homes = {" ".join(process.cmdline()): Path(process.cwd()) for process in children}
    [server] = [home for words, home in homes.items() if "api-server" in words or "api_server" in words]
    others = {home for words, home in homes.items() if "runner" in words or "processor" in words}

    assert (server, others) == (demo.home, {demo.home / "dag-host"})
    assert list((demo.home / "no-dags").iterdir()) == []
    config = RawConfigParser()
    config.read(demo.home / "airflow.cfg")
    assert config["core"]["dags_folder"] == str(demo.home / "no-dags")


def test_ctrl_c_ends_all_of_it(demo: Demo, facts: dict[str, Any]) -> None:
    family = demo.family()
    assert demo.end() == 0
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]
