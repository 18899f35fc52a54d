from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.operations.result import without_log_lines

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
from airflow_rest_api.airflow.child import printing
from airflow.dag_processing.dagbag import DagBag
printing.dag_files_to_stderr()
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


PAUSING = """
import sys
from airflow_rest_api.airflow.child import printing
printing.paused_as(sys.argv[1] == "True")
from airflow.cli.simple_table import AirflowConsole
rows = [{"dag_id": "a", "is_paused": "before"}, {"dag_id": "b", "is_paused": "before"}]
AirflowConsole().print_as(data=rows, output=sys.argv[2])
row = lambda name: {"dag_id": name, "is_paused": "before"}
AirflowConsole().print_as(data=["c"], output=sys.argv[2], mapper=row)
AirflowConsole().print_as(data=[], output=sys.argv[2])
"""


def printed(paused: bool, output: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PAUSING, str(paused), output], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("paused", [True, False])
def test_every_row_says_the_state_after(paused: bool) -> None:
    several, one, none = (json.loads(line) for line in printed(paused, "json"))
    assert several == [{"dag_id": name, "is_paused": str(paused)} for name in "ab"]
    assert one == [{"dag_id": "c", "is_paused": str(paused)}]
    assert none == []


def test_so_does_a_table() -> None:
    lines = [line for line in printed(True, "plain") if line.strip()]
    assert [line.split() for line in lines] == [
        ["dag_id", "is_paused"],
        ["a", "True"],
        ["b", "True"],
        ["dag_id", "is_paused"],
        ["c", "True"],
        ["No", "data", "found"],
    ]
