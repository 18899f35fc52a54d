"""A real Airflow with the DAGs of the recording."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.legacy.client import Client
from tests.legacy.recording import Places
from tests.stacks import STORED_AT_ONCE, Stack

COMPONENTS = ("api-server", "scheduler", "dag-processor")
"""None of the DAGs waits for a trigger."""
DAGS = Path(__file__).parent.parent / "data" / "legacy" / "dags"


@pytest.fixture(scope="session")
def exchange_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exchange")
    (folder / "import.json").write_text('{"imported_1": "a", "imported_2": {"b": 1}}')
    return folder


@pytest.fixture(scope="package")
def places(client: Client, exchange_folder: Path) -> Places:
    return Places(str(exchange_folder), str(client.stack.dags), socket.gethostname())


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory, exchange_folder: Path) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("replay")
    dags = home / "dags"
    shutil.copytree(DAGS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    (dags / "other.py").write_text("# airflow, but no DAG in it\n")
    expect = ("golden_basic", "golden_param", "golden_fail", "golden_chatty")
    env = {"AIRFLOW__REST_API_PLUGIN__EXCHANGE_FOLDER": str(exchange_folder), **STORED_AT_ONCE}
    with Stack(home / "airflow", components=COMPONENTS, dags=dags, env=env, expect=expect) as stack:
        yield Client(stack)
