"""What of Airflow is imported outside the package that knows its versions has to exist in each of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module, util
from pathlib import Path

import pytest

import airflow_rest_api

ROOT = Path(airflow_rest_api.__file__).parent
COMPAT = ROOT / "airflow" / "compat"

OPTIONAL = {
    "airflow.providers.fab": "Flask-AppBuilder's auth manager, where that is installed",
}
"""Packages without which the plugin works, and when they are imported."""


IMPORTING = re.compile(r"^\s*(?:from|import)\s+airflow\b", re.MULTILINE)

FILES = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.py")
    if not path.is_relative_to(COMPAT) and IMPORTING.search(path.read_text())
)


def imports(file: str) -> Iterator[tuple[str, str, str]]:
    """Yield each import of a name of Airflow's in a file: place, module, name."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        place = f"{file}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [(str(node.module), alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            if module.partition(".")[0] == "airflow":
                yield place, module, name


def installed(module: str) -> bool:
    return not any(module.startswith(package) and util.find_spec(package) is None for package in OPTIONAL)


def exists(module: str, name: str) -> bool:
    try:
        home = import_module(module)
    except ImportError:
        return False
    if not name or hasattr(home, name):
        return True
    return hasattr(home, "__path__") and util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("file", FILES)
def test_what_is_imported_anywhere_is_there_in_this_version(file: str):
    missing = [
        f"{place}: no {name} in {module} here"
        for place, module, name in imports(file)
        if installed(module) and not exists(module, name)
    ]
    assert missing == [], "a matter for airflow_rest_api.airflow.compat"


def test_what_every_version_has_is_looked_for():
    assert sum(1 for file in FILES for _ in imports(file)) > 100


def test_a_name_that_a_module_lacks_is_not_there():
    assert not exists("airflow.utils.cli", "no_such_name")
    assert not exists("airflow.no_such_module", "")
