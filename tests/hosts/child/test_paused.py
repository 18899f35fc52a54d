from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from airflow_rest_api.hosts.child import paused
paused.shown_as(sys.argv[1] == "True")
from airflow.cli.simple_table import AirflowConsole
rows = [{"dag_id": "a", "is_paused": "before"}, {"dag_id": "b", "is_paused": "before"}]
AirflowConsole().print_as(data=rows, output=sys.argv[2])
row = lambda name: {"dag_id": name, "is_paused": "before"}
AirflowConsole().print_as(data=["c"], output=sys.argv[2], mapper=row)
AirflowConsole().print_as(data=[], output=sys.argv[2])
"""


def printed(paused: bool, output: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(paused), output], check=True, capture_output=True, text=True
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
