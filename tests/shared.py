"""
Stacks that several files share, each of which makes what it needs under names of its own.

They end with the unit that uses them (`stop_all`). A worker may get two units that use the same one: a
fixture of a module starts it again, one of the session would give a stack that has been stopped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.databases import database_of_our_own
from tests.stacks import STORED_AT_ONCE, Stack

DATA = Path(__file__).parent / "data"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ACCOUNTS = Path(__file__).parent / "security" / "fab_accounts.py"
CONF = {"host": "db", "password": "hunter22"}
"""What the variable env_conf of the stack with Flask-AppBuilder holds."""
RAN = "ran"
"""The file beside the DAGs folder of the scheduled stack into which its tasks write."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """An API server below a path and a DAG processor, with the examples."""
    return _shared("examples", lambda: _of_examples(tmp_path_factory))


def _of_examples(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    env = {
        # The first command of a server has the warm parent to wait for.
        "AIRFLOW__REST_API_PLUGIN__DEFAULT_WAIT": "110",
        **STORED_AT_ONCE,
    }
    return Stack(
        tmp_path_factory.mktemp("examples") / "home",
        components=("api-server", "dag-processor"),
        prefix="/airflow",
        expect=("example_template", "example_slow"),
        env=env,
    )


@pytest.fixture(scope="module")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """An API server below a path, and nothing else: no DAG, and nobody who would parse one."""
    return _shared("api-server", lambda: _of_api_server(tmp_path_factory))


def _of_api_server(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("api-server")
    (folder / "dags").mkdir()
    return Stack(folder / "home", components=("api-server",), dags=folder / "dags", prefix="/airflow")


# One after the other, which a fixture of a module would not be: of one unit alone.
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
        yield _shared(f"scheduled-{request.param}", lambda: stack)
        _running.pop(f"scheduled-{request.param}", stack).stop()


@pytest.fixture(scope="module")
def fab(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """An API server with Flask-AppBuilder and the DAGs of `permissions`; some destructive commands are on."""
    return _shared("fab", lambda: _of_fab(tmp_path_factory))


def _of_fab(tmp_path_factory: pytest.TempPathFactory) -> Stack:
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
    return Stack(folder / "home", components=("api-server",), dags=folder / "dags", env=env)


_running: dict[str, Stack] = {}


def _shared(name: str, make: Callable[[], Stack]) -> Stack:
    if name not in _running:
        stack = make()
        try:
            stack.start()
        except BaseException:
            stack.stop()
            raise
        _running[name] = stack
    return _running[name]


def stop_all() -> None:
    """Stop the stacks: the tests that share them are over, which may be long before the session is."""
    while _running:
        _running.popitem()[1].stop()


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
