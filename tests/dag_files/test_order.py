"""What a child says is not believed beyond its form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_rest_api.dag_files.order import LONGEST, Findings, Report, findings

NOTHING = Findings((), (), (), ())


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "x",
        1,
        {},
        {"files": []},
        {"files": {"other.py": {"dags": [{"dag_id": "x"}]}}},
        {"ignored": [1]},
    ],
)
def test_nonsense_is_nothing(said: Any) -> None:
    assert findings(said, ["a.py"]) == NOTHING


def test_a_finding_has_the_types_that_it_should_have() -> None:
    said = {
        "files": {
            "a.py": {
                "dags": [{"dag_id": 7, "tasks": [1, "t"], "schedule": None, "tags": "x"}, "no dag"],
                "errors": [{"line": "3", "message": ["x"]}, {"line": True, "message": "m" * 10_000}],
                "warnings": ["w", 2, "\ud800"],
            }
        },
        "ignored": ["b.py", "elsewhere.py"],
    }
    found = findings(said, ["a.py", "b.py"])
    assert [(dag.dag_id, dag.tasks, dag.schedule, dag.tags) for dag in found.dags] == [
        ("", ("t",), "", ()),
        ("", (), "", ()),
    ]
    assert [error.line for error in found.errors] == [None, None]
    assert [len(error.message) for error in found.errors] == [0, LONGEST]
    assert found.warnings == ("w", "?", "b.py: an .airflowignore has Airflow pass over it.")
    assert found.files == ("a.py",)


def test_a_report_is_good_for_json() -> None:
    shown = Report("b", dry_run=False, files={"a.py": "added"}).shown()
    assert json.loads(json.dumps(shown)) == shown
    assert set(shown) == {
        "deployment",
        "dry_run",
        "bundle",
        "files",
        "dags",
        "errors",
        "duplicates",
        "warnings",
    }
