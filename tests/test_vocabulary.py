"""The words of docstrings, comments, messages and pages: the field's own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.sources import nodes

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "airflow_rest_api"
MODULES = sorted(SOURCE.rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

RETIRED = {
    "heart": "heartbeat",
    "vain": "dry run",
    "rehearsals": "dry runs",
    "strays": "detached descendants",
    "keeper": "supervisor",
    "wish": "desired state",
    "knock": "precheck",
    "bury": "mark lost",
    "conductor": "work context",
    "mouth": "write pipe",
    "ear": "reader",
    "graver": "more severe",
    "lately": "recently",
    "road": "overhead",
}
"""Words for parts of this project that nobody searches for, and what the field calls these."""

COLUMNS = {"services/store.py": {"wish", "keeper"}}
"""Columns keep the names that databases have them under; the code calls them otherwise."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_docstring_comment_or_message_has_a_retired_word(path: Path) -> None:
    words = set(re.findall(r"[a-z]+", path.read_text("utf-8").lower()))
    assert words & RETIRED.keys() - COLUMNS.get(str(path.relative_to(SOURCE)), set()) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_retired_word(page: Path) -> None:
    assert set(re.findall(r"[a-z]+", page.read_text("utf-8").lower())) & RETIRED.keys() == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_what_a_docstring_says_is_returned_is_a_noun(path: Path) -> None:
    turned_round = re.compile(r"^Return (?:by|in|with|from|for|to) (?:what|which|whom)\b")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [
        node.name
        for node in nodes(path)
        if isinstance(node, kinds) and turned_round.match(ast.get_docstring(node) or "")
    ] == []
