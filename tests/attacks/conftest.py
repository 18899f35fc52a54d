"""An API server to attack, and what attackers use."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.server.conftest import Client
from tests.stacks import Stack

BODY_TIMEOUT = 3
DAG = """
from airflow.sdk import DAG

with DAG("attacked", schedule=None):
    pass
"""


@pytest.fixture(scope="session")
def exchange_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exchange")


@pytest.fixture(scope="package")
def attacked(tmp_path_factory: pytest.TempPathFactory, exchange_folder: Path) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("attacked")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "attacked.py").write_text(DAG)
    env = {
        "AIRFLOW__REST_API_PLUGIN__EXCHANGE_FOLDER": str(exchange_folder),
        "AIRFLOW__REST_API_PLUGIN__BODY_TIMEOUT": str(BODY_TIMEOUT),
        "AIRFLOW__REST_API_PLUGIN__MAX_UPLOAD": str(4 * 1024 * 1024),
        # Even that a user gets a password.
        "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*, users create",
        # Whatever is logged at all must be clean.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    with Stack(folder / "home", components=("api-server",), dags=dags, env=env) as stack:
        yield stack


@pytest.fixture(scope="package")
def admin(attacked: Stack) -> Iterator[Client]:
    with Client(attacked) as client:
        # Makes the DAG known without a DAG processor.
        done = client.post("/commands/dags/reserialize", json={}, headers={"Prefer": "wait=110"}).json()
        assert done["state"] == "succeeded", done
        yield client


@pytest.fixture(scope="package")
def viewer(attacked: Stack) -> Iterator[Client]:
    with Client(attacked, "viewer") as client:
        yield client


@pytest.fixture(scope="package")
def legacy(attacked: Stack, admin: Client) -> Iterator[httpx.Client]:
    """Return a client of the 1.x endpoint, `api`."""
    headers = {"Authorization": admin.headers["Authorization"]}
    with httpx.Client(base_url=f"{attacked.url}/admin/rest_api", headers=headers, timeout=120) as client:
        yield client


@contextlib.contextmanager
def raw(stack: Stack) -> Iterator[socket.socket]:
    """Open a connection that sends what no proper client does."""
    address = urlsplit(stack.url)
    with socket.create_connection(("127.0.0.1", address.port or 80), timeout=90) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """Return what comes until the other side is silent or gone."""
    parts = []
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            parts.append(part)
            if b"\r\n\r\n" in b"".join(parts):
                break
    return b"".join(parts)


def server_pids(stack: Stack) -> set[int]:
    """Return the processes of the web server itself: those of the engine are not among them."""
    server = next(one for one in stack.components if one.name == "api-server")
    root = psutil.Process(server.process.pid)
    everything = [root, *root.children(recursive=True)]
    return {one.pid for one in everything if _is_server(one)}


def _is_server(process: psutil.Process) -> bool:
    try:
        return "airflow_rest_api.engine" not in " ".join(process.cmdline())
    except psutil.Error:
        return False  # it has just ended: a child of the engine
