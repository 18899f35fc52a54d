"""The functions of the installed Airflow that run its commands, and what their source says of DAG files."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from airflow_rest_api.commands.discovery import leaves

PARSES = frozenset(
    {"BundleDagBag", "DagBag", "get_bagged_dag", "get_dag", "get_dag_by_file_location", "get_dags"}
)
"""What of Airflow's imports DAG files, or makes a bag that does."""

FROM_DATABASE = frozenset({"from_db", "read_dags_from_db"})
"""Arguments of these with which they read the database, unless `use_regex` has `get_dags` parse."""


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield each command with the function that runs it, without what is around that."""
    from airflow.cli.cli_parser import get_parser

    for path, leaf, _ in leaves(get_parser()):
        function = leaf.get_default("func")
        lazy = inspect.getclosurevars(function).nonlocals.get("import_path")
        if lazy is not None:
            module, _, name = lazy.rpartition(".")
            function = getattr(import_module(module), name)
        if isinstance(function, partial):
            function = function.func
        yield " ".join(path), inspect.unwrap(function)


def parses(function: Callable[..., Any], seen: frozenset[str] = frozenset()) -> set[str | None]:
    """
    Return the arguments of a command with which its function parses DAG files; None for without any.

    Functions that it calls are followed where they are in modules of commands.
    """
    if function.__qualname__ in seen:
        return set()
    seen |= {function.__qualname__}
    found: set[str | None] = set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for call, given in _calls(tree, None):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        called = inspect.unwrap(function.__globals__.get(name, print))
        if name in PARSES and (isinstance(call.func, ast.Name) or name.endswith("Bag")):
            found |= _of_call(call, given)
        elif inspect.isfunction(called) and called.__module__.startswith("airflow.cli.commands."):
            found |= {given or inner for inner in parses(called, seen)}
    return found


def _of_call(call: ast.Call, given: str | None) -> set[str | None]:
    if not any(keyword.arg in FROM_DATABASE for keyword in call.keywords):
        return {given}
    pattern = [keyword.value for keyword in call.keywords if keyword.arg == "use_regex"]
    return {given or _argument(value) for value in pattern}


def _calls(node: ast.AST, given: str | None) -> Iterator[tuple[ast.Call, str | None]]:
    """Yield each call, with the argument of the command without which it is not reached."""
    if isinstance(node, ast.Call):
        yield node, given
    needs = _argument(node.test) if isinstance(node, ast.If) else None
    for part, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _calls(child, given or needs if part == "body" else given)


def _argument(node: ast.expr) -> str | None:
    """Return `x` of `args.x`."""
    of_args = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "args"
    return node.attr if of_args else None  # type: ignore[attr-defined]
