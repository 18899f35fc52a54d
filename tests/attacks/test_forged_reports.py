"""A DAG file that writes on the socket of the command that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

# Airflow looks into files with the words "airflow" and "dag" alone.
FORGES = """# a dag of airflow
import json, os, struct

def say(body):
    os.write(3, struct.pack("!I", len(body)) + body)

try:
    for message in ({"exit_code": "x"}, {"exit_code": 10**30}, {"secrets": [1]}, {"exit_code": None}):
        say(json.dumps(message).encode())
except OSError:
    pass
"""
FLOODS = """# a dag of airflow
import os

try:
    os.write(3, b"\\xff" * 8)
    while os.environ.get("COLUMNS"):
        os.write(3, b"\\xff" * 65536)
except OSError:
    pass
"""


@pytest.mark.parametrize(
    ("code", "state"), [(FORGES, "succeeded"), (FLOODS, "failed")], ids=["forged", "flood"]
)
def test_what_a_dag_file_forges_harms_its_own_command_alone(
    attacked: Stack, admin: Client, viewer: Client, code: str, state: str
):
    file = Path(attacked.dags) / "forging.py"
    file.write_text(code)
    try:
        ran = admin.post("/commands/dags/report", json={}, headers={"Prefer": "wait=110"})
    finally:
        file.unlink()

    assert ran.status_code == 200, ran.text
    assert ran.json()["state"] == state, ran.text
    assert ran.json()["exit_code"] == (0 if state == "succeeded" else None)
    if state == "succeeded":
        assert "forging.py" in ran.text
    for page in (admin.get("/operations"), viewer.get("/operations")):
        assert page.status_code == 200
    assert admin.get(f"/operations/{ran.json()['id']}").json()["state"] == state
