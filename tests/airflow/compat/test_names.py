"""What of Airflow is imported outside the package that knows its versions has to exist in each of them."""

from __future__ import annotations

import ast
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


def imports() -> Iterator[tuple[str, str, str]]:
    """Yield each import of a name of Airflow's outside the package for its versions: place, module, name."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.is_relative_to(COMPAT):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                found = [(alias.name, "") for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = [(str(node.module), alias.name) for alias in node.names]
            else:
                continue
            for module, name in found:
                if module.partition(".")[0] == "airflow":
                    yield place, module, name


IMPORTS = sorted(set(imports()))


def exists(module: str, name: str) -> bool:
    try:
        home = import_module(module)
    except ImportError:
        return False
    return not name or hasattr(home, name) or util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize(("place", "module", "name"), IMPORTS)
def test_what_is_imported_anywhere_is_there_in_this_version(place: str, module: str, name: str):
    if any(module.startswith(package) and util.find_spec(package) is None for package in OPTIONAL):
        pytest.skip("the provider is not installed")
    assert exists(module, name), (
        f"{place}: no {name} in {module} here: a matter for airflow_rest_api.airflow.compat"
    )


def test_what_every_version_has_is_looked_for():
    assert len(IMPORTS) > 100
