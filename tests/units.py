"""What one worker of pytest-xdist gets as a whole, and in which order."""

from __future__ import annotations

from pathlib import Path

TOGETHER = ("legacy", "cluster", "airflow", "attacks", "client")
"""Folders whose files share an Airflow, or an engine: one worker has them all, and starts it once."""

SHARING = {
    "scheduled": ("airflow/child/test_beside_a_scheduler.py", "test_examples.py"),
    "fab": ("dag_files/test_real.py", "security/test_fab.py"),
    "examples": ("browser", "server"),
    "api_server": ("api/test_dag_refresh.py", "demo/test_stack.py"),
}
"""Files, and folders, that share one of the stacks of `tests.shared`."""

LONG = (
    "examples",
    "legacy",
    "cluster",
    "services/test_real.py",
    "legacy/test_components.py",
    "attacks",
    "scheduled",
    "fab",
    "runners/test_strain.py",
    "parity/test_parity.py",
    "client",
    "client/test_parity.py",
    "dist/test_standalone.py",
    "runners/test_worker.py",
    "api_server",
    "demo/test_demo.py",
    "airflow",
)
"""What takes longest comes first: the closing lines of a run show how long each took (`units`)."""

_FILES = {f"tests/{name}" for name in LONG}
_SHARING = {f"tests/{file}": f"tests/{name}" for name, files in SHARING.items() for file in files}
_ORDER = [f"tests/{name}" for name in LONG]


def unit(nodeid: str) -> str:
    """Return what a test belongs to: its file, its folder, or the stack that it shares."""
    file = nodeid.partition("::")[0]
    folder = Path(file).parent
    for shares in (file, str(folder)):
        if shares in _SHARING:
            return _SHARING[shares]
    return str(folder) if folder.name in TOGETHER and file not in _FILES else file


def place(nodeid: str) -> int:
    """Return when its turn is, so that no worker is left with what takes long in the end."""
    name = unit(nodeid)
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
