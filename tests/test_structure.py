"""How the code is laid out: what may import what, how large a module is, and that a name means one thing."""

from __future__ import annotations

import ast
import builtins
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import airflow_rest_api
from tests.sources import nodes
from tools import module_docs

SOURCE = Path(airflow_rest_api.__file__).parent
HERE = Path(__file__).parent.parent
NAME = "airflow_rest_api"

ORDER = (
    ("",),
    ("storage",),
    ("airflow", "commands", "engine"),
    ("security",),
    ("operations",),
    ("services", "dag_files"),
    ("api",),
    ("legacy",),
    ("web", "runners"),
)
"""The packages, from the lowest: each imports those of its own line and below. "" is what lies beside."""

TOP = {"app", "plugin", "provider", "uninstall", "__main__"}
"""The modules beside the packages that put all together: they import anything, and nothing imports them."""

WEB = ("api", "legacy", "security", "web")
"""Where a web framework may be imported."""

LONGEST = 450
"""Lines of a module."""

WORTH_A_HEADER = 120
"""Lines from which a module with one importer stands for itself."""

OLD_WORDS = (
    "aside beat beats bury conduct conductor door doors ear hears heard heart house keeper knock lately "
    "lease letter mouth nobody road seal sealed sealing signs somebody stretch vain whoever wish wishes"
)
RETIRED = frozenset(OLD_WORDS.split())
"""Words that the names of the code once had, and what the field calls otherwise."""

OF_THE_ALPHABET = "letter"
"""What tests mean by that."""

BESIDE_THE_SOURCE = ("bench", "client", "demo", "tests", "tools")

WORKS_WITH_AIRFLOW = ("airflow", "dag_files.child", "legacy.child")
"""The packages that import Airflow. `commands.catalog` asks for its parser, `settings` for its options."""
BESIDE_THEM = {"commands.catalog", "plugin", "provider", "settings"}

# What does not hold yet, each with the reason; empty when it does.
UPWARD: dict[tuple[str, str], str] = {}
CIRCLES: dict[str, str] = {}
OF_A_FRAMEWORK: dict[str, str] = {
    "asgi": "the one answer that the lowest modules give: an error; imported when it is made",
}
WORDS: dict[str, str] = {
    "beat": "the number of a heartbeat, of which a server has many",
}
TWICE: dict[str, str] = {}
SMALL: dict[str, str] = {
    "runners.app": "an entry point",
    "api.runners": "a resource has a router of its own",
    "airflow.compat.variables": "what differs between versions of Airflow is in its package",
    "airflow.child.clearing": "code of a child, imported there by its name",
    "legacy.dag_readiness": "with its importer it would be too long",
    "provider": "an entry point",
    "plugin": "an entry point",
    "__main__": "an entry point",
}


def test_imports_point_down() -> None:
    found = {
        (module, imported)
        for module in modules().keys() - TOP
        for imported in imports(module)
        if imported in TOP or level(imported) > level(module)
    }
    assert found - set(UPWARD) == set()


def test_there_is_no_circle_of_modules() -> None:
    rest = {module: set(imports(module)) - {module} for module in modules()}
    # What nothing of the rest imports, or what imports nothing of it, is in no circle.
    while free := [
        module
        for module, others in rest.items()
        if not others & rest.keys() or not any(module in others for others in rest.values())
    ]:
        for module in free:
            del rest[module]
    assert rest.keys() - CIRCLES.keys() == set()


def test_a_web_framework_is_imported_by_the_packages_of_the_web_alone() -> None:
    found = set()
    for module, path in modules().items():
        names = {name.partition(".")[0] for name in imported_names(path)}
        if names & {"fastapi", "starlette"} and package(module) not in WEB and module not in TOP:
            found.add(module)
    assert found - set(OF_A_FRAMEWORK) == set()


def test_airflow_is_imported_in_its_packages_alone() -> None:
    found = {
        module
        for module, path in modules().items()
        if any(name.partition(".")[0] == "airflow" for name in imported_names(path))
    }
    assert {module for module in found if not module.startswith(WORKS_WITH_AIRFLOW)} == BESIDE_THEM


def test_no_class_shares_its_name() -> None:
    assert {name: found for name, found in classes().items() if len(found) > 1 and name not in TWICE} == {}


