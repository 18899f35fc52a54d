"""Stacks that several files share, each of which makes what it needs under names of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.databases import database_of_our_own
from tests.stacks import Stack

DATA = Path(__file__).parent / "data"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ACCOUNTS = Path(__file__).parent / "security" / "fab_accounts.py"
CONF = {"host": "db", "password": "hunter22"}
"""What the variable env_conf of the stack with Flask-AppBuilder holds."""
RAN = "ran"
"""The file beside the DAGs folder of the scheduled stack into which its tasks write."""


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API server below a path and a DAG processor, with the examples."""
    env = {
        # The first command of a server has the warm parent to wait for.
        "AIRFLOW__REST_API_PLUGIN__DEFAULT_WAIT": "110",
        # A DAG that changes twice is stored twice, at once.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    }
    stack = Stack(
        tmp_path_factory.mktemp("examples") / "home",
        components=("api-server", "dag-processor"),
        prefix="/airflow",
        expect=("example_template", "example_slow"),
        env=env,
    )
    with _running(stack):
        yield stack


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API server below a path, and nothing else: no DAG, and nobody who would parse one."""
    folder = tmp_path_factory.mktemp("api-server")
    (folder / "dags").mkdir()
    with _running(
        Stack(folder / "home", components=("api-server",), dags=folder / "dags", prefix="/airflow")
    ) as stack:
        yield stack


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def scheduled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole Airflow with the DAGs of `tests_of_dags`."""
    folder = tmp_path_factory.mktemp(f"scheduled-{request.param}")
    _copy(DATA / "tests_of_dags", folder / "dags")
    (folder / RAN).touch()
    env = {"RAN": str(folder / RAN), "AIRFLOW__REST_API_PLUGIN__DEFAULT_WAIT": "110"}
    expect = ("tested", "waits", "failing", "maker", "whole", "broken", "long")
    with database_of_our_own(request.param, folder) as address:
        database = None if request.param == "sqlite" else address
        stack = Stack(folder / "home", dags=folder / "dags", env=env, expect=expect, database=database)
        with _running(stack):
            yield stack


@pytest.fixture(scope="session")
def fab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API server with Flask-AppBuilder and the DAGs of `permissions`; some destructive commands are on."""
    folder = tmp_path_factory.mktemp("fab")
    shutil.copytree(
        DATA / "permissions" / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__")
    )
    env = {
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        # Those of the database are not within reach of Airflow's own command for templates.
        "AIRFLOW_VAR_ENV_CONF": json.dumps(CONF),
        "AIRFLOW_VAR_ENV_PASSWORD": "hunter23",
        "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*,dags delete,db clean,roles *-perms",
        "AIRFLOW__REST_API_PLUGIN__DEPLOY_FOLDERS": "dags-folder/team_a, dags-folder/team_b",
    }
    with _running(Stack(folder / "home", components=("api-server",), dags=folder / "dags", env=env)) as stack:
        yield stack


_stacks: list[Stack] = []


@contextmanager
def _running(stack: Stack) -> Iterator[Stack]:
    with stack:
        _stacks.append(stack)
        yield stack


def stop_all() -> None:
    """Stop the stacks: the tests that share them are over, which may be long before the session is."""
    while _stacks:
        _stacks.pop().stop()


def _copy(source: Path, to: Path) -> None:
    shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))


def add_accounts(
    stack: Stack, roles: Mapping[str, Sequence[tuple[str, str]]], users: Mapping[str, str]
) -> None:
    """Add roles, each with pairs of action and resource, and users with a role, where they are not there."""
    accounts = {
        "roles": roles,
        "users": {
            name: (role, stack.passwords.setdefault(name, f"{name}-password")) for name, role in users.items()
        },
    }
    run(stack, [sys.executable, str(ACCOUNTS)], json.dumps(accounts))


def run(stack: Stack, words: Sequence[str], given: str = "") -> None:
    """Run a program with the stack's environment."""
    done = subprocess.run(
        words, env=stack.environment, input=given, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def airflow(stack: Stack, *arguments: str) -> None:
    """Run an `airflow` command on a stack."""
    run(stack, [str(Path(sys.executable).with_name("airflow")), *arguments])
