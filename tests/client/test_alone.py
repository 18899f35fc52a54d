"""The client by itself: its own tests in an environment that has no Airflow, and what it needs of ours."""

from __future__ import annotations

import json
import subprocess
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from airflow_rest_api import __version__
from airflow_rest_api.api.catalog import CatalogCommand
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_client import Client
from airflow_rest_client import __version__ as client_version
from airflow_rest_client.cli import OWN
from airflow_rest_client.commands import python_name
from tests.servers import require_client
from tools.dist import CLIENT, build_wheel

ARGUMENTS = Path(__file__).resolve().parents[1] / "data" / "arguments"


@pytest.mark.slow
def test_the_clients_own_tests_hold_where_there_is_no_airflow():
    python = require_client() / "bin" / "python"
    none = subprocess.run([str(python), "-c", "import airflow"], capture_output=True, check=False)
    assert none.returncode == 1
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
def test_the_wheel_needs_httpx_and_nothing_else(tmp_path: Path):
    with zipfile.ZipFile(build_wheel(tmp_path, CLIENT)) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        needed = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
        assert "airflow_rest_client/py.typed" in archive.namelist()

    assert [one for one in needed if "extra ==" not in one] == ["httpx>=0.27"]


@pytest.mark.parametrize("version", ["3.0", "3.1", "3.2", "3.3"])
def test_no_group_or_command_of_any_airflow_has_the_name_of_a_word_of_our_own(version: str):
    commands = json.loads((ARGUMENTS / f"airflow-{version}.json").read_text())
    first = {name.split()[0] for name in commands}

    assert first & set(OWN) == set()
    members = {name for name in dir(Client) if not name.startswith("_")} | {"catalog", "services", "url"}
    assert {python_name(name) for name in first} & members == set()


def test_the_catalog_of_the_clients_tests_is_that_of_a_server():
    kept = json.loads((CLIENT / "tests" / "catalog.json").read_text())
    for command in kept["commands"]:
        assert command == CatalogCommand.of(load_catalog().commands[command["name"]]).model_dump(mode="json")


def test_plugin_and_client_have_one_version():
    assert client_version == __version__
