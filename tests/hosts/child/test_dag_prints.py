from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.operations.log_lines import without_log_lines

pytestmark = pytest.mark.slow

DAG_FILE = """
import os, subprocess, sys
from airflow.sdk import DAG
print("by print")
os.write(1, b"by descriptor\\n")
sys.stdout.write("half a line")
subprocess.run(["echo", "by a program"], check=True)
with DAG("d", schedule=None):
    pass
{then}
"""

SCRIPT = """
import json, sys
from airflow_rest_api.hosts.child import dag_prints
from airflow.dag_processing.dagbag import DagBag
dag_prints.to_stderr()
print("before ", end="")
bag = DagBag(sys.argv[1])
print("behind")
print(json.dumps([sorted(bag.dags), len(bag.import_errors)]))
"""


def parsed(file: Path, then: str = "") -> tuple[list[str], Any, str]:
    """Return what a process that parses a DAG file prints, what it found, and its stderr."""
    file.write_text(DAG_FILE.format(then=then))
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *lines, found = without_log_lines(done.stdout.replace("before ", "before\n")).splitlines()
    return lines, json.loads(found), done.stderr


WORDS = ("by print\n", "by descriptor\n", "half a line", "by a program\n")


def test_whatever_a_dag_file_prints_is_in_stderr(tmp_path: Path) -> None:
    stdout, found, stderr = parsed(tmp_path / "d.py")
    assert (stdout, found) == (["before", "behind"], [["d"], 0])
    for words in WORDS:
        assert words in stderr


def test_stdout_is_what_it_was_behind_a_file_that_cannot_be_imported(tmp_path: Path) -> None:
    stdout, found, stderr = parsed(tmp_path / "d.py", "raise ValueError('broken')")
    assert (stdout, found) == (["before", "behind"], [[], 1])
    for words in WORDS:
        assert words in stderr
