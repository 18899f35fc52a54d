"""An Airflow of the tests' own, never the one of whoever runs them; set before anything imports Airflow."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.databases import drop_databases
from tests.shared import api_server, examples, fab, scheduled, stop_all
from tests.stacks import DATABASE, Stack
from tests.timing import WORKER, note_processors, note_unit, notes, summary
from tests.units import place, unit
from tests.versions import differs

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

# What is read before the first test stays: a third of the time went into looking at it again and again.
gc.disable()

HOME = tempfile.mkdtemp(prefix="airflow-rest-api-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# A shell that is set up for another Airflow must not lend its database to the tests.
for name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONFIG"))]:
    del os.environ[name]
os.environ.update(
    {
        "AIRFLOW_HOME": HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,op:op,user:user,viewer:viewer",
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
        # The first task of an API server waits for Airflow to build its execution API: on a busy machine
        # longer than the five seconds, five times, after which Airflow calls the task failed.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
    }
)

__all__ = ["api_server", "examples", "fab", "scheduled"]

DATABASE_SERVERS = {"postgresql", "mariadb"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs once more on a database server: `make check` is content with SQLite."""
    # It imports Airflow, which takes its places from the environment then.
    from airflow_rest_api.airflow.compat.version_compat import base_version

    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is not None and DATABASE_SERVERS & {str(value) for value in parameters.params.values()}:
            item.add_marker("server")
        if (reason := differs(item.nodeid, base_version()[:2], DATABASE)) is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
        # The first test of a file or folder waits for its Airflow, which counts as its own time.
        if item.get_closest_marker("airflow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))
    items.sort(key=lambda item: (place(item.nodeid), item.get_closest_marker("airflow") is None))


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what comes from now on, and not at all that was read."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Give a token a name that is the same in each worker."""
    return "token" if isinstance(val, str) and val.startswith("eyJ") else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have no test start an Airflow unsaid."""
    Stack.marked = item.get_closest_marker("airflow") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End what a unit shares with it, and write down what it has used."""
    last = nextitem is None or unit(nextitem.nodeid) != unit(item.nodeid)
    if last:
        stop_all()
    yield
    if last:
        note_unit(unit(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Hand out units as a whole."""
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return Units(config, log)


def pytest_sessionfinish() -> None:
    """End what runs, write down what this process has used; the last one removes what all have shared."""
    stop_all()
    note_processors()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        drop_databases()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Show what tests measured without asserting it, and where the time went.

    A test measures with `record_property("measured", text)`.
    """
    tests = []
    for outcome in ("", "passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if not isinstance(report, pytest.TestReport):
                continue
            node = getattr(report, "node", None)
            worker = node.gateway.id if node is not None else WORKER
            tests.append((worker, report.nodeid.partition("::")[0], report.duration))
            for name, value in report.user_properties:
                if name == "measured" and outcome == "passed":
                    terminalreporter.write_line(f"Measured: {value}")
    terminalreporter.write_sep("-", "where the time went")
    for line in summary(tests, notes()):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def models() -> None:
    """
    Connect Airflow's models before a thread of a test asks for one, as an API server does.

    The audit of a test may write when the next test imports Airflow: both would wait for ever.
    """
    from airflow_rest_api.airflow import installation

    installation.load_models()


@pytest.fixture
def fernet_key() -> Iterator[None]:
    """A Fernet key, with which is kept what shows secrets and what runners are sent."""
    from cryptography.fernet import Fernet

    from tests.standin import fernet_keys

    with fernet_keys() as use:
        use(Fernet.generate_key().decode())
        yield
