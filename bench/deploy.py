"""From a DAG file to a DAG that can be triggered: our deployment, and the DAG processor when asked itself."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from uuid import uuid4

from bench.client import PLUGIN, Client, Unexpected
from bench.figures import differences, ms
from bench.rows import Call
from demo.stack import Stack

DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("{0}", schedule=None):
    EmptyOperator(task_id="t")
"""
BUNDLE = "dags-folder"
PATIENCE = 120.0
PAUSE = 0.05
"""Seconds between two looks at whether the DAG is there."""

HEADERS = ("new DAG file until it can be triggered", "ms", "slowest")


@dataclass
class Deployments:
    """
    Seconds; what stands at the same place of two lists was measured in the same round.

    :ivar rest: `POST /v2/dag-files` with `wait`: checked, stored, parsed
    :ivar asked: put into the folder by hand, and the DAG processor asked by Airflow's priority parsing
    """

    rest: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    def cells(self) -> list[list[str]]:
        """Return the rows under `HEADERS`."""
        rows = (
            ("deployed over REST, checked, with wait", self.rest),
            ("put into the folder, DAG processor asked", self.asked),
            ("difference", differences(self.rest, self.asked)),
        )
        return [[name, ms(median(seconds)), ms(max(seconds))] for name, seconds in rows]


def measure_deployments(stack: Stack, client: Client, runs: int) -> Deployments:
    """Bring new files to Airflow in both ways, by turns; raise Unexpected where one does not arrive."""
    found = Deployments()
    for _ in range(runs):
        found.rest.append(_timed(client, lambda name: _deploy(client, name)))
        found.asked.append(_timed(client, lambda name: _ask(stack, client, name)))
    return found


def _timed(client: Client, put: Callable[[str], None]) -> float:
    name = f"bench_{uuid4().hex[:12]}"
    started = time.perf_counter()
    put(name)
    client.own(Call("POST", f"dags/{name}/dagRuns", {"logical_date": None}))
    return time.perf_counter() - started


def _deploy(client: Client, name: str) -> None:
    boundary = uuid4().hex
    parts = [
        f'name="file"; filename="{name}.py"\r\nContent-Type: text/x-python\r\n\r\n{DAG.format(name)}',
        'name="wait"\r\n\r\ntrue',
    ]
    text = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Prefer": f"wait={PATIENCE:.0f}"}
    answer = client.send("POST", f"{PLUGIN}/v2/dag-files", f"{text}--{boundary}--\r\n".encode(), headers)
    if answer.status != 200 or answer.body["state"] != "succeeded":
        raise Unexpected(f"deploying {name}: {answer.status} {answer.body}")


def _ask(stack: Stack, client: Client, name: str) -> None:
    write(stack.dags, f"{name}.py", DAG.format(name))
    request(stack.database, f"{name}.py")
    end = time.monotonic() + PATIENCE
    while client.send("GET", f"api/v2/dags/{name}").status != 200:
        if time.monotonic() > end:
            raise Unexpected(f"the DAG processor has not parsed {name}.py in {PATIENCE:.0f} s")
        time.sleep(PAUSE)


def write(folder: Path, name: str, content: str) -> None:
    """Put a file into a folder in one step."""
    part = folder / f".{name}.part"
    part.write_text(content)
    os.replace(part, folder / name)


def request(database: Path, path: str) -> None:
    """Ask for a file as Airflow's REST API does, which takes only files that it knows."""
    # The id as in `airflow.models.dagbag.generate_md5_hash`.
    identifier = hashlib.md5(f"{BUNDLE}:{path}".encode(), usedforsecurity=False).hexdigest()
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.execute(
            "INSERT INTO dag_priority_parsing_request (id, bundle_name, relative_fileloc) VALUES (?, ?, ?)",
            (identifier, BUNDLE, path),
        )
