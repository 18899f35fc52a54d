"""A report as the result of an operation, and the error of a refused one on its way through it."""

from __future__ import annotations

import json

from airflow_rest_api.dag_files.history_tables import now
from airflow_rest_api.dag_files.order import (
    BrokenFile,
    DeploymentRefused,
    DeploymentReport,
    FoundDag,
    refusal,
)
from airflow_rest_api.errors import FilesExist
from airflow_rest_api.operations.model import Operation, State


def test_a_report_is_good_for_json() -> None:
    report = DeploymentReport(
        bundle="b", dry_run=False, files={"a.py": "added"}, dags=[FoundDag("d", "a.py", ["t"])]
    )
    shown = report.result()
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


def ended(error: DeploymentRefused) -> Operation:
    operation = Operation("id", "deploy_dag", "execute", [], "u", "h", now(), state=State.FAILED)
    operation.result = json.loads(json.dumps(error.result))
    return operation


def test_an_error_comes_back_from_the_result_of_its_operation() -> None:
    report = DeploymentReport(bundle="b", dry_run=False, errors=[BrokenFile("a.py", 3, "SyntaxError")])
    found = refusal(ended(DeploymentRefused(FilesExist("It is there."), report)))
    assert found is not None
    assert (found.status, found.detail["reason"], found.detail["id"]) == (409, "exists", "id")
    assert found.detail["message"] == "It is there."
    assert found.detail["report"] == json.loads(json.dumps(report.result()))
    without = refusal(ended(DeploymentRefused(FilesExist("It is there."), None)))
    assert without is not None
    assert "report" not in without.detail


def test_another_end_is_no_refusal() -> None:
    operation = ended(DeploymentRefused(FilesExist("It is there."), None))
    operation.state = State.SUCCEEDED
    assert refusal(operation) is None
    operation.state, operation.result = State.FAILED, None
    assert refusal(operation) is None