def test_what_a_docstring_says_is_raised_can_be() -> None:
    raises = re.compile(r"\b[Rr]aises? ([A-Z]\w+)\b(?!['.])")
    wrong = set()
    for module, path in modules().items():
        reached = {module}
        left = [module]
        while left:
            more = {name for name in imports(left.pop()) if name in modules()} - reached
            reached |= more
            left += more
        of_others = {
            alias.name for node in nodes(path) if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        for node in nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
                for name in raises.findall(ast.get_docstring(node) or ""):
                    known = hasattr(builtins, name) or name in of_others
                    if not known and reached.isdisjoint(classes().get(name, ())):
                        wrong.add(f"{module}: {name}")
    assert wrong == set()


def test_names_have_no_retired_word() -> None:
    found = defaultdict(set)
    for module, path in modules().items():
        for name in (module, *defined_names(path)):
            for word in words(name) & RETIRED - WORDS.keys():
                found[word].add(f"{module}: {name}")
    assert found == {}


@pytest.mark.parametrize("folder", BESIDE_THE_SOURCE)
def test_nor_have_those_of_what_lies_beside_the_source(folder: str) -> None:
    found = defaultdict(set)
    for path in sorted((HERE / folder).rglob("*.py")):
        for name in (path.stem, *defined_names(path)):
            # The name of a test is a sentence.
            if not name.startswith("test_"):
                for word in words(name) & RETIRED - WORDS.keys() - {OF_THE_ALPHABET}:
                    found[word].add(f"{path.relative_to(HERE)}: {name}")
    assert found == {}


def test_no_module_is_too_long() -> None:
    lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in modules().items()}
    assert {module: lines for module, lines in lengths.items() if lines > LONGEST} == {}


def test_a_small_module_with_one_importer_is_part_of_that() -> None:
    importers = defaultdict(set)
    for module in modules():
        for imported in imports(module):
            importers[imported].add(module)
    small = {
        module
        for module, path in modules().items()
        if len(path.read_text("utf-8").splitlines()) < WORTH_A_HEADER
        and len(importers[module] - {module}) <= 1
        and path.name != "__init__.py"
    }
    assert small - SMALL.keys() == set()


def test_every_module_is_in_the_architecture_with_its_subject() -> None:
    page = module_docs.PAGE.read_text("utf-8")
    assert page == module_docs.with_modules(page), "run: python -m tools.module_docs"
    assert all(f"| `{name}/` |" in page for line in ORDER for name in line if name)


def test_what_is_excused_is_still_the_case() -> None:
    """An exception that holds no longer goes from the lists."""
    assert set(UPWARD) <= {(module, imported) for module in modules() for imported in imports(module)}
    assert CIRCLES.keys() | OF_A_FRAMEWORK.keys() <= modules().keys()
    assert TWICE.keys() <= {name for name, found in classes().items() if len(found) > 1}


def words(name: str) -> set[str]:
    """Return the words of a name, in snake or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def defined_names(path: Path) -> Iterator[str]:
    """Yield the names that a module gives to classes, functions, parameters, variables and attributes."""
    for node in nodes(path):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@cache
def modules() -> dict[str, Path]:
    """Return the modules by their dotted names below the package."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def classes() -> dict[str, list[str]]:
    """Return the modules that define a class, by its name."""
    where: dict[str, list[str]] = defaultdict(list)
    for module, path in modules().items():
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(module)
    return where


def package(module: str) -> str:
    """Return the package of a module, empty for one beside the packages."""
    return module.partition(".")[0] if (SOURCE / module.partition(".")[0]).is_dir() else ""


def level(module: str) -> int:
    return next(number for number, names in enumerate(ORDER) if package(module) in names)


@cache
def at_runtime(path: Path) -> Sequence[ast.Import | ast.ImportFrom]:
    """Return the imports of a module but for those of types alone; those inside functions count."""
    typing = {
        id(inner)
        for node in nodes(path)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [
        node
        for node in nodes(path)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in typing
    ]


def imported_names(path: Path) -> Iterator[str]:
    for node in at_runtime(path):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        else:
            yield from (alias.name for alias in node.names)


def imports(module: str) -> Iterator[str]:
    """Yield the modules of ours that a module imports."""
    for node in at_runtime(modules()[module]):
        names = (
            [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
        for name in names:
            if name.partition(".")[0] == NAME:
                short = name.removeprefix(NAME).lstrip(".")
                yield short if short in modules() else short.rpartition(".")[0]
