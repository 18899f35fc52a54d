"""The examples for pipelines, as far as a shell can run them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.client.conftest import CommandLine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "ci"


def run(airflow_rest: CommandLine, script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return airflow_rest.run(["sh", "-euc", script], "", folder, env)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a folder of DAGs; that of another test has others."""
    dag_id = f"pipeline_{tmp_path.name}"
    (tmp_path / "dags").mkdir()
    file = tmp_path / "dags" / f"{dag_id}.py"
    file.write_text(f"from airflow.sdk import DAG\nwith DAG('{dag_id}', schedule=None): ...\n")
    return tmp_path


@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_the_script_deploys_a_folder_and_fails_with_annotations(airflow_rest: CommandLine, project: Path):
    script = f"{EXAMPLES}/deploy.sh dags pipelines"
    done = run(airflow_rest, script, project)
    assert done.returncode == 0, done.stderr
    listed = json.loads(airflow_rest("dags", "list", "-o", "json").stdout)
    assert f"pipeline_{project.name}" in {dag["dag_id"] for dag in listed}

    (project / "dags" / "broken.py").write_text("from airflow.sdk import DAG\nDAG(\n")
    failed = run(airflow_rest, script, project, GITHUB_ACTIONS="true")
    assert failed.returncode == 1
    assert failed.stdout.startswith("::error file=dags/broken.py,line=2::")


@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_what_the_pipelines_run_runs(airflow_rest: CommandLine, project: Path):
    github = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
    gitlab = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
    lines = [step["run"] for step in github["jobs"]["deploy"]["steps"] if "run" in step]
    lines += [line for job in gitlab.values() for line in job.get("script", ())]
    ours = [line for line in lines if line.startswith("airflow-rest ")]

    assert len(ours) == 4
    for line in ours:
        done = run(airflow_rest, line, project)
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_a_check_does_not_take_the_place_of_a_deployment_that_waits():
    github = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
    # Of a pull request it is another one than that of the branch.
    assert "${{ github.ref }}" in github["jobs"]["deploy"]["concurrency"]


def test_the_pipelines_keep_the_password_out_of_their_lines():
    for path in EXAMPLES.iterdir():
        text = path.read_text()
        assert "--password" not in text
    assert os.access(EXAMPLES / "deploy.sh", os.X_OK)
