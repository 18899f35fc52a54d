"""What somebody wants done to the files of a bundle, and how that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_rest_api.errors import ApiError, DuplicateDags, ImportErrors
from airflow_rest_api.operations.conduct import Failed

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import Place
    from airflow_rest_api.dag_files.report import Report
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.dag_files.versions import Kind

SHOWN = 5
"""Paths in a message; more do not help."""

"""The reasons of `Invalid`."""


@dataclass(frozen=True)
class Order:
    """
    A deployment.

    :ivar overwrite: whether files that are there and differ may be replaced
    :ivar always_new: refuse those that are there and do not differ, too
    :ivar validate: look into the files first
    :ivar dry_run: do nothing more
    :ivar force_invalid: write them whatever was found
    :ivar paused: True pauses every DAG of the files, False resumes it, None leaves it
    :ivar wait: until Airflow has parsed them
    :ivar covers: whether whoever wants this may hear of a file of a bundle
    """

    place: Place
    received: Received
    user: str
    overwrite: bool = False
    always_new: bool = False
    validate: bool = True
    dry_run: bool = False
    force_invalid: bool = False
    paused: bool | None = None
    wait: bool = False
    kind: Kind = "deploy"
    covers: Callable[[str, str], bool] = lambda bundle, path: True


class Refused(Failed):
    """Ends the operation of a deployment; its result is the report, with what a client is told."""

    def __init__(self, error: ApiError, report: Report | None) -> None:
        shown: dict[str, Any] = report.shown() if report is not None else {}
        problem = {"status": error.status, "reason": error.reason, "message": error.message}
        super().__init__(error.message, result={**shown, "problem": problem})


def invalid(report: Report) -> ApiError:
    """Return the error of files that cannot be imported, or define DAGs that other files define."""
    kind = ImportErrors if report.errors else DuplicateDags
    return kind(f"{finding(report)} Nothing was written.")


def finding(report: Report) -> str:
    """Return the first that speaks against the files of a report, and how much more does, in a sentence."""
    if report.errors:
        first = report.errors[0]
        place = f"{first.file}, line {first.line}" if first.line else first.file
        more = f", and {len(report.errors) - 1} more" if len(report.errors) > 1 else ""
        return f"{place}: {first.message}{more}."
    one = report.duplicates[0]
    return f"{one.file}: the DAG {one.dag_id!r} comes from {one.owner} already."


def named(paths: Iterable[str]) -> str:
    """Return the first of some paths, for a message."""
    found = list(paths)
    return ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
