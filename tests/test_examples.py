"""The scripts of the examples do what they say, against a real Airflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
README = EXAMPLES.parent / "README.md"


def deploy_and_run(stack: Stack, file: Path, dag_id: str) -> subprocess.CompletedProcess[str]:
    script = EXAMPLES / "deploy_and_run.sh"
    env = {**stack.environment, "URL": stack.url, "TOKEN": stack.token()}
    return subprocess.run(
        [script, file, dag_id], env=env, capture_output=True, text=True, timeout=600, check=False
    )


def test_a_dag_file_is_deployed_and_its_dag_runs(scheduled: Stack):
    done = deploy_and_run(scheduled, EXAMPLES / "my_dag.py", "my_dag")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout.splitlines()[-1]
    assert (scheduled.dags / "my_dag.py").read_bytes() == (EXAMPLES / "my_dag.py").read_bytes()


def test_a_file_that_cannot_be_imported_ends_the_script_with_the_reason(scheduled: Stack, tmp_path: Path):
    file = tmp_path / "no_dag.py"
    file.write_text("from airflow.sdk import dag\nimport no_such_module_at_all\n")
    done = deploy_and_run(scheduled, file, "no_dag")

    assert done.returncode != 0
    assert "no_such_module_at_all" in done.stdout + done.stderr


@pytest.mark.parametrize(("state", "code"), [("success", 0), ("failed", 1)])
def test_the_state_of_a_run_is_no_word_of_a_warning(state: str, code: int):
    warning = "successfully read; another file failed to be imported"
    answers = [
        {
            "output": {"stdout": f"{one}\n", "stderr": warning, "stdin": ""},
            "warning": warning,
            "state": one,
        }
        for one in ("", "", "running", state)
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answers.pop(0)).encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        env = {**os.environ, "NO_PROXY": "*", "TOKEN": "t", "URL": f"http://127.0.0.1:{server.server_port}"}
        line = [EXAMPLES / "deploy_and_run.sh", EXAMPLES / "my_dag.py", "my_dag"]
        done = subprocess.run(line, env=env, capture_output=True, timeout=60, check=False)
        server.shutdown()

    assert (done.returncode, answers) == (code, [])


def test_the_readme_shows_the_script():
    assert "examples/deploy_and_run.sh" in README.read_text()


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_script_is_portable():
    subprocess.run(["shellcheck", EXAMPLES / "deploy_and_run.sh"], check=True)
