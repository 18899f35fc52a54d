"""What somebody wants done to the files of a bundle, and how that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_rest_api.operations.conduct import Failed
from airflow_rest_api.problem import Problem

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import Place
    from airflow_rest_api.dag_files.history_tables import Kind
    from airflow_rest_api.dag_files.upload import Received


Change = Literal["added", "changed", "unchanged", "deleted"]

LONGEST = 2000
MOST_DAGS = 5000
MOST_TASKS = 2000
MOST_WARNINGS = 200


@dataclass(frozen=True)
class FoundDag:
    """A DAG of a file; the version is that of Airflow, once it has parsed the file."""

    dag_id: str
    file: str
    tasks: tuple[str, ...] = ()
    schedule: str = ""
    tags: tuple[str, ...] = ()
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


@dataclass
class Report:
    """
    All that is said about one deployment.

    :ivar deployment: its id, None where nothing was written
    :ivar files: what happens to each file, by path
    """

    bundle: str
    dry_run: bool
    files: dict[str, Change] = field(default_factory=dict)
    deployment: str | None = None
    dags: list[FoundDag] = field(default_factory=list)
    errors: list[BrokenFile] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """Return it as it stands in results."""
        return {
            "deployment": self.deployment,
            "dry_run": self.dry_run,
            "bundle": self.bundle,
            "files": [{"path": path, "change": change} for path, change in self.files.items()],
            "dags": [
                {
                    "dag_id": dag.dag_id,
                    "file": dag.file,
                    "tasks": list(dag.tasks),
                    "schedule": dag.schedule,
                    "tags": list(dag.tags),
                    "version": dag.version,
                }
                for dag in self.dags
            ],
            "errors": [
                {"file": error.file, "line": error.line, "message": error.message} for error in self.errors
            ],
            "duplicates": [
                {"dag_id": one.dag_id, "file": one.file, "owner": one.owner} for one in self.duplicates
            ],
            "warnings": self.warnings,
        }

    def dag_ids(self) -> dict[str, list[str]]:
        """Return the DAGs by file, for each file that was looked into."""
        found: dict[str, list[str]] = {}
        for dag in self.dags:
            found.setdefault(dag.file, []).append(dag.dag_id)
        return found


@dataclass(frozen=True)
class Findings:
    """
    What a check found.

    :ivar files: those that were looked into
    """

    files: tuple[str, ...]
    dags: tuple[FoundDag, ...]
    errors: tuple[BrokenFile, ...]
    warnings: tuple[str, ...]


def findings(said: Any, paths: Iterable[str]) -> Findings:
    """
    Read what a child says it found; nothing of it is believed, as the code of the files ran there.

    :param paths: the files that it was asked about
    """
    known = set(paths)
    dags: list[FoundDag] = []
    errors: list[BrokenFile] = []
    warnings: list[str] = []
    files = _mapping(_mapping(said).get("files"))
    for path, finding in files.items():
        if path not in known:
            continue
        found = _mapping(finding)
        dags += [_dag(path, _mapping(dag)) for dag in _items(found.get("dags"), MOST_DAGS)]
        errors += [_error(path, _mapping(error)) for error in _items(found.get("errors"), MOST_DAGS)]
        warnings += _texts(found.get("warnings"), MOST_WARNINGS)
    ignored = [path for path in _texts(_mapping(said).get("ignored"), len(known)) if path in known]
    warnings += [f"{path}: an .airflowignore has Airflow pass over it." for path in ignored]
    looked = tuple(path for path in files if path in known)
    return Findings(looked, tuple(dags), tuple(errors), tuple(warnings[:MOST_WARNINGS]))


def _dag(path: str, dag: Mapping[str, Any]) -> FoundDag:
    return FoundDag(
        dag_id=_text(dag.get("dag_id")),
        file=path,
        tasks=tuple(_texts(dag.get("tasks"), MOST_TASKS)),
        schedule=_text(dag.get("schedule")),
        tags=tuple(_texts(dag.get("tags"), MOST_TASKS)),
    )


def _error(path: str, error: Mapping[str, Any]) -> BrokenFile:
    line = error.get("line")
    return BrokenFile(path, line if type(line) is int else None, _text(error.get("message")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any, most: int) -> list[Any]:
    return value[:most] if isinstance(value, list) else []


def _texts(value: Any, most: int) -> list[str]:
    return [_text(item) for item in _items(value, most) if isinstance(item, str)]


def _text(value: Any) -> str:
    return value[:LONGEST].encode(errors="replace").decode() if isinstance(value, str) else ""


SHOWN = 5
"""Paths in a message; more do not help."""

IMPORT_ERRORS, DUPLICATE_DAGS = "import_errors", "duplicate_dags"
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


class Exists(Problem):
    """Files are there already, and nobody said that they may be replaced."""

    def __init__(self, paths: Iterable[str]) -> None:
        found = list(paths)
        super().__init__(
            409, "exists", f"There already: {named(found)}. Say overwrite to replace it.", paths=found[:100]
        )


class Invalid(Problem):
    """Files cannot be imported, or define DAGs that other files define."""

    def __init__(self, report: Report) -> None:
        reason = IMPORT_ERRORS if report.errors else DUPLICATE_DAGS
        super().__init__(422, reason, f"{finding(report)} Nothing was written.")


class Refused(Failed):
    """Ends the operation of a deployment; its result is the report, with what a client is told."""

    def __init__(self, problem: Problem, report: Report | None) -> None:
        detail = {name: problem.detail[name] for name in ("reason", "message")}
        shown: dict[str, Any] = report.shown() if report is not None else {}
        super().__init__(str(problem), result={**shown, "problem": {"status": problem.status, **detail}})


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
