"""A deployment as it is wanted, and the report on it: its files, what was found, and why it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_rest_api.errors import ApiError, DuplicateDags, ImportErrors, Recorded
from airflow_rest_api.operations.model import State
from airflow_rest_api.operations.runs import Failed

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import BundleFolder
    from airflow_rest_api.dag_files.history_tables import Kind
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.operations.model import Operation

Change = Literal["added", "changed", "unchanged", "deleted"]


@dataclass(frozen=True)
class DeploymentOrder:
    """
    A deployment.

    :ivar overwrite: whether files that are there and differ may be replaced
    :ivar always_new: refuse those that are there and do not differ, too
    :ivar validate: check the files first
    :ivar dry_run: do nothing more
    :ivar force_invalid: write them whatever was found
    :ivar paused: True pauses every DAG of the files, False resumes it, None leaves it
    :ivar wait: until Airflow has parsed them
    :ivar covers: whether the user may know of a file of a bundle
    """

    place: BundleFolder
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


@dataclass(frozen=True)
class FoundDag:
    """A DAG of a file; the version is that of Airflow, once it has parsed the file."""

    dag_id: str
    file: str
    tasks: list[str] = field(default_factory=list)
    schedule: str = ""
    tags: list[str] = field(default_factory=list)
    version: int | None = None


@dataclass(frozen=True)
class BrokenFile:
    """What keeps a file from being imported."""

    file: str
    line: int | None
    message: str


@dataclass(frozen=True)
class Duplicate:
    """A DAG id that a file defines and another file as well; `owner` is the other one, as `bundle:path`."""

    dag_id: str
    file: str
    owner: str


@dataclass(kw_only=True)
class DeploymentReport:
    """
    What an operation reports of one deployment.

    :ivar deployment: its id, None where nothing was written
    :ivar files: what happens to each file, by path
    """

    deployment: str | None = None
    dry_run: bool
    bundle: str
    files: dict[str, Change] = field(default_factory=dict)
    dags: list[FoundDag] = field(default_factory=list)
    errors: list[BrokenFile] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """Return it as the result of an operation."""
        files = [{"path": path, "change": change} for path, change in self.files.items()]
        return {**asdict(self), "files": files}

    @property
    def invalid(self) -> bool:
        """Whether files cannot be imported, or define DAGs that other files define."""
        return bool(self.errors or self.duplicates)

    def finding(self) -> str:
        """Return in a sentence what makes it invalid: the first of that, and how much more there is."""
        if self.errors:
            first = self.errors[0]
            place = f"{first.file}, line {first.line}" if first.line else first.file
            more = f", and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
            return f"{place}: {first.message}{more}."
        one = self.duplicates[0]
        return f"{one.file}: the DAG {one.dag_id!r} comes from {one.owner} already."

    def error(self) -> ApiError:
        """Return the error with which an invalid deployment is refused."""
        kind = ImportErrors if self.errors else DuplicateDags
        return kind(f"{self.finding()} Nothing was written.")

    def dag_ids(self) -> dict[str, list[str]]:
        """Return the DAGs by file, for each file that has some."""
        found: dict[str, list[str]] = {}
        for dag in self.dags:
            found.setdefault(dag.file, []).append(dag.dag_id)
        return found


class DeploymentRefused(Failed):
    """
    Ends the operation of a deployment with an error of the API, which `refusal` reads off the operation.

    Its result is the report so far, with the error in it.
    """

    def __init__(self, error: ApiError, report: DeploymentReport | None) -> None:
        result = report.result() if report is not None else {}
        problem = {"status": error.status, "reason": error.reason, "message": error.message}
        super().__init__(error.message, result={**result, "problem": problem})


def refusal(operation: Operation) -> ApiError | None:
    """Return the error with which an operation was `DeploymentRefused`, None where it was not."""
    result = operation.result
    if operation.state is not State.FAILED or not isinstance(result, dict) or "problem" not in result:
        return None
    problem = result["problem"]
    report = {name: value for name, value in result.items() if name != "problem"}
    return Recorded(
        problem["status"],
        problem["reason"],
        problem["message"],
        headers={"Retry-After": "5"} if problem["status"] == 503 else None,
        id=operation.id,
        **({"report": report} if report else {}),
    )
