from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
from argparse import Namespace
from airflow_rest_api.airflow.child import command_rows
command_rows.shorten()
from airflow.utils import cli
sys.argv = ["airflow", *json.load(sys.stdin)]
made = cli._build_metrics("dag_pause", Namespace(dag_id=sys.argv[-1], task_id=None))
print(json.dumps({name: made[name] for name in ("full_command", "dag_id", "task_id", "sub_command")}))
"""


def built(*words: str) -> dict[str, str]:
    asked = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(asked, input=json.dumps(words), check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_row_of_airflows_own_is_as_it_was_where_it_is_short():
    assert built("dags", "pause", "a") == {
        "full_command": "['airflow', 'dags', 'pause', 'a']",
        "dag_id": "a",
        "task_id": None,
        "sub_command": "dag_pause",
    }


@pytest.mark.parametrize("letter", ["x", "ä", "😀"])
def test_a_row_of_airflows_own_is_short_whatever_is_asked_for(letter: str):
    found = built(*[letter * 700] * 20)
    assert len(json.dumps(found["full_command"])) <= 1200
    assert len(found["dag_id"]) <= 250
    assert len(found["dag_id"].encode()) <= 500
    assert found["full_command"].endswith("…")
    assert found["dag_id"].endswith("…")
