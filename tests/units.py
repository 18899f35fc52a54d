"""What one worker of pytest-xdist gets as a whole, and in which order."""

from __future__ import annotations

from pathlib import Path

TOGETHER = ("browser", "legacy", "cluster", "server", "airflow", "attacks")
"""Folders whose files share an Airflow, or an engine: one worker has them all, and starts it once."""

LONG = (
    "parity/test_parity.py",
    "services/test_real.py",
    "legacy/test_components.py",
    "api/test_dag_refresh.py",
    "test_examples.py",
    "dist/test_standalone.py",
)
"""Files that take minutes, each with an Airflow of its own."""

_FILES = {f"tests/{name}" for name in LONG}
_ORDER = [f"tests/{name}" for name in (*LONG, *TOGETHER)]


def unit(nodeid: str) -> str:
    """Return what a test belongs to: its file, or its folder."""
    file = nodeid.partition("::")[0]
    folder = Path(file).parent
    return str(folder) if folder.name in TOGETHER and file not in _FILES else file


def place(nodeid: str) -> int:
    """Return when its turn is: what takes long comes first, so that no worker is left with it in the end."""
    name = unit(nodeid)
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
