"""
What Airflow's own command line prints, as it was recorded: a new process for each line takes minutes.

There is a record for a version of Python; `make parity` makes it anew. What it depends on is hashed: a
record of another Airflow, script or DAG file is not taken for this one's.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import distributions
from pathlib import Path

from tests.parity.running import DAGS, ENVIRONMENT, End, Ends
from tests.parity.script import LANES, OF_THE_MACHINE

RECORDS = DAGS.parent
RECORD = RECORDS / f"python-{sys.version_info[0]}.{sys.version_info[1]}.json"

AIRFLOW = "apache-airflow"
HOW_TO = "look at what `make parity` shows, and take it over with `make parity ARGS=--write`"


class Stale(Exception):
    """The record is of something else; the message says what to do."""


def key() -> str:
    """Return a hash of all that the record depends on: Airflow with its providers, the script, its files."""
    packages = {
        f"{one.name}=={one.version}" for one in distributions() if one.name.startswith("apache-airflow")
    }
    parts = [*sorted(packages), json.dumps([LANES, sorted(OF_THE_MACHINE), ENVIRONMENT])]
    for path in (*sorted(DAGS.rglob("*.py")), Path(__file__).with_name("normal.py")):
        parts += [path.name, path.read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(path: Path = RECORD) -> Ends:
    """
    Return the record of this interpreter.

    :raises Stale: it was made with another Airflow, or of another script
    """
    kept = json.loads(path.read_text())
    if kept["key"] != key():
        raise Stale(f"{path.name} was recorded with another Airflow, script or DAG file: {HOW_TO}")
    return {
        (one["lane"], one["number"]): End(
            one["exit_code"],
            "".join(one["stdout"]),
            "".join(one["stderr"]),
            {name: "".join(text) for name, text in one["files"].items()},
        )
        for one in kept["ends"]
    }


def write(ends: Ends, path: Path = RECORD) -> None:
    """Keep a record, with a line of text in a line of its own."""
    kept = [
        {
            "lane": lane,
            "number": number,
            "line": LANES[lane][number],
            "exit_code": end.exit_code,
            "stdout": end.stdout.splitlines(keepends=True),
            "stderr": end.stderr.splitlines(keepends=True),
            "files": {name: text.splitlines(keepends=True) for name, text in end.files.items()},
        }
        for (lane, number), end in ends.items()
    ]
    path.write_text(f"{json.dumps({'key': key(), 'ends': kept}, indent=1, ensure_ascii=False)}\n")
